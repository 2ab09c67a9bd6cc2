from datetime import timedelta
from typing import Any

import anyio
import pytest
from leadflood.engine.clock import ManualClock
from leadflood.engine.db.pool import Database
from leadflood.engine.ids import Ids
from leadflood.engine.queue.dispatcher import Dispatcher
from leadflood.engine.queue.event_routes import EventRoutes
from leadflood.engine.queue.periodic import SYSTEM_HEARTBEAT, Scheduler
from leadflood.engine.queue.publisher import Publisher
from leadflood.engine.queue.wakeups import Wakeups
from leadflood.pipeline import STAGE_NAMES, STEPS
from tests.support.statements import sql

pytestmark = pytest.mark.pg


def a_scheduler(database: Database, clock: ManualClock) -> Scheduler:
    channels: dict[str, Any] = dict.fromkeys(STAGE_NAMES)
    dispatcher = Dispatcher(EventRoutes(STEPS), channels, None, Wakeups(), Ids(clock), clock)
    publisher = Publisher(database, dispatcher, None, Wakeups())
    return Scheduler(database, clock, publisher, (SYSTEM_HEARTBEAT,))


async def ticks(database: Database) -> list[str]:
    query = sql("SELECT payload FROM event WHERE type = 'system.heartbeat' ORDER BY id")
    return [row["payload"] for row in await database.fetch(query)]


async def test_a_tick_is_taken_once_among_all_nodes(database: Database) -> None:
    clock = ManualClock()
    nodes = [a_scheduler(database, clock) for _ in range(4)]
    for node in nodes:
        await node.register()
    clock.advance(60)
    claims: list[bool] = []

    async def take(node: Scheduler) -> None:
        claims.append(await node.claim_tick(SYSTEM_HEARTBEAT))

    async with anyio.create_task_group() as group:
        for node in nodes:
            group.start_soon(take, node)

    assert sorted(claims) == [False, False, False, True]
    assert len(await ticks(database)) == 1


async def test_missed_ticks_are_made_up_by_one(database: Database) -> None:
    clock = ManualClock()
    node = a_scheduler(database, clock)
    await node.register()
    clock.advance(3_600)

    first, second = await node.claim_tick(SYSTEM_HEARTBEAT), await node.claim_tick(SYSTEM_HEARTBEAT)

    assert (first, second) == (True, False)
    assert len(await ticks(database)) == 1


async def test_a_tick_of_a_clock_that_ran_ahead_does_not_stop_those_of_the_right_one(
    database: Database,
) -> None:
    clock = ManualClock()
    ahead = ManualClock(clock.now() + timedelta(hours=1))
    node, wrong = a_scheduler(database, clock), a_scheduler(database, ahead)
    await node.register()
    clock.advance(60)
    assert await wrong.claim_tick(SYSTEM_HEARTBEAT)

    first, second = await node.claim_tick(SYSTEM_HEARTBEAT), await node.claim_tick(SYSTEM_HEARTBEAT)

    assert (first, second) == (True, False)


def test_ticks_stand_on_whole_minutes() -> None:
    now = ManualClock().now() + timedelta(seconds=119.5)

    assert SYSTEM_HEARTBEAT.tick_at(now) == ManualClock().now() + timedelta(seconds=60)


async def test_a_minute_brings_a_heartbeat(database: Database) -> None:
    clock = ManualClock()
    node = a_scheduler(database, clock)

    async with anyio.create_task_group() as group:
        group.start_soon(node.run)
        with anyio.fail_after(10):
            while len(await ticks(database)) < 3:
                if (due := clock.next_due_seconds()) is not None:
                    clock.advance(due)
        group.cancel_scope.cancel()

    assert len(await ticks(database)) == 3
