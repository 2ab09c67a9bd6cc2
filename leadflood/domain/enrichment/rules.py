"""The best values of a lead while the waterfall runs, and which fields are worth asking for."""

from collections.abc import Iterable, Mapping
from datetime import datetime

import msgspec

from leadflood.contracts.found_values import FOUND_BY_NAME, FoundValue, Scalar
from leadflood.contracts.normalization.role_mailboxes import is_role_mailbox
from leadflood.contracts.ports.people import PersonSubject
from leadflood.contracts.values import EmailStatus, FieldName, Probability
from leadflood.domain.leads.schemas.profiles import LeadProfile

_DAY_SECONDS = 86_400.0
_HALF_LIFE_DAYS = 500.0


_WHO = frozenset(
    {
        FieldName.FIRST_NAME,
        FieldName.LAST_NAME,
        FieldName.FULL_NAME,
        FieldName.COMPANY_NAME,
        FieldName.COMPANY_DOMAIN,
        FieldName.EMAIL,
        FieldName.LINKEDIN_URL,
        FieldName.PHONE,
        FieldName.MOBILE_PHONE,
    }
)
"""The fields by which a provider is asked for a person."""


class BestValue(msgspec.Struct, frozen=True):
    """The best value of a field so far, with its confidence at its present age.

    `is_by_name`: it was found by a name and a company, and proves no more than these.
    """

    value: Scalar
    confidence: Probability
    is_human: bool = False
    is_by_name: bool = False


def best_values(profile: LeadProfile, now: datetime) -> dict[FieldName, BestValue]:
    """Return the values of a lead's profile, each as confident as its age leaves it."""
    return {
        field: BestValue(
            value.value,
            value.confidence * _freshness(value.observed_at, now),
            value.is_human,
            value.method.endswith(FOUND_BY_NAME),
        )
        for field, value in profile.values.items()
    }


def adopt_values(
    best: dict[FieldName, BestValue], values: Iterable[FoundValue], now: datetime
) -> None:
    """Adopt values that are more confident than the best ones; a person's decision stays.

    The status of an address belongs to it: the status of another address is left out.
    """
    statuses: list[FoundValue] = []
    address: Scalar | None = None
    freshness: dict[datetime, float] = {}
    for value in values:
        if value.field is FieldName.EMAIL_STATUS:
            statuses.append(value)
            continue
        if value.field is FieldName.EMAIL:
            address = value.value
        fresh = freshness.get(value.observed_at)
        if fresh is None:
            fresh = freshness[value.observed_at] = _freshness(value.observed_at, now)
        _adopt(best, value, value.confidence * fresh)
    for status in statuses:
        if _is_about(best, address):
            _adopt(best, status, status.confidence * _freshness(status.observed_at, now))


def _adopt(best: dict[FieldName, BestValue], value: FoundValue, confidence: float) -> None:
    before = best.get(value.field)
    if before is not None and (before.is_human or before.confidence >= confidence):
        return
    is_change = before is not None and not _is_same(before.value, value.value)
    if value.field is FieldName.EMAIL and is_change:
        best.pop(FieldName.EMAIL_STATUS, None)
    best[value.field] = BestValue(value.value, confidence, is_by_name=value.is_found_by_name)


def find_weak_fields(
    best: Mapping[FieldName, BestValue], fields: Iterable[FieldName], weak: Probability
) -> frozenset[FieldName]:
    """Return the fields whose value is missing, or below the weak confidence."""
    return frozenset(field for field in fields if _is_weak(best.get(field), weak))


def person_subject(
    lead_id: str, provider_ids: Mapping[str, str], best: Mapping[FieldName, BestValue]
) -> PersonSubject:
    """Return the subject by which providers identify the person."""

    def text(field: FieldName) -> str:
        value = best.get(field)
        return "" if value is None else str(value.value)

    first, last = text(FieldName.FIRST_NAME), text(FieldName.LAST_NAME)
    return PersonSubject(
        subject_id=lead_id,
        provider_ids=dict(provider_ids),
        first_name=first,
        last_name=last,
        full_name=text(FieldName.FULL_NAME) or (f"{first} {last}" if first and last else ""),
        company_name=text(FieldName.COMPANY_NAME),
        company_domain=text(FieldName.COMPANY_DOMAIN),
        email=text(FieldName.EMAIL),
        linkedin_url=text(FieldName.LINKEDIN_URL),
        phone=text(FieldName.MOBILE_PHONE) or text(FieldName.PHONE),
        decided=tuple(
            f"{field.value}={best[field].value}"
            for field in sorted(_WHO)
            if field in best and best[field].is_human
        ),
    )


def proven_subject(subject: PersonSubject, best: Mapping[FieldName, BestValue]) -> PersonSubject:
    """Return the subject with what is proven to be one person's alone, and no other identifier."""

    def proven(field: FieldName, text: str) -> str:
        value = best.get(field)
        return "" if value is None or value.is_by_name else text

    return msgspec.structs.replace(
        subject,
        email="" if is_role_mailbox(subject.email) else proven(FieldName.EMAIL, subject.email),
        linkedin_url=proven(FieldName.LINKEDIN_URL, subject.linkedin_url),
    )


def mark_found_by_name(values: Iterable[FoundValue]) -> tuple[FoundValue, ...]:
    """Return values of an answer to a question by name: they prove no more than the name."""
    return tuple(
        value
        if value.is_found_by_name
        else msgspec.structs.replace(value, method=f"{value.method}{FOUND_BY_NAME}")
        for value in values
    )


def needs_verifying(best: Mapping[FieldName, BestValue], weak: Probability) -> bool:
    """Whether there is an address that nobody has found valid, or invalid."""
    if FieldName.EMAIL not in best:
        return False
    status = best.get(FieldName.EMAIL_STATUS)
    if status is None:
        return True
    if status.value == EmailStatus.INVALID.value:
        return False
    return status.confidence < weak or status.value != EmailStatus.VALID.value


def _is_about(best: Mapping[FieldName, BestValue], address: Scalar | None) -> bool:
    email = best.get(FieldName.EMAIL)
    return address is None or (email is not None and _is_same(email.value, address))


def _is_same(left: Scalar, right: Scalar) -> bool:
    return str(left).casefold() == str(right).casefold()


def _is_weak(value: BestValue | None, weak: Probability) -> bool:
    return value is None or (not value.is_human and value.confidence < weak)


def _freshness(observed_at: datetime, now: datetime) -> float:
    age_days = max((now - observed_at).total_seconds(), 0.0) / _DAY_SECONDS
    return float(0.5 ** (age_days / _HALF_LIFE_DAYS))
