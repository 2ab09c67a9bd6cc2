"""Edits: what a person says a lead's fields are, and how that changes its identity. Pure."""

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime

import msgspec

from leadflood.contracts.found_values import FoundValue, Scalar
from leadflood.contracts.normalization.cells import read_cell, read_value
from leadflood.contracts.normalization.fields import field_of
from leadflood.contracts.normalization.names import read_name
from leadflood.contracts.values import FieldName
from leadflood.domain.leads.rules.field_forms import EXPECTED, find_region, problem_of
from leadflood.domain.leads.rules.identity import identity_keys
from leadflood.domain.leads.schemas.identity import HUMAN_SOURCE, IDENTIFYING, IdentityKey
from leadflood.domain.leads.schemas.inputs import LeadChange
from leadflood.domain.leads.schemas.profiles import LeadProfile
from leadflood.engine.errors import FieldProblem, Invalid

CERTAIN = 1.0
"""The confidence of a person's word: it is not weighed."""

_WIRE_NAMES = {field.name: field.encode_name for field in msgspec.structs.fields(LeadChange)}
_NAME_PARTS = (FieldName.FIRST_NAME, FieldName.LAST_NAME)
_ANY_TIME = datetime(1970, 1, 1, tzinfo=UTC)


class FieldEdits(msgspec.Struct, frozen=True, kw_only=True):
    """The values that a person gives, and the fields that they say have none."""

    values: Mapping[FieldName, Scalar]
    emptied: tuple[FieldName, ...] = ()

    def __bool__(self) -> bool:
        """Whether anything is edited."""
        return bool(self.values or self.emptied)

    @property
    def fields(self) -> frozenset[FieldName]:
        """The fields edited."""
        return frozenset({*self.values, *self.emptied})

    @property
    def leaves_company(self) -> bool:
        """Whether the lead works at no known company any more."""
        return FieldName.COMPANY_DOMAIN in self.emptied

    def with_name(self, profile: LeadProfile) -> "FieldEdits":
        """Recompute the full name when a part of it is corrected, and the parts with the whole."""
        if FieldName.FULL_NAME in self.values and not self.fields & set(_NAME_PARTS):
            return self._with_parts(profile)
        if FieldName.FULL_NAME in self.fields or not self.values.keys() & set(_NAME_PARTS):
            return self
        parts = [self.values.get(part) or self._current(profile, part) for part in _NAME_PARTS]
        whole = " ".join(str(part) for part in parts if part)
        return msgspec.structs.replace(self, values={**self.values, FieldName.FULL_NAME: whole})

    def _with_parts(self, profile: LeadProfile) -> "FieldEdits":
        """Read the parts off a corrected name; those that it does not show are no longer known."""
        name = read_name(str(self.values[FieldName.FULL_NAME]))
        parts = dict(zip(_NAME_PARTS, (name.first, name.last), strict=True))
        return msgspec.structs.replace(
            self,
            values={**self.values, **{part: text for part, text in parts.items() if text}},
            emptied=(
                *self.emptied,
                *(part for part, text in parts.items() if not text and profile.get(part)),
            ),
        )

    def _current(self, profile: LeadProfile, field: FieldName) -> Scalar | None:
        return None if field in self.emptied else profile.get(field)

    def without_repeats(self, profile: LeadProfile) -> "FieldEdits":
        """Leave out what a person has said before and what still holds."""
        return FieldEdits(
            values={
                field: value
                for field, value in self.values.items()
                if field not in profile.settled or profile.get(field) != value
            },
            emptied=tuple(
                field
                for field in self.emptied
                if field not in profile.settled or profile.get(field) is not None
            ),
        )


class IdentityChange(msgspec.Struct, frozen=True, kw_only=True):
    """The identity keys that a lead gets by an edit, and those that it loses."""

    claimed: tuple[IdentityKey, ...] = ()
    released: tuple[IdentityKey, ...] = ()


def read_edits(change: LeadChange) -> FieldEdits:
    """Bring what a person says into its one form. Raises: Invalid with the fields."""
    values: dict[FieldName, Scalar] = {}
    emptied: list[FieldName] = []
    problems: list[FieldProblem] = []
    region = find_region(change.country or None)
    for name, wire_name in _WIRE_NAMES.items():
        raw, field = getattr(change, name), FieldName(name)
        if raw is msgspec.UNSET:
            continue
        if raw is None:
            emptied.append(field)
            continue
        field = field_of(field, raw)
        value = read_value(field, raw, region)
        problem = problem_of(field, read_cell(field, raw, region)) if isinstance(raw, str) else None
        if value is not None and problem is None:
            values[field] = value
        else:
            expected = EXPECTED.get(field, "write a value, or null where there is none")
            problems.append(FieldProblem(wire_name, problem or expected))
    if problems:
        raise Invalid.of(problems, prefix="the lead cannot be changed")
    return FieldEdits(values=values, emptied=tuple(emptied))


def as_values(
    edits: FieldEdits, method: str, evidence: str, now: datetime
) -> tuple[FoundValue, ...]:
    """Return the values with their evidence: that the person said so."""
    return tuple(
        FoundValue(
            field=field,
            value=value,
            source=HUMAN_SOURCE,
            method=method,
            observed_at=now,
            confidence=CERTAIN,
            evidence_hash=evidence,
            is_normal=True,
        )
        for field, value in edits.values.items()
    )


def compare_keys(profile: LeadProfile, edits: FieldEdits) -> IdentityChange:
    """Return the identity keys that follow from the edits, and those that no longer do."""
    if not edits.fields & IDENTIFYING:
        return IdentityChange()
    before = {field: best.value for field, best in profile.values.items() if field in IDENTIFYING}
    after = {field: value for field, value in before.items() if field not in edits.emptied}
    after |= {field: value for field, value in edits.values.items() if field in IDENTIFYING}
    old, new = _keys(before), _keys(after)
    return IdentityChange(claimed=tuple(sorted(new - old)), released=tuple(sorted(old - new)))


def _keys(values: Mapping[FieldName, Scalar]) -> frozenset[IdentityKey]:
    return frozenset(identity_keys(_certain_values(values)))


def _certain_values(values: Mapping[FieldName, Scalar]) -> Iterable[FoundValue]:
    for field, value in values.items():
        yield FoundValue(
            field=field,
            value=value,
            source=HUMAN_SOURCE,
            method="",
            observed_at=_ANY_TIME,
            confidence=CERTAIN,
            evidence_hash="",
        )
