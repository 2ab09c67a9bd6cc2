"""The numbers of a run, read in one statement."""

from collections.abc import Sequence
from uuid import UUID

import msgspec

from leadflood.domain.overview.schemas import (
    Funnel,
    LeadCost,
    LeadEvent,
    LeadRecord,
    RunFilter,
    RunSummary,
)
from leadflood.engine.db.sql import load_queries
from leadflood.engine.db.tx import Reader

SQL = load_queries(__file__)
EXACT = 10_000
"""Up to how many leads a list counts; beyond, an estimate is enough."""


async def count_funnel(db: Reader, run_id: UUID) -> Funnel:
    """Count how many leads of a run got how far."""
    row = await db.fetch_one(SQL.count_funnel, run_id=run_id)
    if row is None:
        raise LookupError("a statement of sub-selects always has a row")
    return Funnel(**dict(row.items()))


async def list_lead_costs(
    db: Reader, run_id: UUID, lead_ids: Sequence[UUID]
) -> dict[UUID, LeadCost]:
    """Tell what was spent on these leads in a run."""
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
    """Tell what is to be said of how these leads' enrichment ended, where there is something."""
    rows = await db.fetch(SQL.list_lead_codes, run_id=run_id, lead_ids=list(lead_ids))
    return {row["lead_id"]: row["code"] for row in rows}


async def list_accepted(db: Reader, run_id: UUID) -> list[str]:
    """List the references of a run's messages that the other side took."""
    rows = await db.fetch(SQL.list_accepted, run_id=run_id)
    return [row["reference"] for row in rows]


async def find_marks(db: Reader, lead_ids: Sequence[UUID]) -> dict[UUID, str]:
    """Tell a mark for each lead's page that changes with it; gone leads are left out."""
    rows = await db.fetch(SQL.find_marks, lead_ids=list(lead_ids))
    return {row["lead_id"]: row["mark"] for row in rows}


async def list_lead_records(db: Reader, lead_ids: Sequence[UUID]) -> dict[UUID, list[LeadRecord]]:
    """List what was found and asked about each lead, in no order."""
    found: dict[UUID, list[LeadRecord]] = {}
    for row in await db.fetch(SQL.list_lead_records, lead_ids=list(lead_ids)):
        lead_id, kind, run_id, provider, state, code, is_found, is_cached, cost_micros, at = row
        record = LeadRecord(
            kind=kind, run_id=run_id, provider=provider, state=state, code=code,
            is_found=is_found, is_cached=is_cached, cost_micros=cost_micros, at=at,
        )  # fmt: skip
        found.setdefault(lead_id, []).append(record)
    return found


async def list_discovery_runs(
    db: Reader, wanted: RunFilter, before: UUID | None, limit: int
) -> list[RunSummary]:
    """List discovery runs, newest first, behind a place."""
    given = {
        **msgspec.structs.asdict(wanted),
        "icp_ids": None if wanted.icp_ids is None else list(wanted.icp_ids),
    }
    rows = await db.fetch(SQL.list_discovery_runs, **given, before=before, limit=limit)
    return [RunSummary(**dict(row.items())) for row in rows]


async def list_lead_events(
    db: Reader, lead_id: UUID, before: UUID | None, limit: int
) -> list[LeadEvent]:
    """List what happened to a lead and those merged into it, newest first, behind a place."""
    rows = await db.fetch(SQL.list_lead_events, lead_id=lead_id, before=before, limit=limit)
    return [
        LeadEvent(
            id=row["id"],
            type=row["type"],
            at=row["at"],
            lead_id=row["subject"],
            run_id=row["run_id"],
            payload=msgspec.json.decode(row["payload"]),
        )
        for row in rows
    ]
