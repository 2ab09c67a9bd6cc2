"""Rows of leads as people change them: owner, tags, deletion; locked, decided, written as sets."""

from collections.abc import Collection, Iterable, Sequence
from datetime import datetime
from uuid import UUID

from leadflood.domain.auth.schemas.principals import Visibility
from leadflood.domain.leads.repository.leads import TAG_SEPARATOR
from leadflood.domain.leads.schemas.lead_states import DeletedLead, LeadState, TagCount
from leadflood.engine.db.sql import load_queries
from leadflood.engine.db.tx import Reader, Row, Tx

SQL = load_queries(__file__)

MOST_COUNTED = 10_000
MOST_LISTED = 1_000


async def find_deleted_ids(db: Reader, lead_ids: Iterable[UUID]) -> frozenset[UUID]:
    """Return which of these leads are deleted."""
    ids = list(set(lead_ids))
    if not ids:
        return frozenset()
    return frozenset(row["id"] for row in await db.fetch(SQL.find_deleted, ids=ids))


async def lock_states(tx: Tx, lead_ids: Iterable[UUID]) -> dict[UUID, LeadState]:
    """Lock leads in the order of their ids; those that are gone are left out."""
    rows = await tx.fetch(SQL.lock_states, ids=sorted(set(lead_ids)))
    return {row["id"]: _state(row) for row in rows}


async def find_states(db: Reader, lead_ids: Iterable[UUID]) -> dict[UUID, LeadState]:
    """Read leads' rows; those that are gone are left out."""
    rows = await db.fetch(SQL.find_states, ids=list(set(lead_ids)))
    return {row["id"]: _state(row) for row in rows}


async def find_score_icp(db: Reader, lead_id: UUID) -> UUID | None:
    """Return the ICP version that a lead's score, or that on its way, is for; None: none is."""
    icp_id = await db.fetch_value(SQL.find_score_icp, id=lead_id)
    return None if icp_id is None else UUID(int=icp_id.int)


async def write_states(
    tx: Tx, before: Sequence[LeadState], after: Sequence[LeadState], by: str, now: datetime
) -> None:
    """Write the new states of locked leads; each version rises by one.

    Leads merged into one are deleted and restored with it; new tags are remembered.
    """
    if not after:
        return
    await tx.execute(
        SQL.write_states,
        ids=[state.id for state in after],
        owners=[state.owner for state in after],
        tags=[TAG_SEPARATOR.join(state.tags) for state in after],
        deleted_ats=[state.deleted_at for state in after],
        deleted_bys=[state.deleted_by for state in after],
        now=now,
    )
    pairs = list(zip(before, after, strict=True))
    moved = [new.id for old, new in pairs if old.deleted_at != new.deleted_at]
    if moved:
        await tx.execute(SQL.delete_with_survivors, ids=moved, now=now)
    names = {name for old, new in pairs for name in new.tags if name not in old.tags}
    await remember_tags(tx, names, by, now)


async def remember_tags(tx: Tx, names: Collection[str], by: str, now: datetime) -> None:
    """Remember which tags there are."""
    if names:
        await tx.execute(SQL.add_tags, names=sorted(names), by=by, now=now)


async def raise_versions(tx: Tx, lead_ids: Iterable[UUID], now: datetime) -> None:
    """Raise the version of leads that look different now, though their rows are the same."""
    await tx.execute(SQL.raise_versions, ids=sorted(set(lead_ids)), now=now)


async def list_tags(db: Reader, visibility: Visibility) -> list[TagCount]:
    """List the tags in use, each with its leads, counted up to a bound."""
    rows = await db.fetch(
        SQL.list_tags, owner=visibility.owner, bound=MOST_COUNTED + 1, limit=MOST_LISTED
    )
    return [
        TagCount(
            tag=row["name"],
            lead_count=min(row["lead_count"], MOST_COUNTED),
            is_at_least=row["lead_count"] > MOST_COUNTED,
        )
        for row in rows
    ]


async def list_deleted(
    db: Reader, visibility: Visibility, before: tuple[datetime, UUID] | None, limit: int
) -> list[DeletedLead]:
    """List deleted leads, the last deleted first, behind a position."""
    at, lead_id = before or (None, None)
    rows = await db.fetch(SQL.list_deleted, owner=visibility.owner, at=at, id=lead_id, limit=limit)
    return [DeletedLead(**{**dict(row.items()), "tags": tuple(row["tags"])}) for row in rows]


def _state(row: Row) -> LeadState:
    return LeadState(
        id=row["id"],
        version=row["version"],
        owner=row["owner"],
        tags=tuple(row["tags"]),
        deleted_at=row["deleted_at"],
        deleted_by=row["deleted_by"],
        merged_into=row["merged_into"],
    )
