"""Inspection: nodes, stages, switches and crash loops over the whole installation."""

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

import msgspec

from leadflood.engine.db.tx import Reader, Row
from leadflood.engine.queue import repository, switches
from leadflood.engine.queue.repository import SQL


class NodeRow(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """A node's row; `silent_seconds` is by the database's clock."""

    id: int
    name: str
    started_at: datetime
    silent_seconds: float


class StageOverview(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """A stage over all nodes; `scale` None: as each node's settings say."""

    name: str
    paused: bool
    queued: int
    running: int
    scheduled: int
    oldest_seconds: float | None
    scale: str | None


class CrashLoop(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """A job whose node died under it again and again."""

    id: UUID
    stage: str
    losses: int
    run_at: datetime | None
    run_id: UUID | None


async def list_nodes(db: Reader, now: datetime) -> list[NodeRow]:
    """Return the rows of nodes, also of dead ones that no other node has evicted yet.

    `now` counts only in a database that no node has ever used.
    """
    installation = await repository.find_installation(db)
    database_now = now if installation is None else installation["database_now"]
    return [_node(row, database_now) for row in await repository.list_nodes(db)]


def _node(row: Row, now: datetime) -> NodeRow:
    return NodeRow(
        id=row["id"],
        name=row["name"],
        started_at=row["started_at"],
        silent_seconds=round(max((now - row["last_beat_at"]).total_seconds(), 0.0), 1),
    )


async def list_stages(db: Reader, names: Sequence[str], now: datetime) -> list[StageOverview]:
    """Return depth, age and switches of these stages."""
    switch_rows = await repository.find_switches(db)
    job_counts = {row["stage"]: row for row in await repository.count_jobs(db)}
    return [_stage(name, job_counts.get(name), switch_rows, now) for name in names]


def _stage(
    name: str, counts: Row | None, switch_rows: dict[str, Row], now: datetime
) -> StageOverview:
    pause = switch_rows.get(switches.STAGE + name)
    scale = switch_rows.get(switches.SCALE + name)
    oldest_at = None if counts is None else counts["oldest_at"]
    return StageOverview(
        name=name,
        paused=pause is not None and pause["state"] == switches.PAUSED,
        queued=0 if counts is None else counts["queued"],
        running=0 if counts is None else counts["running"],
        scheduled=0 if counts is None else counts["scheduled"],
        oldest_seconds=None if oldest_at is None else round((now - oldest_at).total_seconds(), 1),
        scale=None if scale is None else scale["state"],
    )


async def list_providers_off(db: Reader) -> list[str]:
    """Return the providers that an operator has switched off."""
    switch_rows = await repository.find_switches(db)
    return [
        name.removeprefix(switches.PROVIDER)
        for name, row in switch_rows.items()
        if name.startswith(switches.PROVIDER) and row["state"] == switches.OFF
    ]


async def list_crash_loops(db: Reader, patience: int, limit: int) -> list[CrashLoop]:
    """Return the jobs that were lost at least `patience` times, most often first."""
    rows = await db.fetch(SQL.list_crash_loops, patience=patience, limit=limit)
    return [CrashLoop(**dict(row.items())) for row in rows]
