"""Made-up people and values for the tests of leads."""

from datetime import UTC, datetime

from leadflood.contracts.found_values import FoundValue, Scalar
from leadflood.contracts.values import FieldName
from leadflood.domain.leads.schemas import IdentityKey, LeadStatus, NewPerson

SEEN_AT = datetime(2026, 1, 5, 9, tzinfo=UTC)


def a_value(
    field: FieldName | str,
    value: Scalar,
    *,
    source: str = "apollo",
    confidence: float = 0.9,
    observed_at: datetime = SEEN_AT,
    evidence: str = "answer-1",
) -> FoundValue:
    return FoundValue(
        field=FieldName(field),
        value=value,
        source=source,
        method="people.match" if source != "csv" else "import",
        observed_at=observed_at,
        confidence=confidence,
        evidence_hash=evidence,
        cost_micros=100,
    )


def values_of(source: str = "apollo", **given: Scalar) -> tuple[FoundValue, ...]:
    return tuple(a_value(field, value, source=source) for field, value in given.items())


def a_person(*keys: tuple[str, str], source: str = "apollo", **given: Scalar) -> NewPerson:
    return NewPerson(
        source=source,
        values=values_of(source, **given),
        keys=tuple(IdentityKey(kind, value) for kind, value in keys),
        status=LeadStatus.PROCESSING,
    )
