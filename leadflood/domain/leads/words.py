"""A person's word on a lead: what it says, what it changes of who the lead is. Pure."""

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime

import msgspec

from leadflood.contracts.found_values import FoundValue, Scalar
from leadflood.contracts.values import FieldName
from leadflood.domain.leads.canon import canonical, canonical_phone
from leadflood.domain.leads.identity import IDENTIFYING, identity_keys
from leadflood.domain.leads.schemas import HUMAN_SOURCE, IdentityKey, LeadChange, LeadProfile
from leadflood.engine.errors import FieldProblem, Invalid

SURE = 1.0
"""A person's word is not weighed."""

EXCLUSIVE = frozenset({"email", "linkedin"})
"""The keys that one person alone has; a name at a company may be two people's."""

_NAMES = {field.name: field.encode_name for field in msgspec.structs.fields(LeadChange)}
_PARTS = (FieldName.FIRST_NAME, FieldName.LAST_NAME)
_ALWAYS = datetime(1970, 1, 1, tzinfo=UTC)
_EXPECTED = {
    FieldName.EMAIL: "write one address, as in ann@example.com",
    FieldName.PHONE: "write it with its country code, as in +49 30 123456",
    FieldName.LINKEDIN_URL: "write the profile's address, as in https://www.linkedin.com/in/ann",
    FieldName.COUNTRY: "write a country's name or its two letters, as in DE",
    FieldName.COMPANY_COUNTRY: "write a country's name or its two letters, as in DE",
    FieldName.COMPANY_DOMAIN: "write the company's own domain, as in example.com (not free mail)",
    FieldName.COMPANY_SIZE: "write a number of people or a range, as in 51-200",
}


class Words(msgspec.Struct, frozen=True, kw_only=True):
    """What a person says a lead's fields are, and which he says are none."""

    values: Mapping[FieldName, Scalar]
    none: tuple[FieldName, ...] = ()

    def __bool__(self) -> bool:
        """Tell whether anything is said."""
        return bool(self.values or self.none)

    @property
    def fields(self) -> frozenset[FieldName]:
        """The fields spoken of."""
        return frozenset({*self.values, *self.none})

    @property
    def leaves_company(self) -> bool:
        """Tell whether the lead works nowhere known since."""
        return FieldName.COMPANY_DOMAIN in self.none

    def with_name(self, profile: LeadProfile) -> "Words":
        """Let the whole name follow when a part of it is corrected."""
        if FieldName.FULL_NAME in self.fields or not self.values.keys() & set(_PARTS):
            return self
        parts = [self.values.get(part) or self._still(profile, part) for part in _PARTS]
        whole = " ".join(str(part) for part in parts if part)
        return msgspec.structs.replace(self, values={**self.values, FieldName.FULL_NAME: whole})

    def _still(self, profile: LeadProfile, field: FieldName) -> Scalar | None:
        return None if field in self.none else profile.get(field)

    def unknown_to(self, profile: LeadProfile) -> "Words":
        """Leave out what a person has said before and what still holds."""
        return Words(
            values={
                field: value
                for field, value in self.values.items()
                if field not in profile.settled or profile.get(field) != value
            },
            none=tuple(
                field
                for field in self.none
                if field not in profile.settled or profile.get(field) is not None
            ),
        )


class KeysMoved(msgspec.Struct, frozen=True, kw_only=True):
    """What tells who a lead is since, and what told it before."""

    claimed: tuple[IdentityKey, ...] = ()
    released: tuple[IdentityKey, ...] = ()


def read_words(change: LeadChange) -> Words:
    """Bring what a person says into its one form. Raises: Invalid with the fields."""
    values: dict[FieldName, Scalar] = {}
    none: list[FieldName] = []
    problems: list[FieldProblem] = []
    region = canonical(FieldName.COUNTRY, change.country) if change.country else None
    for name, shown in _NAMES.items():
        told, field = getattr(change, name), FieldName(name)
        if told is msgspec.UNSET:
            continue
        if told is None:
            none.append(field)
            continue
        value = _canonical(field, told, region if isinstance(region, str) else None)
        if value is None:
            expected = _EXPECTED.get(field, "write a value, or null where there is none")
            problems.append(FieldProblem(shown, expected))
        else:
            values[field] = value
    if problems:
        raise Invalid.of(problems, prefix="the lead cannot be changed")
    return Words(values=values, none=tuple(none))


def found_in_words(
    words: Words, method: str, evidence: str, now: datetime
) -> tuple[FoundValue, ...]:
    """Give what a person says its evidence: that he said it."""
    return tuple(
        FoundValue(
            field=field,
            value=value,
            source=HUMAN_SOURCE,
            method=method,
            observed_at=now,
            confidence=SURE,
            evidence_hash=evidence,
        )
        for field, value in words.values.items()
    )


def keys_moved(profile: LeadProfile, words: Words) -> KeysMoved:
    """Tell which keys follow from a person's words, and which no longer do."""
    if not words.fields & IDENTIFYING:
        return KeysMoved()
    before = {field: won.value for field, won in profile.values.items() if field in IDENTIFYING}
    after = {field: value for field, value in before.items() if field not in words.none}
    after |= {field: value for field, value in words.values.items() if field in IDENTIFYING}
    old, new = _keys(before), _keys(after)
    return KeysMoved(claimed=tuple(sorted(new - old)), released=tuple(sorted(old - new)))


def _keys(values: Mapping[FieldName, Scalar]) -> frozenset[IdentityKey]:
    return frozenset(identity_keys(_sure(values)))


def _sure(values: Mapping[FieldName, Scalar]) -> Iterable[FoundValue]:
    for field, value in values.items():
        yield FoundValue(
            field=field, value=value, source=HUMAN_SOURCE, method="", observed_at=_ALWAYS,
            confidence=SURE, evidence_hash="",
        )  # fmt: skip


def _canonical(field: FieldName, told: Scalar, region: str | None) -> Scalar | None:
    if field is FieldName.PHONE:
        return canonical_phone(str(told), region)
    return canonical(field, told)
