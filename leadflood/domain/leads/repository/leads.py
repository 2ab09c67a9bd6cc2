"""Rows of leads: inserted, locked, updated and merged as sets."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from uuid import UUID

import msgspec

from leadflood.domain.leads.repository.list_columns import as_arrays, list_columns_of_new
from leadflood.domain.leads.rules.list_columns import ListColumns
from leadflood.domain.leads.rules.prepared_values import PreparedValues
from leadflood.domain.leads.schemas.lead_states import LeadStatus
from leadflood.engine.db.sql import load_queries
from leadflood.engine.db.tx import Reader, Row, Tx

SQL = load_queries(__file__)
TAG_SEPARATOR = "\x1f"


class LeadRow(msgspec.Struct, frozen=True, kw_only=True):
    """A new lead with everything said of it so far.

    `owner` None: nobody's. `columns`: its list columns, where they are worked out already.
    """

    id: UUID
    source: str
    status: LeadStatus
    prepared: Sequence[PreparedValues]
    owner: str | None = None
    tags: tuple[str, ...] = ()
    columns: ListColumns | None = None

    @property
    def employer(self) -> PreparedValues | None:
        """Where the lead works by the last value of the highest rank; None: none is known."""
        employers = [values for values in self.prepared if values.company_rank is not None]
        return max(reversed(employers), key=lambda values: values.company_rank or 0.0, default=None)


class LeadUpdate(msgspec.Struct):
    """A change of a lead's row; None leaves it as it is."""

    status: LeadStatus | None = None
    failed_code: str | None = None
    company_id: UUID | None = None
    company_rank: float | None = None

    def use_company(self, prepared: PreparedValues) -> None:
        """Take over a company of a higher rank."""
        rank = prepared.company_rank
        if rank is not None and rank >= (self.company_rank or -1e308):
            self.company_id, self.company_rank = prepared.company_id, rank


class Merge(msgspec.Struct, frozen=True, order=True):
    """A younger lead that turns out to be an older one."""

    lead_id: UUID
    survivor_id: UUID
    reason: str


async def add_leads(tx: Tx, leads: Sequence[LeadRow], now: datetime) -> None:
    """Insert new leads, with their list columns and the words that find them."""
    employers = [lead.employer for lead in leads]
    await tx.execute(
        SQL.add_leads,
        ids=[lead.id for lead in leads],
        statuses=[lead.status.value for lead in leads],
        sources=[lead.source for lead in leads],
        company_ids=[employer and employer.company_id for employer in employers],
        company_ranks=[employer and employer.company_rank for employer in employers],
        owners=[lead.owner for lead in leads],
        tags=[TAG_SEPARATOR.join(lead.tags) for lead in leads],
        **as_arrays([lead.columns or list_columns_of_new(lead.prepared) for lead in leads]),
        now=now,
    )


async def update_leads(tx: Tx, updates: Mapping[UUID, LeadUpdate], now: datetime) -> None:
    """Update the status and the company of locked leads; each version rises by one."""
    if updates:
        await tx.execute(
            SQL.update_leads,
            ids=list(updates),
            statuses=[update.status and update.status.value for update in updates.values()],
            failed_codes=[update.failed_code for update in updates.values()],
            company_ids=[update.company_id for update in updates.values()],
            company_ranks=[update.company_rank for update in updates.values()],
            now=now,
        )


async def update_status(
    tx: Tx, lead_ids: Sequence[UUID], status: LeadStatus, failed_code: str | None, now: datetime
) -> None:
    """Set the status of locked leads."""
    await tx.execute(
        SQL.update_status,
        ids=list(lead_ids),
        statuses=[status.value] * len(lead_ids),
        failed_codes=[failed_code] * len(lead_ids),
        now=now,
    )


async def list_failed(tx: Tx, lead_ids: Sequence[UUID]) -> list[UUID]:
    """Return those of these leads that have failed."""
    return [row["id"] for row in await tx.fetch(SQL.list_failed, ids=list(lead_ids))]


async def lock_leads(tx: Tx, lead_ids: Iterable[UUID]) -> Sequence[Row]:
    """Lock leads in the order of their ids, as everybody does who changes several."""
    return await tx.fetch(SQL.lock_leads, ids=sorted(set(lead_ids)))


async def mark_before_locks(tx: Tx) -> None:
    """Set a mark: `release_locks` returns to it, and keeps what was written before."""
    await tx.execute(SQL.mark_before_locks)


async def release_locks(tx: Tx) -> None:
    """Release the locks taken since the mark."""
    await tx.execute(SQL.release_locks)


async def merge_leads(tx: Tx, merges: Sequence[Merge], by: str, now: datetime) -> None:
    """Point each younger lead to its survivor."""
    if merges:
        await tx.execute(
            SQL.merge_leads,
            ids=[merge.lead_id for merge in merges],
            into_ids=[merge.survivor_id for merge in merges],
            reasons=[merge.reason for merge in merges],
            by=by,
            now=now,
        )


async def unmerge_lead(tx: Tx, lead_id: UUID, now: datetime) -> bool:
    """Undo a merge and keep the two apart from now on; return whether there was one."""
    return await tx.fetch_one(SQL.unmerge_lead, id=lead_id, now=now) is not None


async def record_unmerge(
    tx: Tx, activity_id: UUID, lead_id: UUID, actor: str, now: datetime
) -> None:
    """Record the end of a merge among the activities of the lead."""
    await tx.execute(
        SQL.add_activity,
        id=activity_id,
        lead_id=lead_id,
        kind="unmerged",
        detail="",
        actor=actor,
        now=now,
    )


async def list_ids(db: Reader, after: UUID, limit: int) -> list[UUID]:
    """List lead ids by age, behind one."""
    return [row["id"] for row in await db.fetch(SQL.list_ids, after=after, limit=limit)]
