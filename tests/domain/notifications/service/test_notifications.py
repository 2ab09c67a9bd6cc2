import pytest
from leadflood.domain.notifications.service.event_notifier import EventNotifier
from leadflood.domain.notifications.service.notifications import NotificationService
from leadflood.engine.errors import NotFound
from tests.domain.notifications.log import (
    ANN,
    BOB,
    a_notification,
    notifications_of,
    publish,
)
from tests.support.messaging import World

pytestmark = pytest.mark.pg


async def test_readers_see_what_their_permissions_allow_and_what_is_for_them(
    world: World, notifier: EventNotifier, service: NotificationService
) -> None:
    await publish(
        world,
        notifier,
        a_notification(title="all"),
        a_notification(title="leads", permission="leads:read"),
        a_notification(title="bob", user_id=BOB.user_id),
    )

    anns = {item.title: item.for_me for item in await notifications_of(service, ANN)}
    bobs = {item.title: item.for_me for item in await notifications_of(service, BOB)}

    assert anns == {"all": False, "leads": False}
    assert bobs == {"all": False, "bob": True}


async def test_marks_belong_to_a_reader_and_reading_up_to_one_leaves_newer_ones(
    world: World, notifier: EventNotifier, service: NotificationService
) -> None:
    for number in range(4):
        await publish(world, notifier, a_notification(title=str(number)))
    newest, second, third, _ = await notifications_of(service, ANN)

    async with world.db.transaction() as tx:
        await service.mark_read(tx, ANN, newest.id)
        await service.mark_read(tx, ANN, newest.id)
    assert await service.count_unread(ANN) == 3
    async with world.db.transaction() as tx:
        await service.mark_seen(tx, ANN, third.id)

    left = await service.list_some(ANN, only_unread=True)
    assert [item.id for item in left] == [second.id]
    assert await service.count_unread(ANN) == 1
    assert await service.count_unread(BOB) == 4
    assert [item.is_read for item in await notifications_of(service, ANN)] == [
        True,
        False,
        True,
        True,
    ]


async def test_a_reader_cannot_mark_what_they_may_not_see(
    world: World, notifier: EventNotifier, service: NotificationService
) -> None:
    await publish(world, notifier, a_notification(permission="leads:read"))
    [notification] = await notifications_of(service, ANN)

    for mark in (service.mark_read, service.mark_seen):
        with pytest.raises(NotFound):
            async with world.db.transaction() as tx:
                await mark(tx, BOB, notification.id)
