"""Made-up people and values for the tests of leads."""

from datetime import UTC, datetime
from uuid import UUID

from leadflood.contracts.found_values import FoundValue, Scalar
from leadflood.contracts.values import FieldName
from leadflood.domain.leads.schemas.identity import IdentityKey, LeadValues, NewPerson
from leadflood.domain.leads.schemas.lead_states import LeadStatus
from leadflood.domain.leads.service import kernel
from leadflood.domain.leads.service.upserting import upsert
from leadflood.engine.clock import ManualClock
from leadflood.engine.db.pool import Database
from leadflood.engine.ids import Ids

CLOCK = ManualClock()
IDS = Ids(CLOCK, seed=1)
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


async def saved(database: Database, *people: NewPerson) -> list[UUID]:
    async with database.transaction() as tx:
        return [person.lead_id for person in await upsert(tx, people, IDS, SEEN_AT)]


async def learned(database: Database, *values: LeadValues) -> dict[UUID, UUID]:
    async with database.transaction() as tx:
        resolved = await kernel.record_values(tx, values, IDS, SEEN_AT)
    return {lead.lead_id: lead.survivor_id for lead in resolved}


def email_of(lead_id: UUID, email: str) -> LeadValues:
    values = (a_value("email", email, evidence=email),)
    return LeadValues(lead_id=lead_id, values=values, keys=kernel.identity_keys(values))
