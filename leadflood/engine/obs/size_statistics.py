"""Sizes of queue, tables and event log: quick at a million rows, nothing counted beyond a bound."""

from collections.abc import Sequence
from datetime import datetime

import msgspec

from leadflood.engine.db.sql import load_queries
from leadflood.engine.db.tx import Reader, Row

SQL = load_queries(__file__)
COUNTED_UP_TO = 10_000


class QueueDepth(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """Live jobs of a stage; `isEstimate`: more than 10,000 wait, so they are not counted.

    `oldestAt` null: none waits; beyond 10,000 it is the oldest of the first in line.
    """

    stage: str
    queued: int
    running: int
    scheduled: int
    is_estimate: bool
    oldest_at: datetime | None


class TableSize(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """A table as the database's own statistics see it; `rowsEstimate` null: never looked at."""

    name: str
    rows_estimate: int | None
    bytes: int
    index_bytes: int
    dead_rows: int
    last_vacuum_at: datetime | None
    last_analyze_at: datetime | None


class ConnectionCounts(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """Connections to this database, from all processes; `most` to the whole server."""

    active: int
    idle: int
    in_transaction: int
    most: int


class EventLog(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """The log of events; `lagSeconds` is how long an open transaction holds the feed back.

    `oldestAt` and `newestAt` null: it is empty.
    """

    oldest_at: datetime | None
    newest_at: datetime | None
    lag_seconds: float


async def count_queue(db: Reader, stages: Sequence[str]) -> list[QueueDepth]:
    """Count live jobs by stage, exactly up to a bound, else from the size of the index."""
    rows = await db.fetch(SQL.count_queued, stages=list(stages), most=COUNTED_UP_TO + 1)
    live_counts = {
        row["stage"]: row
        for row in await db.fetch(SQL.count_claimed_and_scheduled, most=COUNTED_UP_TO + 1)
    }
    small = sum(row["queued"] for row in rows if row["queued"] <= COUNTED_UP_TO)
    large = [row for row in rows if row["queued"] > COUNTED_UP_TO]
    estimate = 0
    if large:
        in_all = int(await db.fetch_value(SQL.estimate_queued))
        estimate = max(COUNTED_UP_TO + 1, (in_all - small) // len(large))
    return [_depth(row, live_counts.get(row["stage"]), estimate) for row in rows]


async def list_tables(db: Reader) -> list[TableSize]:
    """List all tables, the largest first."""
    return [TableSize(**dict(row.items())) for row in await db.fetch(SQL.list_tables)]


async def find_database_bytes(db: Reader) -> int:
    """Return how large the database is on its disk."""
    return int(await db.fetch_value(SQL.find_database_bytes))


async def count_connections(db: Reader) -> ConnectionCounts:
    """Count the connections to this database."""
    row = await db.fetch_one(SQL.count_connections)
    return (
        ConnectionCounts(**dict(row.items()))
        if row
        else ConnectionCounts(active=0, idle=0, in_transaction=0, most=0)
    )


async def look_at_events(db: Reader, lag_seconds: float) -> EventLog:
    """Return how far back the log of events goes."""
    row = await db.fetch_one(SQL.find_event_ages)
    oldest, newest = (None, None) if row is None else (row["oldest_at"], row["newest_at"])
    return EventLog(oldest_at=oldest, newest_at=newest, lag_seconds=round(lag_seconds, 3))


def _depth(row: Row, live_counts: Row | None, estimate: int) -> QueueDepth:
    is_estimate = row["queued"] > COUNTED_UP_TO
    return QueueDepth(
        stage=row["stage"],
        queued=estimate if is_estimate else row["queued"],
        running=0 if live_counts is None else live_counts["running"],
        scheduled=0 if live_counts is None else live_counts["scheduled"],
        is_estimate=is_estimate,
        oldest_at=row["oldest_at"],
    )
