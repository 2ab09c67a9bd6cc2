"""Reading notifications, marking them read, and making them of what happened."""

from collections.abc import Sequence
from datetime import timedelta
from uuid import UUID

from leadflood.domain.notifications import repository
from leadflood.domain.notifications.rules import (
    NOTABLE_EVENTS,
    RUN_COMPLETED,
    describe_budgets,
    describe_dead_jobs,
    describe_events,
    describe_hold,
)
from leadflood.domain.notifications.schemas import (
    NewNotification,
    NotableEvent,
    NotificationCreated,
    NotificationReader,
    NotificationView,
    RunFacts,
    Settings,
)
from leadflood.engine.clock import Clock
from leadflood.engine.db.pool import Database
from leadflood.engine.db.tx import Tx
from leadflood.engine.errors import NotFound
from leadflood.engine.ids import Ids, id_at
from leadflood.engine.queue.publisher import Publication, Publisher

UNREAD_LIMIT = 1_000
"""Unread ones are counted up to this."""
BATCH = 1_000
CLOCK_TOLERANCE = timedelta(minutes=1)
"""How late what was written at a time may be seen."""


class NotificationService:
    """The use cases of those who read."""

    def __init__(self, db: Database, clock: Clock) -> None:
        self._db = db
        self._clock = clock

    async def list_some(
        self,
        reader: NotificationReader,
        *,
        only_unread: bool = False,
        before: UUID | None = None,
        limit: int = 50,
    ) -> list[NotificationView]:
        """List what somebody may be told, newest first, behind a place."""
        return await repository.list_notifications(
            self._db, reader, only_unread=only_unread, before=before, limit=limit
        )

    async def count_unread(self, reader: NotificationReader) -> int:
        """Count what somebody has not read, up to 1,000."""
        return await repository.count_unread(self._db, reader, UNREAD_LIMIT)

    async def mark_read(self, tx: Tx, reader: NotificationReader, notification_id: UUID) -> int:
        """Record that somebody has read one; return how many are left, up to 1,000.

        Raises: NotFound.
        """
        await self._require_visible(tx, reader, notification_id)
        await repository.mark_read(tx, reader, notification_id, self._clock.now())
        return await repository.count_unread(tx, reader, UNREAD_LIMIT)

    async def mark_seen(self, tx: Tx, reader: NotificationReader, up_to: UUID) -> int:
        """Record that somebody has read all up to one; return how many are left, up to 1,000.

        Raises: NotFound.
        """
        await self._require_visible(tx, reader, up_to)
        await repository.mark_seen(tx, reader, up_to, self._clock.now())
        return await repository.count_unread(tx, reader, UNREAD_LIMIT)

    async def _require_visible(
        self, tx: Tx, reader: NotificationReader, notification_id: UUID
    ) -> None:
        if not await repository.is_visible(tx, reader, notification_id):
            raise NotFound(
                f"there is no notification {notification_id}", code="notification.not_found"
            )


class EventNotifier:
    """Makes notifications of what happened. Each thing is told once, whichever node sees it."""

    def __init__(self, clock: Clock, ids: Ids, settings: Settings) -> None:
        self._clock = clock
        self._ids = ids
        self._settings = settings

    async def look(self, publisher: Publisher) -> int:
        """Read on in the event log, and look at what is not in it; tell how many were made.

        A node that finds another one reading leaves it to that.
        """
        made = 0
        while True:
            async with publisher.transaction() as publication:
                watch = await repository.lock_position(publication.tx)
                if watch is None:
                    await repository.start_at_end(publication.tx, self._clock.now())
                    return made
                events, place = await repository.read_log(
                    publication.tx, watch.place, NOTABLE_EVENTS, BATCH
                )
                told = describe_events(events, await _find_runs(publication.tx, events))
                told += await self._unlogged(publication.tx, watch)
                made += await self.tell(publication, told)
                await repository.record_position(publication.tx, place, self._clock.now())
            if len(events) < BATCH:
                return made

    async def tell(self, publication: Publication, told: Sequence[NewNotification]) -> int:
        """Write notifications in an open transaction, and say so; tell how many are new."""
        if not told:
            return 0
        ids = self._ids.take(len(told))
        new = set(
            await repository.record_notifications(publication.tx, told, ids, self._clock.now())
        )
        events = [
            NotificationCreated(
                notification_id=made,
                kind=one.kind.value,
                title=one.title,
                permission=one.permission,
                user_id=one.user_id,
            )
            for made, one in zip(ids, told, strict=True)
            if made in new
        ]
        await publication.publish(events)
        return len(events)

    async def prune(self, db: Database) -> int:
        """Forget what is past its time; tell how many."""
        before = id_at(self._clock.now() - timedelta(days=self._settings.keep_days))
        total = 0
        while count := await repository.prune(db, before):
            total += count
        return total

    async def _unlogged(self, tx: Tx, watch: repository.LogPosition) -> list[NewNotification]:
        """Look at what no event tells: dead jobs, the guard's hold, caps nearly used up."""
        since = watch.looked_at - CLOCK_TOLERANCE
        today = self._clock.now()
        scopes = (f"all:day:{today:%Y-%m-%d}", f"all:month:{today:%Y-%m}")
        return [
            *describe_dead_jobs(await repository.find_dead_jobs(tx, since)),
            *describe_hold(await repository.find_hold(tx, since)),
            *describe_budgets(await repository.find_budgets(tx, scopes)),
        ]


async def _find_runs(tx: Tx, events: Sequence[NotableEvent]) -> dict[UUID, RunFacts]:
    ended = [event.run_id for event in events if event.run_id and event.type == RUN_COMPLETED]
    others = [event.run_id for event in events if event.run_id]
    return await repository.find_runs(tx, ended, others)
