"""Notifications in the database, and the facts they are made of; one function per query."""

from collections.abc import Iterable, Sequence
from datetime import datetime
from uuid import UUID

import msgspec

from leadflood.domain.notifications.schemas import (
    BudgetLevel,
    DeadJobs,
    NewNotification,
    NotableEvent,
    NotificationKind,
    NotificationReader,
    NotificationView,
    RunFacts,
    SendingHold,
)
from leadflood.engine.db.sql import load_queries
from leadflood.engine.db.tx import Reader as Db, Row, Tx

SQL = load_queries(__file__)
NEWEST = UUID(int=2**128 - 1)
FIRST = UUID(int=0)
EventPosition = tuple[int, str, UUID]
"""(era, xid, id): a place in the log."""


class LogPosition(msgspec.Struct, frozen=True):
    """Where the log was read to, and when."""

    place: EventPosition
    looked_at: datetime


async def lock_position(tx: Tx) -> LogPosition | None:
    """Take the right to read on; None: another node has it, or nobody has begun."""
    row = await tx.fetch_one(SQL.lock_place)
    if row is None:
        return None
    return LogPosition((row["era"], row["xid"], row["event_id"]), row["looked_at"])


async def start_at_end(tx: Tx, now: datetime) -> None:
    """Begin at the end of the log, unless somebody has begun."""
    if not await tx.fetch_value(SQL.has_place):
        await tx.execute(SQL.begin_here, event_id=FIRST, now=now)


async def read_log(
    tx: Tx, place: EventPosition, types: Sequence[str], limit: int
) -> tuple[list[NotableEvent], EventPosition]:
    """Read events behind a place; tell them and the place behind them."""
    head = await tx.fetch_one(SQL.find_head)
    if head is None:
        raise LookupError("a statement without a table always has a row")
    era, xid, event_id = place
    rows = await tx.fetch(
        SQL.read_log, era=era, xid=xid, id=event_id, head=head["xid"], types=list(types),
        limit=limit,
    )  # fmt: skip
    events = [_happened(row) for row in rows]
    if len(rows) == limit:
        return events, (rows[-1]["era"], rows[-1]["xid"], rows[-1]["id"])
    return events, (head["era"], head["xid"], FIRST)


async def record_position(tx: Tx, place: EventPosition, now: datetime) -> None:
    """Write down how far the log was read."""
    era, xid, event_id = place
    await tx.execute(SQL.move_place, era=era, xid=xid, id=event_id, now=now)


async def find_runs(db: Db, ended: Iterable[UUID], others: Iterable[UUID]) -> dict[UUID, RunFacts]:
    """Read what is to be told of runs; those that have not ended are not counted through."""
    whole = set(ended)
    named = set(others) - whole
    rows: list[Row] = []
    if named:
        rows += await db.fetch(SQL.find_names, ids=list(named))
    if whole:
        rows += await db.fetch(SQL.find_runs, ids=list(whole))
    return {row["run_id"]: RunFacts(**dict(row.items())) for row in rows}


async def find_dead_jobs(db: Db, since: datetime) -> list[DeadJobs]:
    """Read which jobs have died lately."""
    stages = [row["stage"] for row in await db.fetch(SQL.find_dead_stages)]
    rows = await db.fetch(SQL.find_dead, since=since, stages=stages) if stages else ()
    return [DeadJobs(**dict(row.items())) for row in rows]


async def find_hold(db: Db, since: datetime) -> SendingHold | None:
    """Tell whether the guard has held sending since then."""
    row = await db.fetch_one(SQL.find_hold, since=since)
    return None if row is None else SendingHold(reason=row["reason"], changed_at=row["changed_at"])


async def find_budgets(db: Db, scopes: Sequence[str]) -> list[BudgetLevel]:
    """Read caps and what is used of them."""
    rows = await db.fetch(SQL.find_budgets, scopes=list(scopes))
    return [BudgetLevel(**dict(row.items())) for row in rows]


async def record_notifications(
    tx: Tx, told: Sequence[NewNotification], ids: Sequence[UUID], now: datetime
) -> list[UUID]:
    """Write notifications; tell which of the ids are new, the others were told before."""
    rows = await tx.fetch(
        SQL.add_notifications,
        ids=list(ids),
        keys=[one.key for one in told],
        kinds=[one.kind.value for one in told],
        permissions=[one.permission for one in told],
        user_ids=[one.user_id for one in told],
        titles=[one.title[:300] for one in told],
        bodies=[one.body[:2_000] for one in told],
        subject_kinds=[one.subject[0] for one in told],
        subject_ids=[one.subject[1] for one in told],
        now=now,
    )
    return [row["id"] for row in rows]


async def list_notifications(
    db: Db, reader: NotificationReader, *, only_unread: bool, before: UUID | None, limit: int
) -> list[NotificationView]:
    """List what somebody may be told, newest first, behind a place."""
    rows = await db.fetch(
        SQL.list_notifications,
        reader=reader.name,
        user_id=reader.user_id,
        permissions=list(reader.permissions),
        only_unread=only_unread,
        before=before or NEWEST,
        limit=limit,
    )
    return [_view(row) for row in rows]


async def count_unread(db: Db, reader: NotificationReader, bound: int) -> int:
    """Count what somebody has not read, up to a bound."""
    count: int = await db.fetch_value(
        SQL.count_unread,
        reader=reader.name,
        user_id=reader.user_id,
        permissions=list(reader.permissions),
        bound=bound,
    )
    return count


async def is_visible(db: Db, reader: NotificationReader, notification_id: UUID) -> bool:
    """Tell whether somebody may be told of a notification."""
    found = await db.fetch_value(
        SQL.find_visible,
        id=notification_id,
        user_id=reader.user_id,
        permissions=list(reader.permissions),
    )
    return found is not None


async def mark_read(
    tx: Tx, reader: NotificationReader, notification_id: UUID, now: datetime
) -> None:
    """Write down that somebody has read one."""
    await tx.execute(SQL.mark_read, reader=reader.name, id=notification_id, now=now)


async def mark_seen(tx: Tx, reader: NotificationReader, up_to: UUID, now: datetime) -> None:
    """Write down that somebody has read all up to one."""
    await tx.execute(SQL.mark_seen, reader=reader.name, up_to=up_to, now=now)
    await tx.execute(SQL.drop_marks, reader=reader.name, up_to=up_to)


async def prune(db: Db, before: UUID, limit: int = 5_000) -> int:
    """Forget notifications before an id, a few thousand at once; tell how many."""
    return await db.execute(SQL.prune, before=before, limit=limit)


def _happened(row: Row) -> NotableEvent:
    return NotableEvent(
        type=row["type"],
        at=row["at"],
        run_id=row["run_id"],
        payload=msgspec.json.decode(row["payload"], type=dict[str, object]),
    )


def _view(row: Row) -> NotificationView:
    return NotificationView(
        id=row["id"],
        kind=NotificationKind(row["kind"]),
        title=row["title"],
        body=row["body"],
        subject_kind=row["subject_kind"],
        subject_id=row["subject_id"],
        for_me=row["for_me"],
        is_read=row["is_read"],
        created_at=row["created_at"],
    )
