"""Repository of the queue: one function per statement; structs and plain values in and out."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

import msgspec

from leadflood.engine.db.sql import load_queries
from leadflood.engine.db.tx import Reader, Row, Tx

SQL = load_queries(__file__)

START = (-32768, -(2**63), UUID(int=0))
"""The position before every job: (priority, turn, id)."""

QueuePosition = tuple[int, int, UUID]


class SettledClaims(msgspec.Struct, frozen=True):
    """How many claims were still ours, and which of them were asked for again meanwhile."""

    count: int
    again: dict[UUID, str]


async def claim_jobs(
    tx: Reader, stage: str, node_id: int, after: QueuePosition, limit: int
) -> Sequence[Row]:
    """Take the next queued jobs of a stage behind `after`."""
    return await tx.fetch(
        SQL.claim_jobs,
        node_id=node_id,
        stage=stage,
        after_priority=after[0],
        after_turn=after[1],
        after_id=after[2],
        limit=limit,
    )


async def claim_run_jobs(
    tx: Reader, stage: str, node_id: int, run_ids: Sequence[UUID], limit: int
) -> Sequence[Row]:
    """Take queued jobs of these runs only."""
    return await tx.fetch(
        SQL.claim_run_jobs, node_id=node_id, stage=stage, run_ids=run_ids, limit=limit
    )


async def settle_completed(
    tx: Tx, ids: Sequence[UUID], claims: Sequence[int], now: datetime, *, keeps_history: bool
) -> SettledClaims:
    """Delete claims that all completed; their history is kept."""
    row = await tx.fetch_one(
        SQL.settle_completed, ids=ids, claims=claims, now=now, keeps_history=keeps_history
    )
    return _settled(row)


async def settle_jobs(  # noqa: PLR0913, PLR0917 - one array a column
    tx: Tx,
    ids: Sequence[UUID],
    claims: Sequence[int],
    states: Sequence[int],
    codes: Sequence[str | None],
    attempts: Sequence[int],
    now: datetime,
    *,
    keeps_history: bool,
) -> SettledClaims:
    """Delete claims with the state each ended in."""
    row = await tx.fetch_one(
        SQL.settle_jobs,
        ids=ids,
        claims=claims,
        states=states,
        codes=codes,
        attempts=attempts,
        now=now,
        keeps_history=keeps_history,
    )
    return _settled(row)


def _settled(row: Row | None) -> SettledClaims:
    if row is None:
        return SettledClaims(0, {})
    return SettledClaims(row[0], dict(zip(row[1] or (), row[2] or (), strict=True)))


async def list_held(db: Reader, ids: Sequence[UUID], claims: Sequence[int]) -> set[UUID]:
    """Return which of these claims are still ours."""
    return {row[0] for row in await db.fetch(SQL.list_held, ids=ids, claims=claims)}


async def find_installation(db: Reader) -> Row | None:
    """Return which database this is: as it was written down, and as the server says now."""
    return await db.fetch_one(SQL.find_installation)


async def find_era(db: Reader) -> int | None:
    """Return the era of this database; None before its first node."""
    era: int | None = await db.fetch_value(SQL.find_era)
    return era


async def list_nodes(db: Reader) -> Sequence[Row]:
    """List all nodes with their counters."""
    return await db.fetch(SQL.list_nodes)


async def notify(db: Reader, payload: str) -> None:
    """Notify the other nodes."""
    await db.execute(SQL.notify, payload=payload)


async def find_switches(db: Reader) -> dict[str, Row]:
    """Read all switches by name."""
    return {row["name"]: row for row in await db.fetch(SQL.find_switches)}


async def write_switch(
    db: Reader, name: str, state: str, by_whom: str, reason: str, now: datetime
) -> None:
    """Set a switch, with who and why."""
    await db.execute(
        SQL.write_switch, name=name, state=state, by_whom=by_whom, reason=reason, now=now
    )


async def count_jobs(db: Reader) -> Sequence[Any]:
    """Return depth and age of the queue per stage."""
    return await db.fetch(SQL.count_jobs)
