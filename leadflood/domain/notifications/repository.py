"""Notifications in the database, and the facts they are made of: a function a query."""

from collections.abc import Iterable, Sequence
from datetime import datetime
from uuid import UUID

import msgspec

from leadflood.domain.notifications.schemas import (
    BudgetLevel,
    CreatedKey,
    DeadJobs,
    FactorChange,
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
"""(era, xid, id) in the event log."""


class LogPosition(msgspec.Struct, frozen=True):
    """Where the log was read to, and when."""

    position: EventPosition
    read_at: datetime


async def lock_position(tx: Tx) -> LogPosition | None:
    """Lock the position; None: another node holds it, or none was recorded."""
    row = await tx.fetch_one(SQL.lock_position)
    if row is None:
        return None
    return LogPosition((row["era"], row["xid"], row["event_id"]), row["looked_at"])


async def start_at_end(tx: Tx, now: datetime) -> None:
    """Record the end of the log as the position, unless there is one."""
    if not await tx.fetch_value(SQL.has_position):
        await tx.execute(SQL.start_at_end, event_id=FIRST, now=now)


async def read_log(
    tx: Tx, position: EventPosition, types: Sequence[str], limit: int
) -> tuple[list[NotableEvent], EventPosition]:
    """Read events behind a position; return them and the position behind them."""
    head = await tx.fetch_one(SQL.find_head)
    if head is None:
        raise LookupError("a statement without a table always has a row")
    era, xid, event_id = position
    rows = await tx.fetch(
        SQL.read_log,
        era=era,
        xid=xid,
        id=event_id,
        head=head["xid"],
        types=list(types),
        limit=limit,
    )
    events = [_event_of(row) for row in rows]
    if len(rows) == limit:
        return events, (rows[-1]["era"], rows[-1]["xid"], rows[-1]["id"])
    return events, (head["era"], head["xid"], FIRST)


async def record_position(tx: Tx, position: EventPosition, now: datetime) -> None:
    """Record how far the log was read."""
    era, xid, event_id = position
    await tx.execute(SQL.record_position, era=era, xid=xid, id=event_id, now=now)


async def find_runs(
    db: Db, completed: Iterable[UUID], mentioned: Iterable[UUID]
) -> dict[UUID, RunFacts]:
    """Read the facts of runs; only those of completed runs are counted in full."""
    counted = set(completed)
    named = set(mentioned) - counted
    rows: list[Row] = []
    if named:
        rows += await db.fetch(SQL.find_names, ids=list(named))
    if counted:
        rows += await db.fetch(SQL.find_runs, ids=list(counted))
    return {row["run_id"]: RunFacts(**dict(row.items())) for row in rows}


async def find_dead_jobs(db: Db, since: datetime) -> list[DeadJobs]:
    """Find the jobs that died since then."""
    stages = [row["stage"] for row in await db.fetch(SQL.find_dead_stages)]
    rows = await db.fetch(SQL.find_dead, since=since, stages=stages) if stages else ()
    return [DeadJobs(**dict(row.items())) for row in rows]


async def find_created_keys(tx: Tx, since: datetime) -> list[CreatedKey]:
    """Find the API keys made since an instant."""
    rows = await tx.fetch(SQL.find_created_keys, since=since)
    return [CreatedKey(**dict(row.items())) for row in rows]


async def find_factor_changes(
    tx: Tx, actions: Sequence[str], since: datetime
) -> list[FactorChange]:
    """Find the acts on second factors since an instant."""
    rows = await tx.fetch(SQL.find_factor_changes, actions=list(actions), since=since)
    return [FactorChange(**dict(row.items())) for row in rows]


async def find_hold(db: Db, since: datetime) -> SendingHold | None:
    """Find the hold of sending that the guard began since then."""
    row = await db.fetch_one(SQL.find_hold, since=since)
    return None if row is None else SendingHold(reason=row["reason"], changed_at=row["changed_at"])


async def find_budgets(db: Db, scopes: Sequence[str]) -> list[BudgetLevel]:
    """Find caps and what is used of them."""
    rows = await db.fetch(SQL.find_budgets, scopes=list(scopes))
    return [BudgetLevel(**dict(row.items())) for row in rows]


async def record_notifications(
    tx: Tx, notifications: Sequence[NewNotification], ids: Sequence[UUID], now: datetime
) -> list[UUID]:
    """Store notifications; return the ids of the new ones, the others were stored before."""
    rows = await tx.fetch(
        SQL.add_notifications,
        ids=list(ids),
        keys=[notification.key for notification in notifications],
        kinds=[notification.kind.value for notification in notifications],
        permissions=[notification.permission for notification in notifications],
        user_ids=[notification.user_id for notification in notifications],
        titles=[notification.title[:300] for notification in notifications],
        bodies=[notification.body[:2_000] for notification in notifications],
        subject_kinds=[notification.subject[0] for notification in notifications],
        subject_ids=[notification.subject[1] for notification in notifications],
        now=now,
    )
    return [row["id"] for row in rows]


def _rights_of(reader: NotificationReader) -> dict[str, object]:
    """Return the parameters of the fragment `visible`."""
    return {
        "user_id": reader.user_id,
        "permissions": list(reader.permissions),
        "owner": reader.visibility.owner,
    }


async def list_notifications(
    db: Db, reader: NotificationReader, *, only_unread: bool, before: UUID | None, limit: int
) -> list[NotificationView]:
    """List a reader's notifications before an id, newest first."""
    rows = await db.fetch(
        SQL.list_notifications,
        reader=reader.name,
        **_rights_of(reader),
        only_unread=only_unread,
        before=before or NEWEST,
        limit=limit,
    )
    return [_view_of(row) for row in rows]


async def count_unread(db: Db, reader: NotificationReader, bound: int) -> int:
    """Count a reader's unread notifications, up to a bound."""
    count: int = await db.fetch_value(
        SQL.count_unread,
        reader=reader.name,
        **_rights_of(reader),
        bound=bound,
    )
    return count


async def is_visible(db: Db, reader: NotificationReader, notification_id: UUID) -> bool:
    """Whether a reader may see a notification."""
    visible_id = await db.fetch_value(
        SQL.find_visible,
        id=notification_id,
        **_rights_of(reader),
    )
    return visible_id is not None


async def mark_read(
    tx: Tx, reader: NotificationReader, notification_id: UUID, now: datetime
) -> None:
    """Record that a reader has read a notification."""
    await tx.execute(SQL.mark_read, reader=reader.name, id=notification_id, now=now)


async def mark_seen(tx: Tx, reader: NotificationReader, up_to: UUID, now: datetime) -> None:
    """Record that a reader has read all up to a notification."""
    await tx.execute(SQL.mark_seen, reader=reader.name, up_to=up_to, now=now)
    await tx.execute(SQL.drop_marks, reader=reader.name, up_to=up_to)


async def prune(db: Db, before: UUID, limit: int) -> int:
    """Delete notifications before an id, up to a limit; return how many."""
    return await db.execute(SQL.prune, before=before, limit=limit)


def _event_of(row: Row) -> NotableEvent:
    return NotableEvent(
        type=row["type"],
        at=row["at"],
        run_id=row["run_id"],
        payload=msgspec.json.decode(row["payload"], type=dict[str, object]),
    )


def _view_of(row: Row) -> NotificationView:
    columns = dict(row.items())
    return NotificationView(**columns | {"kind": NotificationKind(row["kind"])})
