"""The timer makes due jobs queued (DESIGN §3.2)."""

from datetime import datetime, timedelta

from leadflood.engine.clock import REAL_TIME, SystemClock
from leadflood.engine.queue.job import RUNNING, SCHEDULED
from leadflood.engine.queue.repository import SQL
from tests.support.engine import (
    Bench,
    Wanted,
    job_rows,
    numbers,
    toys,
    until,
    until_settled,
)


def seconds(bench: Bench, far: float) -> datetime:
    return bench.clock.now() + timedelta(seconds=far)


async def wake_due(bench: Bench, limit: int = 1_000) -> list[str]:
    rows = await bench.db.fetch(SQL.wake_scheduled, now=bench.clock.now(), limit=limit)
    return [row["stage"] for row in rows]


async def test_future_work_does_not_stand_before_a_claim(bench: Bench) -> None:
    node = await bench.node()
    await node.publish(Wanted(1), run_at=seconds(bench, 60))
    await node.queue(Wanted(2))

    assert numbers(await node.claim()) == [2]
    assert {row["number"]: row["state"] for row in await job_rows(bench.db)} == {
        "1": SCHEDULED,
        "2": RUNNING,
    }


async def test_due_jobs_become_queued_in_the_order_of_their_times(bench: Bench) -> None:
    node = await bench.node()
    for far in (30, 10, 20, 90):
        await node.publish(Wanted(far), run_at=seconds(bench, far))
    bench.clock.advance(45)

    await wake_due(bench, limit=2)
    first = numbers(await node.claim())
    await wake_due(bench)

    assert sorted(first) == [10, 20]
    assert numbers(await node.claim()) == [30]
    assert [row["number"] for row in await job_rows(bench.db) if row["state"] == SCHEDULED] == [
        "90"
    ]


async def test_the_timer_is_woken_by_a_job_that_is_due_earlier(bench: Bench) -> None:
    engine = await bench.run()
    now = SystemClock().now
    async with engine.publisher.transaction() as publication:
        await publication.publish([Wanted(1)], run_at=now() + timedelta(seconds=60))
    await REAL_TIME.sleep(0.05)

    async with engine.publisher.transaction() as publication:
        await publication.publish([Wanted(2)], run_at=now() + timedelta(seconds=0.2))

    async def is_second_done() -> bool:
        return await toys(bench.db) == [(2, "Done")]

    await until(is_second_done, 2.0)


async def test_the_manual_clock_moves_the_timers(bench: Bench) -> None:
    engine = await bench.run(clock=bench.clock)
    async with engine.publisher.transaction() as publication:
        await publication.publish([Wanted(1)], run_at=seconds(bench, 3600))
    await until(lambda: bench.clock.next_due_seconds() is not None)
    assert not await toys(bench.db)

    bench.clock.advance(3600)

    await until_settled(bench.db)
    assert await toys(bench.db) == [(1, "Done")]
