"""Results of runs, read across the tables of all slices; the run's own row is the queue's."""

from collections.abc import Sequence
from uuid import UUID

from leadflood.domain.runs.schemas import Funnel, LeadCost, RunWait
from leadflood.engine.db.sql import load_queries
from leadflood.engine.db.tx import Reader

SQL = load_queries(__file__)
MAX_WAITS = 10
"""How many reasons of a run are listed."""


async def count_funnel(db: Reader, run_id: UUID) -> Funnel:
    """Count how many leads of a run got how far, in one statement."""
    row = await db.fetch_one(SQL.count_funnel, run_id=run_id)
    if row is None:
        raise LookupError("a statement of sub-selects always has a row")
    return Funnel(**dict(row.items()))


async def list_waits(db: Reader, run_id: UUID) -> tuple[RunWait, ...]:
    """List what a run waits for, the most work first."""
    rows = await db.fetch(SQL.list_waits, run_id=run_id, limit=MAX_WAITS)
    return tuple(RunWait(**dict(row.items())) for row in rows)


async def has_waiting_messages(db: Reader, run_id: UUID) -> bool:
    """Whether messages of a run may still go that no job carries."""
    return bool(await db.fetch_value(SQL.has_waiting_messages, run_id=run_id))


async def list_lead_costs(
    db: Reader, run_id: UUID, lead_ids: Sequence[UUID]
) -> dict[UUID, LeadCost]:
    """Return what was spent on these leads in a run."""
    rows = await db.fetch(
        SQL.list_lead_costs, run_id=run_id, lead_ids=[str(lead_id) for lead_id in lead_ids]
    )
    return {
        row["lead_id"]: LeadCost(
            lead_id=row["lead_id"], micros=row["micros"], providers=tuple(row["providers"])
        )
        for row in rows
    }


async def list_lead_codes(db: Reader, run_id: UUID, lead_ids: Sequence[UUID]) -> dict[UUID, str]:
    """Return why the enrichment of these leads ended as it did, where there is a code."""
    rows = await db.fetch(SQL.list_lead_codes, run_id=run_id, lead_ids=list(lead_ids))
    return {row["lead_id"]: row["code"] for row in rows}


async def list_accepted_references(db: Reader, run_id: UUID) -> list[str]:
    """List the references of a run's messages that the other side took."""
    rows = await db.fetch(SQL.list_accepted_references, run_id=run_id)
    return [row["reference"] for row in rows]
