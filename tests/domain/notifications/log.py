"""What the tests of notifications publish, log and read."""

from typing import cast
from uuid import UUID, uuid4

import anyio
import msgspec
from leadflood.domain.notifications.schemas import (
    NewNotification,
    NotificationKind,
    NotificationReader,
    NotificationView,
)
from leadflood.domain.notifications.service.event_notifier import EventNotifier
from leadflood.domain.notifications.service.notifications import NotificationService
from leadflood.engine.queue.publisher import Publication, Publisher
from tests.support.messaging import World
from tests.support.statements import sql

ANN = NotificationReader(
    name="user:ann", user_id=UUID(int=1), permissions=("discovery:read", "leads:read")
)
BOB = NotificationReader(name="user:bob", user_id=UUID(int=2), permissions=("discovery:read",))


def a_notification(key: str = "", **over: object) -> NewNotification:
    made = NewNotification(
        key=key or str(uuid4()),
        kind=NotificationKind.RUN_COMPLETED,
        permission="discovery:read",
        title="Done",
    )
    return msgspec.structs.replace(made, **over)


async def publish(world: World, notifier: EventNotifier, *notifications: NewNotification) -> int:
    async with world.publisher.transaction() as publication:
        return await notifier.publish(cast("Publication", publication), notifications)


async def poll(world: World, notifier: EventNotifier) -> int:
    return await notifier.poll(cast("Publisher", world.publisher))


async def poll_until_new(world: World, notifier: EventNotifier) -> int:
    """The end of the log waits for whoever writes in the same cluster."""
    with anyio.fail_after(10):
        while not (made := await poll(world, notifier)):
            await anyio.lowlevel.checkpoint()
    return made


async def log_event(world: World, name: str, run_id: UUID | None = None) -> None:
    await world.db.execute(
        sql(
            "INSERT INTO event (era, id, at, run_id, type, payload)"
            " SELECT COALESCE((SELECT era FROM installation), 1), $1, $2, $3, $4, '{}'",
            "id",
            "now",
            "run",
            "type",
        ),
        id=world.ids.new(),
        now=world.clock.now(),
        run=run_id,
        type=name,
    )


async def notifications_of(
    service: NotificationService, reader: NotificationReader
) -> list[NotificationView]:
    return await service.list_some(reader)
