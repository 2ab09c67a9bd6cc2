from datetime import timedelta
from typing import cast
from uuid import UUID, uuid4

import anyio
import msgspec
import pytest
from leadflood.domain.notifications.schemas import (
    NewNotification,
    NotificationCreated,
    NotificationKind,
    NotificationView,
    Reader,
    Settings,
)
from leadflood.domain.notifications.service import NotificationService, Watcher
from leadflood.engine.db.pool import Database
from leadflood.engine.errors import NotFound
from leadflood.engine.ids import id_at
from leadflood.engine.queue.publisher import Publication, Publisher
from tests.support.messaging import World
from tests.support.statements import sql

pytestmark = pytest.mark.pg
ANN = Reader(name="user:ann", user_id=UUID(int=1), permissions=("discovery:read", "leads:read"))
BOB = Reader(name="user:bob", user_id=UUID(int=2), permissions=("discovery:read",))


@pytest.fixture
def world(database: Database) -> World:
    return World(database)


@pytest.fixture
def watcher(world: World) -> Watcher:
    return Watcher(world.clock, world.ids, Settings(keep_days=1.0))


@pytest.fixture
def service(world: World) -> NotificationService:
    return NotificationService(world.db, world.clock)


def a_notification(key: str = "", **over: object) -> NewNotification:
    made = NewNotification(
        key=key or str(uuid4()),
        kind=NotificationKind.RUN_COMPLETED,
        permission="discovery:read",
        title="Done",
    )
    return msgspec.structs.replace(made, **over)


async def tell(world: World, watcher: Watcher, *told: NewNotification) -> int:
    async with world.publisher.transaction() as publication:
        return await watcher.tell(cast("Publication", publication), told)


async def look(world: World, watcher: Watcher) -> int:
    return await watcher.look(cast("Publisher", world.publisher))


async def look_until_told(world: World, watcher: Watcher) -> int:
    """The end of the log waits for whoever writes in the same cluster."""
    with anyio.fail_after(10):
        while not (made := await look(world, watcher)):
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


async def seen_by(service: NotificationService, reader: Reader) -> list[NotificationView]:
    return await service.list_some(reader)


async def test_a_run_that_ended_is_told_once_whoever_looks_however_often(
    world: World, watcher: Watcher, service: NotificationService
) -> None:
    run_id = await world.run()
    await log_event(world, "run.completed", run_id)
    await look(world, watcher)
    await log_event(world, "run.completed", run_id)

    made = await look_until_told(world, watcher)
    async with anyio.create_task_group() as group:
        for _ in range(5):
            group.start_soon(look, world, watcher)

    assert made == 1
    [told] = await seen_by(service, ANN)
    assert (told.kind, told.subject_id) == ("run.completed", str(run_id))
    [event] = world.publisher.events
    assert isinstance(event, NotificationCreated)
    assert event.notification_id == told.id


async def test_what_happened_before_the_first_look_is_not_told(
    world: World, watcher: Watcher, service: NotificationService
) -> None:
    await log_event(world, "run.completed", await world.run())

    for _ in range(3):
        await look(world, watcher)

    assert await seen_by(service, ANN) == []


async def test_a_hold_by_the_guard_and_dead_jobs_are_told_though_no_event_tells(
    world: World, watcher: Watcher, service: NotificationService
) -> None:
    admin = Reader(name="operator", user_id=None, permissions=("admin:read", "messages:approve"))
    await look(world, watcher)
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
        await look(world, watcher)

    assert {one.kind for one in await seen_by(service, admin)} == {"sending.held", "jobs.dead"}
    assert len(await seen_by(service, admin)) == 2


async def test_everybody_sees_what_his_permissions_allow_and_what_is_his(
    world: World, watcher: Watcher, service: NotificationService
) -> None:
    await tell(
        world,
        watcher,
        a_notification(title="all"),
        a_notification(title="leads", permission="leads:read"),
        a_notification(title="bob", user_id=BOB.user_id),
    )

    anns = {one.title: one.for_me for one in await seen_by(service, ANN)}
    bobs = {one.title: one.for_me for one in await seen_by(service, BOB)}

    assert anns == {"all": False, "leads": False}
    assert bobs == {"all": False, "bob": True}


async def test_marks_are_everybodys_own_and_all_up_to_one_leave_what_came_since(
    world: World, watcher: Watcher, service: NotificationService
) -> None:
    for number in range(4):
        await tell(world, watcher, a_notification(title=str(number)))
    newest, second, third, _ = await seen_by(service, ANN)

    async with world.db.transaction() as tx:
        await service.mark_read(tx, ANN, newest.id)
        await service.mark_read(tx, ANN, newest.id)
    assert await service.count_unread(ANN) == 3
    async with world.db.transaction() as tx:
        await service.mark_seen(tx, ANN, third.id)

    left = await service.list_some(ANN, only_unread=True)
    assert [one.id for one in left] == [second.id]
    assert await service.count_unread(ANN) == 1
    assert await service.count_unread(BOB) == 4
    assert [one.is_read for one in await seen_by(service, ANN)] == [True, False, True, True]


async def test_what_somebody_may_not_see_he_cannot_mark(
    world: World, watcher: Watcher, service: NotificationService
) -> None:
    await tell(world, watcher, a_notification(permission="leads:read"))
    [told] = await seen_by(service, ANN)

    for mark in (service.mark_read, service.mark_seen):
        with pytest.raises(NotFound):
            async with world.db.transaction() as tx:
                await mark(tx, BOB, told.id)


async def test_the_same_key_told_by_two_at_once_is_one(
    world: World, watcher: Watcher, service: NotificationService
) -> None:
    counts: list[int] = []

    async def once_more() -> None:
        counts.append(await tell(world, watcher, a_notification("same")))

    async with anyio.create_task_group() as group:
        for _ in range(10):
            group.start_soon(once_more)

    assert sorted(counts) == [0] * 9 + [1]
    assert len(await seen_by(service, ANN)) == 1


async def test_old_notifications_are_forgotten_with_their_marks(
    world: World, watcher: Watcher, service: NotificationService
) -> None:
    await tell(world, watcher, a_notification())
    [told] = await seen_by(service, ANN)
    async with world.db.transaction() as tx:
        await service.mark_read(tx, ANN, told.id)
    old = id_at(world.clock.now() - timedelta(days=2))
    await world.db.execute(
        sql(
            "WITH gone AS (DELETE FROM notification_read) UPDATE notification SET id = $1",
            "id",
        ),
        id=old,
    )
    await tell(world, watcher, a_notification(title="young"))

    assert await watcher.prune(world.db) == 1
    assert [one.title for one in await seen_by(service, ANN)] == ["young"]


async def test_drafts_that_wait_are_told_once_a_run(
    world: World, watcher: Watcher, service: NotificationService
) -> None:
    seller = Reader(name="user:ann", user_id=UUID(int=1), permissions=("messages:approve",))
    run_id, icp_id = await world.run("hold"), await world.icp(autopilot=False)
    leads = [await world.lead(email=f"p{n}@acme.example", full_name=f"Ada {n}") for n in range(3)]
    await world.drafted(leads, run_id, icp_id)
    await look(world, watcher)
    for _ in range(3):
        await log_event(world, "messaging.message.drafted", run_id)

    await look_until_told(world, watcher)
    await look(world, watcher)

    [told] = await seen_by(service, seller)
    assert (told.kind, told.subject_id) == ("drafts.waiting", str(run_id))
