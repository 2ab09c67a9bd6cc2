"""Queries behind a lead's page: its marks, records and events."""

from collections.abc import Sequence
from uuid import UUID

import msgspec

from leadflood.domain.lead_views.schemas import LeadRecord, TimelineEvent
from leadflood.engine.db.sql import load_queries
from leadflood.engine.db.tx import Reader

SQL = load_queries(__file__)


async def find_marks(db: Reader, lead_ids: Sequence[UUID]) -> dict[UUID, str]:
    """Return a mark for each lead's page that changes with it; gone leads are left out."""
    rows = await db.fetch(SQL.find_marks, lead_ids=list(lead_ids))
    return {row["lead_id"]: row["mark"] for row in rows}


async def list_lead_records(db: Reader, lead_ids: Sequence[UUID]) -> dict[UUID, list[LeadRecord]]:
    """Return what providers said of each lead, in no order."""
    records: dict[UUID, list[LeadRecord]] = {}
    for row in await db.fetch(SQL.list_lead_records, lead_ids=list(lead_ids)):
        values = dict(row.items())
        lead_id = values.pop("lead_id")
        records.setdefault(lead_id, []).append(LeadRecord(**values))
    return records


async def list_lead_events(
    db: Reader, lead_id: UUID, before: UUID | None, limit: int
) -> list[TimelineEvent]:
    """List what happened to a lead and those merged into it, newest first, behind a position."""
    rows = await db.fetch(SQL.list_lead_events, lead_id=lead_id, before=before, limit=limit)
    return [
        TimelineEvent(
            id=row["id"],
            type=row["type"],
            at=row["at"],
            lead_id=row["subject"],
            run_id=row["run_id"],
            payload=msgspec.json.decode(row["payload"]),
        )
        for row in rows
    ]
