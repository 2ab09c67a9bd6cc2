"""The timer makes due jobs queued."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

import anyio
from leadflood.engine.clock import REAL_TIME, SystemClock
from leadflood.engine.db.pool import Database
from leadflood.engine.db.sql import Query
from leadflood.engine.db.tx import Row
from leadflood.engine.queue.job import RUNNING, SCHEDULED
from leadflood.engine.queue.maintenance.settings import Settings
from leadflood.engine.queue.maintenance.timer import Timer
from leadflood.engine.queue.repository import SQL
from leadflood.engine.queue.wakeups import Wakeups
from tests.support.engine import (
    EngineBench,
    ThingRequested,
    list_jobs,
    list_toys,
    task_numbers,
    wait_until,
    wait_until_settled,
)
from tests.support.statements import sql


def seconds(bench: EngineBench, far: float) -> datetime:
    return bench.clock.now() + timedelta(seconds=far)


async def wake_due(bench: EngineBench, limit: int = 1_000) -> list[str]:
    rows = await bench.db.fetch(SQL.wake_scheduled, now=bench.clock.now(), limit=limit)
    return [row["stage"] for row in rows]


async def test_future_work_does_not_stand_before_a_claim(bench: EngineBench) -> None:
    node = await bench.node()
    await node.publish(ThingRequested(1), run_at=seconds(bench, 60))
    await node.queue(ThingRequested(2))

    assert task_numbers(await node.claim()) == [2]
    assert {row["number"]: row["state"] for row in await list_jobs(bench.db)} == {
        "1": SCHEDULED,
        "2": RUNNING,
    }


async def test_due_jobs_become_queued_in_the_order_of_their_times(bench: EngineBench) -> None:
    node = await bench.node()
    for far in (30, 10, 20, 90):
        await node.publish(ThingRequested(far), run_at=seconds(bench, far))
    bench.clock.advance(45)

    await wake_due(bench, limit=2)
    first = task_numbers(await node.claim())
    await wake_due(bench)

    assert sorted(first) == [10, 20]
    assert task_numbers(await node.claim()) == [30]
    assert [row["number"] for row in await list_jobs(bench.db) if row["state"] == SCHEDULED] == [
        "90"
    ]


async def test_the_timer_is_woken_by_a_job_that_is_due_earlier(bench: EngineBench) -> None:
    engine = await bench.run()
    now = SystemClock().now
    async with engine.publisher.transaction() as publication:
        await publication.publish([ThingRequested(1)], run_at=now() + timedelta(seconds=60))
    await REAL_TIME.sleep(0.05)

    async with engine.publisher.transaction() as publication:
        await publication.publish([ThingRequested(2)], run_at=now() + timedelta(seconds=0.2))

    async def is_second_done() -> bool:
        return await list_toys(bench.db) == [(2, "Done")]

    await wait_until(is_second_done, 2.0)


async def test_the_manual_clock_moves_the_timers(bench: EngineBench) -> None:
    engine = await bench.run(clock=bench.clock)
    async with engine.publisher.transaction() as publication:
        await publication.publish([ThingRequested(1)], run_at=seconds(bench, 3600))
    await wait_until(lambda: bench.clock.next_due_seconds() is not None)
    assert not await list_toys(bench.db)

    bench.clock.advance(3600)

    await wait_until_settled(bench.db)
    assert await list_toys(bench.db) == [(1, "Done")]


class CountingReader:
    """Counts the statements of a duty."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self.count = 0

    async def fetch(self, query: Query, **params: Any) -> Sequence[Row]:
        self.count += 1
        return await self._database.fetch(query, **params)

    async def fetch_value(self, query: Query, **params: Any) -> Any:
        self.count += 1
        return await self._database.fetch_value(query, **params)


async def test_a_due_job_that_is_locked_by_another_is_asked_for_at_a_slow_pace(
    bench: EngineBench,
) -> None:
    node = await bench.node()
    await node.publish(ThingRequested(1), run_at=seconds(bench, 1))
    reader = CountingReader(bench.db)
    timer = Timer(reader, bench.clock, Wakeups(), Settings())  # type: ignore[arg-type]
    bench.clock.advance(10)

    async with bench.db.transaction() as tx:
        await tx.fetch(sql("SELECT FROM job FOR UPDATE"))
        with anyio.move_on_after(1.0):
            await timer.run()

    assert 2 < reader.count < 50
