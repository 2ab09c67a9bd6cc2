"""The event notifier: reads the event log and writes notifications of what people should know."""

from collections.abc import Sequence
from datetime import timedelta
from uuid import UUID

from leadflood.domain.notifications import repository
from leadflood.domain.notifications.repository import LogPosition
from leadflood.domain.notifications.rules import (
    FACTOR_ACTIONS,
    NOTABLE_EVENTS,
    RUN_COMPLETED,
    describe_budgets,
    describe_created_keys,
    describe_dead_jobs,
    describe_events,
    describe_factor_changes,
    describe_hold,
)
from leadflood.domain.notifications.schemas import (
    NewNotification,
    NotableEvent,
    NotificationCreated,
    RunFacts,
)
from leadflood.engine.clock import Clock
from leadflood.engine.db.tx import Tx
from leadflood.engine.ids import Ids
from leadflood.engine.queue.publisher import Publication, Publisher

BATCH = 1_000
CLOCK_TOLERANCE = timedelta(minutes=1)
"""How long after its time a row may become visible."""


class EventNotifier:
    """Writes each notification once, whichever node sees its cause."""

    def __init__(self, clock: Clock, ids: Ids) -> None:
        self._clock = clock
        self._ids = ids

    async def poll(self, publisher: Publisher) -> int:
        """Read on in the event log, and look at what it does not hold.

        Returns how many notifications are new. A node that finds another one reading leaves it to
        that one.
        """
        new_count = 0
        while True:
            async with publisher.transaction() as publication:
                tx = publication.tx
                start = await repository.lock_position(tx)
                if start is None:
                    await repository.start_at_end(tx, self._clock.now())
                    return new_count
                events, end = await repository.read_log(tx, start.position, NOTABLE_EVENTS, BATCH)
                notifications = describe_events(events, await _find_runs(tx, events))
                notifications += await self._describe_unlogged(tx, start)
                new_count += await self.publish(publication, notifications)
                await repository.record_position(tx, end, self._clock.now())
            if len(events) < BATCH:
                return new_count

    async def publish(
        self, publication: Publication, notifications: Sequence[NewNotification]
    ) -> int:
        """Write notifications in an open transaction with their events; return how many are new."""
        if not notifications:
            return 0
        ids = self._ids.take(len(notifications))
        new_ids = set(
            await repository.record_notifications(
                publication.tx, notifications, ids, self._clock.now()
            )
        )
        events = [
            _created_event(notification_id, notification)
            for notification_id, notification in zip(ids, notifications, strict=True)
            if notification_id in new_ids
        ]
        await publication.publish(events)
        return len(events)

    async def _describe_unlogged(self, tx: Tx, start: LogPosition) -> list[NewNotification]:
        """Describe what has no event: dead jobs, keys, factors, a hold, budgets nearly used up."""
        since = start.read_at - CLOCK_TOLERANCE
        now = self._clock.now()
        scopes = (f"all:day:{now:%Y-%m-%d}", f"all:month:{now:%Y-%m}")
        return [
            *describe_dead_jobs(await repository.find_dead_jobs(tx, since)),
            *describe_created_keys(await repository.find_created_keys(tx, since)),
            *describe_factor_changes(
                await repository.find_factor_changes(tx, FACTOR_ACTIONS, since)
            ),
            *describe_hold(await repository.find_hold(tx, since)),
            *describe_budgets(await repository.find_budgets(tx, scopes)),
        ]


def _created_event(notification_id: UUID, notification: NewNotification) -> NotificationCreated:
    return NotificationCreated(
        notification_id=notification_id,
        kind=notification.kind.value,
        title=notification.title,
        permission=notification.permission,
        user_id=notification.user_id,
        about_run_id=notification.about_run_id,
    )


async def _find_runs(tx: Tx, events: Sequence[NotableEvent]) -> dict[UUID, RunFacts]:
    completed = [event.run_id for event in events if event.run_id and event.type == RUN_COMPLETED]
    mentioned = [event.run_id for event in events if event.run_id]
    return await repository.find_runs(tx, completed, mentioned)
