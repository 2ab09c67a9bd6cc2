"""What is known of a lead while the waterfall runs, and what is worth asking for. Pure."""

from collections.abc import Iterable, Mapping
from datetime import datetime

import msgspec

from leadflood.contracts.found_values import FoundValue, Scalar
from leadflood.contracts.ports.people import PersonSubject
from leadflood.contracts.values import EmailStatus, FieldName, Probability
from leadflood.domain.leads.schemas import LeadProfile

_DAY_SECONDS = 86_400.0
_HALF_LIFE_DAYS = 500.0


class BestValue(msgspec.Struct, frozen=True):
    """The best value of a field so far, and how sure it still is."""

    value: Scalar
    confidence: Probability
    is_human: bool = False


def best_values(profile: LeadProfile, now: datetime) -> dict[FieldName, BestValue]:
    """Tell what a lead brings along, each value as sure as its age leaves it."""
    return {
        field: BestValue(won.value, won.confidence * _freshness(won.observed_at, now), won.is_human)
        for field, won in profile.values.items()
    }


def adopt_values(
    known: dict[FieldName, BestValue], values: Iterable[FoundValue], now: datetime
) -> None:
    """Take over what is surer than what is known; a person's word stays.

    The status of an address goes with the address: one told of another address is left out.
    """
    statuses: list[FoundValue] = []
    address: Scalar | None = None
    freshness: dict[datetime, float] = {}
    for found in values:
        if found.field is FieldName.EMAIL_STATUS:
            statuses.append(found)
            continue
        if found.field is FieldName.EMAIL:
            address = found.value
        fresh = freshness.get(found.observed_at)
        if fresh is None:
            fresh = freshness[found.observed_at] = _freshness(found.observed_at, now)
        _take_over(known, found, found.confidence * fresh)
    for found in statuses:
        if _is_about(known, address):
            _take_over(known, found, found.confidence * _freshness(found.observed_at, now))


def _take_over(known: dict[FieldName, BestValue], found: FoundValue, confidence: float) -> None:
    before = known.get(found.field)
    if before is not None and (before.is_human or before.confidence >= confidence):
        return
    changes = before is not None and not _same(before.value, found.value)
    if found.field is FieldName.EMAIL and changes:
        known.pop(FieldName.EMAIL_STATUS, None)
    known[found.field] = BestValue(found.value, confidence)


def find_weak_fields(
    known: Mapping[FieldName, BestValue], fields: Iterable[FieldName], weak: Probability
) -> frozenset[FieldName]:
    """Tell which fields are missing or too weak."""
    return frozenset(field for field in fields if _is_weak(known.get(field), weak))


def person_subject(
    lead_id: str, provider_ids: Mapping[str, str], known: Mapping[FieldName, BestValue]
) -> PersonSubject:
    """Tell providers what is known of a person."""

    def text(field: FieldName) -> str:
        one = known.get(field)
        return "" if one is None else str(one.value)

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
        phone=text(FieldName.PHONE),
    )


def needs_verifying(known: Mapping[FieldName, BestValue], weak: Probability) -> bool:
    """Tell whether there is an address nobody has found to work."""
    if FieldName.EMAIL not in known:
        return False
    status = known.get(FieldName.EMAIL_STATUS)
    return (
        status is None or status.confidence < weak or status.value != EmailStatus.VALID.value
    ) and not (status is not None and status.value == EmailStatus.INVALID.value)


def _is_about(known: Mapping[FieldName, BestValue], address: Scalar | None) -> bool:
    mail = known.get(FieldName.EMAIL)
    return address is None or (mail is not None and _same(mail.value, address))


def _same(one: Scalar, other: Scalar) -> bool:
    return str(one).casefold() == str(other).casefold()


def _is_weak(one: BestValue | None, weak: Probability) -> bool:
    return one is None or (not one.is_human and one.confidence < weak)


def _freshness(observed_at: datetime, now: datetime) -> float:
    age_days = max((now - observed_at).total_seconds(), 0.0) / _DAY_SECONDS
    return float(0.5 ** (age_days / _HALF_LIFE_DAYS))
