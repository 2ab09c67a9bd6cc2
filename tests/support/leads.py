"""Leads in any number, and a hash of what people can change of them."""

from collections.abc import Sequence
from uuid import UUID, uuid4

from leadflood.contracts.found_values import FoundValue
from leadflood.contracts.values import FieldName
from leadflood.domain.leads.repository.profiles import find_views
from leadflood.domain.leads.schemas.events import LeadCreated
from leadflood.domain.leads.schemas.identity import NewPerson
from leadflood.domain.leads.schemas.inputs import LeadInput
from leadflood.domain.leads.schemas.profiles import LeadView
from leadflood.domain.leads.service.insertion import LeadRequest, create_leads, read_lead
from leadflood.domain.leads.service.upserting import upsert
from leadflood.engine.clock import Clock
from leadflood.engine.db.tx import Reader, Tx
from leadflood.engine.errors import Conflict
from leadflood.engine.ids import Ids
from leadflood.wiring.storage import Storage

from tests.support.statements import sql

OWN = sql("UPDATE lead SET owner = $2 WHERE id = ANY($1)", "ids", "owner")
HASH = sql(
    """
    SELECT md5(string_agg(lines.line, '|' ORDER BY lines.line)) FROM (
        SELECT (to_jsonb(lead) - 'version' - 'updated_at')::text AS line
        FROM lead WHERE id = ANY($1)
        UNION ALL
        SELECT to_jsonb(identity)::text FROM identity WHERE lead_id = ANY($1)
        UNION ALL
        SELECT to_jsonb(field_value)::text FROM field_value WHERE subject_id = ANY($1)
    ) AS lines
    """,
    "ids",
)


async def create_lead(
    tx: Tx, lead_input: LeadInput, icp_id: UUID, ids: Ids, clock: Clock
) -> LeadCreated:
    """Create one lead. Raises: Invalid; Conflict when the person is a lead already."""
    now = clock.now()
    request = LeadRequest(prepared=read_lead(lead_input, now), icp_id=icp_id)
    (result,) = await create_leads(tx, [request], ids, now)
    if isinstance(result, Conflict):
        raise result
    assert result is not None, "a request alone shares its keys with no other"
    return result


async def find_view(db: Reader, lead_id: UUID) -> LeadView | None:
    """Find all that is known of a lead; of a merged one, of its survivor."""
    return (await find_views(db, [lead_id])).get(lead_id)


async def make_leads(storage: Storage, count: int, owner: str | None = None) -> list[str]:
    """Insert new people as leads; return their ids."""
    now = storage.clock.now()
    people = [
        NewPerson(
            source="csv",
            values=(
                FoundValue(
                    field=FieldName.EMAIL,
                    value=f"{uuid4().hex}@bulk.example",
                    source="csv",
                    method="import",
                    observed_at=now,
                    confidence=0.9,
                    evidence_hash=uuid4().hex,
                ),
            ),
        )
        for _ in range(count)
    ]
    async with storage.db.transaction() as tx:
        results = await upsert(tx, people, storage.ids, now)
        ids = [row.lead_id for row in results]
        if owner is not None:
            await tx.execute(OWN, ids=ids, owner=owner)
    return [str(lead_id) for lead_id in ids]


async def hash_of_leads(db: Reader, ids: Sequence[str]) -> str:
    """Hash leads' rows, keys and values, but for the version and the time of the last change."""
    digest: str = await db.fetch_value(HASH, ids=[UUID(lead_id) for lead_id in ids])
    return digest
