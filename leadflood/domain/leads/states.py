"""What people change of leads' rows: owner, tags, deletion; locked, decided, written as sets."""

from collections.abc import Iterable, Sequence
from datetime import datetime
from uuid import UUID

from leadflood.domain.leads.schemas import LeadState
from leadflood.engine.db.sql import load_queries
from leadflood.engine.db.tx import Reader, Row, Tx

SQL = load_queries(__file__)

_BETWEEN = "\x1f"


async def deleted_among(db: Reader, lead_ids: Iterable[UUID]) -> frozenset[UUID]:
    """Tell which of these leads somebody has deleted."""
    wanted = list(set(lead_ids))
    if not wanted:
        return frozenset()
    return frozenset(row["id"] for row in await db.fetch(SQL.find_deleted, ids=wanted))


async def lock_states(tx: Tx, lead_ids: Iterable[UUID]) -> dict[UUID, LeadState]:
    """Lock leads in the order of their ids; those that are gone are not in the answer."""
    rows = await tx.fetch(SQL.lock_states, ids=sorted(set(lead_ids)))
    return {row["id"]: _state(row) for row in rows}


async def read_states(db: Reader, lead_ids: Iterable[UUID]) -> dict[UUID, LeadState]:
    """Read leads' rows; those that are gone are not in the answer."""
    rows = await db.fetch(SQL.find_states, ids=list(set(lead_ids)))
    return {row["id"]: _state(row) for row in rows}


async def write_states(
    tx: Tx, before: Sequence[LeadState], after: Sequence[LeadState], by: str, now: datetime
) -> None:
    """Write what was decided of locked leads; each one's version is one higher since.

    Who is one with a lead is deleted and restored with it; tags that are new are remembered.
    """
    if not after:
        return
    await tx.execute(
        SQL.write_states,
        ids=[one.id for one in after],
        owners=[one.owner for one in after],
        tags=[_BETWEEN.join(one.tags) for one in after],
        deleted_ats=[one.deleted_at for one in after],
        deleted_bys=[one.deleted_by for one in after],
        now=now,
    )
    pairs = list(zip(before, after, strict=True))
    moved = [new.id for old, new in pairs if old.deleted_at != new.deleted_at]
    if moved:
        await tx.execute(SQL.delete_with_survivors, ids=moved, now=now)
    names = {name for old, new in pairs for name in new.tags if name not in old.tags}
    if names:
        await tx.execute(SQL.add_tags, names=sorted(names), by=by, now=now)


async def raise_versions(tx: Tx, lead_ids: Iterable[UUID], now: datetime) -> None:
    """Say that leads are shown otherwise since, though their rows say the same."""
    await tx.execute(SQL.raise_versions, ids=sorted(set(lead_ids)), now=now)


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
