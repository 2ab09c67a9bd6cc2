from uuid import UUID

import anyio
import pytest
from leadflood.domain.notifications.schemas import (
    NotificationCreated,
    NotificationReader,
)
from leadflood.domain.notifications.service.event_notifier import EventNotifier
from leadflood.domain.notifications.service.notifications import NotificationService
from tests.domain.notifications.log import (
    ANN,
    a_notification,
    log_event,
    notifications_of,
    poll,
    poll_until_new,
    publish,
)
from tests.support.messaging import World
from tests.support.statements import sql

pytestmark = pytest.mark.pg


async def test_a_completed_run_gives_one_notification_however_many_nodes_poll(
    world: World, notifier: EventNotifier, service: NotificationService
) -> None:
    run_id = await world.run()
    await log_event(world, "run.completed", run_id)
    await poll(world, notifier)
    await log_event(world, "run.completed", run_id)

    made = await poll_until_new(world, notifier)
    async with anyio.create_task_group() as group:
        for _ in range(5):
            group.start_soon(poll, world, notifier)

    assert made == 1
    [notification] = await notifications_of(service, ANN)
    assert (notification.kind, notification.subject_id) == ("run.completed", str(run_id))
    [event] = world.publisher.events
    assert isinstance(event, NotificationCreated)
    assert event.notification_id == notification.id


async def test_events_before_the_first_poll_give_no_notification(
    world: World, notifier: EventNotifier, service: NotificationService
) -> None:
    await log_event(world, "run.completed", await world.run())

    for _ in range(3):
        await poll(world, notifier)

    assert await notifications_of(service, ANN) == []


async def test_a_hold_of_sending_and_dead_jobs_are_noticed_without_an_event(
    world: World, notifier: EventNotifier, service: NotificationService
) -> None:
    admin = NotificationReader(
        name="operator", user_id=None, permissions=("admin:read", "messages:approve")
    )
    await poll(world, notifier)
    now = world.clock.now()
    await world.db.execute(
        sql(
            "INSERT INTO switch (name, state, by_whom, reason, changed_at)"
            " VALUES ('sending', 'held', 'guard', 'a restore', $1)",
            "now",
        ),
        now=now,
    )
    for _ in range(3):
        await world.db.execute(
            sql(
                "INSERT INTO dead_letter (id, stage, turn, priority, attempts, losses, payload,"
                " error_code, error, chain, created_at, died_at)"
                " VALUES ($1, 'a.run', 0, 0, 1, 0, '{}', 'x', 'x', '', $2, $2)",
                "id",
                "now",
            ),
            id=world.ids.new(),
            now=now,
        )

    for _ in range(2):
        await poll(world, notifier)

    assert {notification.kind for notification in await notifications_of(service, admin)} == {
        "sending.held",
        "jobs.dead",
    }
    assert len(await notifications_of(service, admin)) == 2


async def test_the_same_key_published_ten_times_at_once_is_one_notification(
    world: World, notifier: EventNotifier, service: NotificationService
) -> None:
    counts: list[int] = []

    async def once_more() -> None:
        counts.append(await publish(world, notifier, a_notification("same")))

    async with anyio.create_task_group() as group:
        for _ in range(10):
            group.start_soon(once_more)

    assert sorted(counts) == [0] * 9 + [1]
    assert len(await notifications_of(service, ANN)) == 1


async def test_waiting_drafts_give_one_notification_a_run(
    world: World, notifier: EventNotifier, service: NotificationService
) -> None:
    seller = NotificationReader(
        name="user:ann", user_id=UUID(int=1), permissions=("messages:approve",)
    )
    run_id, icp_id = await world.run("hold"), await world.icp(autopilot=False)
    leads = [await world.lead(email=f"p{n}@acme.example", full_name=f"Ada {n}") for n in range(3)]
    await world.drafted(leads, run_id, icp_id)
    await poll(world, notifier)
    for _ in range(3):
        await log_event(world, "messaging.message.drafted", run_id)

    await poll_until_new(world, notifier)
    await poll(world, notifier)

    [notification] = await notifications_of(service, seller)
    assert (notification.kind, notification.subject_id) == ("drafts.waiting", str(run_id))
