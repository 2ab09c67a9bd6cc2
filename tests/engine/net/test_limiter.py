"""A lane in the process: who waits, in which order, and what happens to missed moments."""

import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from datetime import datetime, timedelta
from itertools import pairwise
from uuid import uuid4

import anyio
import msgspec
import pytest
from leadflood.engine.clock import REAL_TIME, Clock, ManualClock, SystemClock
from leadflood.engine.context import JobContext
from leadflood.engine.db.pool import Database
from leadflood.engine.errors import Throttled, Transient
from leadflood.engine.ledger.rate_limits import PostgresAllowance, reset_rate_limits
from leadflood.engine.net.calls import LimitHint, Window
from leadflood.engine.net.gcra import AllowanceState, LimitFeedback
from leadflood.engine.net.ledger_port import AllowanceRow
from leadflood.engine.net.limiter import DEFAULTS, Lane, LaneKey, Limiter, Settings, Slot
from tests.support.shifted_clock import ShiftedClock

KEY = LaneKey("acme", "", "default")
TEN_A_SECOND = (Window(600, 60),)


class Table:
    """The rows in memory; `is_down` makes leasing fail."""

    def __init__(self) -> None:
        self.row = AllowanceRow("")
        self.is_down = False
        self.leases = 0

    @asynccontextmanager
    async def locked(
        self, _: str, __: str, ___: str, ____: datetime
    ) -> AsyncIterator[AllowanceRow]:
        self.leases += 1
        if self.is_down:
            raise ConnectionError("gone")
        yield self.row


@asynccontextmanager
async def a_lane(
    clock: Clock,
    table: Table | None = None,
    windows: tuple[Window, ...] = TEN_A_SECOND,
    settings: Settings = DEFAULTS,
) -> AsyncIterator[Lane]:
    limiter = Limiter(table or Table(), clock, settings)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(limiter.run)
        yield limiter.lane(KEY, windows)
        tasks.cancel_scope.cancel()


async def take(lane: Lane, departures: list[tuple[str, float]], name: str, priority: int) -> None:
    job = JobContext("test", uuid4(), 1, None)
    job.priority = priority
    slot = await lane.acquire(job)
    departures.append((name, slot.at))


async def test_moments_are_evenly_spaced_and_given_out_by_priority() -> None:
    clock, departures = ManualClock(), list[tuple[str, float]]()

    async with a_lane(clock) as lane, anyio.create_task_group() as tasks:
        for name, priority in (("c", 5), ("a", 0), ("d", 5), ("b", 1)):
            tasks.start_soon(take, lane, departures, name, priority)
        while len(departures) < 4:
            await anyio.wait_all_tasks_blocked()
            clock.advance(0.05)

    assert [name for name, _ in departures] == ["a", "b", "c", "d"]
    gaps = [later[1] - earlier[1] for earlier, later in pairwise(departures)]
    assert all(0.1 < gap < 0.12 for gap in gaps)


async def test_two_processes_share_one_allowance() -> None:
    clock, departures, table = ManualClock(), list[tuple[str, float]](), Table()

    async with (
        a_lane(clock, table) as first,
        a_lane(clock, table) as second,
        anyio.create_task_group() as tasks,
    ):
        for number in range(12):
            tasks.start_soon(take, (first, second)[number % 2], departures, str(number), 0)
        while len(departures) < 12:
            await anyio.wait_all_tasks_blocked()
            clock.advance(0.05)

    moments = sorted(at for _, at in departures)
    assert all(b - a > 0.1 for a, b in pairwise(moments))


async def test_a_clock_that_ran_ahead_for_a_moment_blocks_nobody_for_long() -> None:
    clock, table = ManualClock(), Table()
    async with a_lane(ManualClock(clock.now() + timedelta(hours=1)), table) as ahead:
        await ahead.acquire()

    async with a_lane(clock, table) as lane:
        with anyio.fail_after(2), pytest.raises(Throttled) as refusal:
            await lane.acquire()

    assert refusal.value.retry_after_seconds is not None
    assert refusal.value.retry_after_seconds < 61


@pytest.mark.pg
async def test_two_hosts_whose_clocks_are_apart_share_a_limit(database: Database) -> None:
    counts = [0, 0]

    async def call_often(lane: Lane, host: int) -> None:
        while True:
            try:
                await lane.acquire()
                counts[host] += 1
            except Throttled:
                await SystemClock().sleep(0.05)

    async with (
        host_lane(database, ShiftedClock(3.0)) as fast,
        host_lane(database, SystemClock()) as right,
        host_lane(database, ShiftedClock(-3.0)) as slow,
    ):
        with anyio.move_on_after(1.5):
            async with anyio.create_task_group() as tasks:
                for host, lane in enumerate((fast, slow)):
                    tasks.start_soon(call_often, lane, host)
        with anyio.fail_after(1):
            await right.acquire()

    assert min(counts) > 20
    assert sum(counts) < 200


@asynccontextmanager
async def host_lane(database: Database, clock: Clock) -> AsyncIterator[Lane]:
    limiter = Limiter(PostgresAllowance(database, clock), clock, Settings())
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(limiter.run)
        yield limiter.lane(KEY, (Window(100, 1),))
        tasks.cancel_scope.cancel()


@pytest.mark.pg
async def test_a_lane_that_a_row_holds_up_goes_on_once_it_is_reset(database: Database) -> None:
    allowance = PostgresAllowance(database, SystemClock())
    state = AllowanceState(held_until=SystemClock().now().timestamp() + 600)
    async with allowance.locked(
        KEY.provider, KEY.api_key, KEY.limit_name, SystemClock().now()
    ) as row:
        row.state = msgspec.json.encode(state).decode()

    async with host_lane(database, SystemClock()) as lane:
        with pytest.raises(Throttled):
            await lane.acquire()
        assert await reset_rate_limits(database, KEY.provider) == 1
        with anyio.fail_after(5):
            while True:
                try:
                    await lane.acquire()
                    break
                except Throttled:
                    await SystemClock().sleep(0.1)


async def test_a_missed_moment_is_not_used() -> None:
    clock = ManualClock()

    async with a_lane(clock) as lane:
        slot = await lane.acquire()
        clock.advance(1.0)

        assert await lane.wait_for_start(slot) is False

    assert lane.missed == 1


async def test_a_loop_that_stalls_again_and_again_still_lets_most_calls_leave_in_time() -> None:
    clock = SystemClock()
    departures: list[float] = []

    async def call(lane: Lane) -> None:
        while True:
            try:
                slot = await lane.acquire()
            except Throttled:
                await clock.sleep(0.2)
                continue
            while not await lane.wait_for_start(slot):
                slot = await lane.acquire(is_again=True)
            departures.append(clock.monotonic())

    async with a_lane(clock, windows=(Window(1_000, 60),)) as lane, anyio.create_task_group() as tg:
        for _ in range(60):
            tg.start_soon(call, lane)
        for _ in range(10):
            await clock.sleep(0.25)
            time.sleep(0.15)  # noqa: ASYNC251 - a loop that has too much to do
        tg.cancel_scope.cancel()

    assert len(departures) >= 20  # 67 moments, of which the stalls leave time for 40; before: 5


async def test_a_call_leaves_at_its_moment() -> None:
    clock = SystemClock()

    async with a_lane(clock) as lane:
        for _ in range(3):
            slot = await lane.acquire()
            on_time = await lane.wait_for_start(slot)
            assert on_time
            assert clock.monotonic() >= slot.at - 0.002  # the loop counts whole milliseconds


async def test_a_call_that_would_wait_more_than_two_seconds_is_refused_at_once() -> None:
    clock = ManualClock()

    async with a_lane(clock, windows=(Window(6, 60),)) as lane:
        await lane.acquire()
        with pytest.raises(Throttled) as exc_info:
            await lane.acquire()

    assert 9 < exc_info.value.retry_after_seconds < 11


async def test_a_moment_given_back_goes_to_the_next() -> None:
    clock, slots = ManualClock(), list[Slot]()

    async def wait(lane: Lane) -> None:
        slots.append(await lane.acquire())

    async with a_lane(clock, windows=(Window(60, 60),)) as lane, anyio.create_task_group() as tasks:
        first = await lane.acquire()
        tasks.start_soon(wait, lane)
        await anyio.wait_all_tasks_blocked()
        future = Slot(clock.monotonic() + 0.5, 0.0, first.tolerance_seconds)
        lane.release(future)

    assert slots == [future]


async def test_a_cancelled_waiter_leaves_the_queue() -> None:
    clock, table = ManualClock(), Table()

    async with a_lane(clock, table, (Window(60, 60),)) as lane:
        await lane.acquire()
        with anyio.CancelScope() as scope:
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(lane.acquire)
                await anyio.wait_all_tasks_blocked()
                scope.cancel()
        clock.advance(5)
        await anyio.wait_all_tasks_blocked()
        slot = await lane.acquire()

    assert slot.at - clock.monotonic() < 0.1


async def test_waiters_fail_when_the_database_does_not_answer() -> None:
    clock, table = ManualClock(), Table()
    table.is_down = True
    errors: list[Transient] = []

    async def wait(lane: Lane) -> None:
        try:
            await lane.acquire()
        except Transient as error:
            errors.append(error)

    async with a_lane(clock, table) as lane, anyio.create_task_group() as tasks:
        tasks.start_soon(wait, lane)
        while not errors:
            await anyio.wait_all_tasks_blocked()
            clock.advance(1)

    assert table.leases == 3


async def test_a_lane_without_any_limit_asks_the_database_once_a_second() -> None:
    clock, table = ManualClock(), Table()

    async with a_lane(clock, table, ()) as lane:
        probe = await lane.acquire()
        lane.record_feedback(LimitFeedback(0.0, 0.0, ends_probe=True))
        for _ in range(100):
            await lane.acquire()
        leases = table.leases
        clock.advance(1.5)
        await lane.acquire()

    assert probe.is_probe
    assert leases <= 3
    assert table.leases > leases


async def test_one_call_goes_first_and_its_headers_are_the_limit_for_the_rest() -> None:
    clock, departures = ManualClock(), list[tuple[str, float]]()

    async with a_lane(clock, windows=()) as lane, anyio.create_task_group() as tasks:
        for number in range(5):
            tasks.start_soon(take, lane, departures, str(number), 0)
        await anyio.wait_all_tasks_blocked()
        first = len(departures)
        now = clock.now().timestamp()
        lane.record_feedback(
            LimitFeedback(now, now, (LimitHint(60, 600, 599, 60.0),), ends_probe=True)
        )
        while len(departures) < 5:
            clock.advance(0.05)
            await anyio.wait_all_tasks_blocked()

    assert first == 1
    assert departures[4][1] - departures[1][1] == pytest.approx(0.3, abs=0.05)


async def test_a_waiter_is_sent_back_within_its_time_whoever_comes_meanwhile() -> None:
    waited: list[float] = []

    async def wait(lane: Lane) -> None:
        began = REAL_TIME.monotonic()
        job = JobContext("test", uuid4(), 1, None)
        job.turn = 1_000
        with pytest.raises(Throttled) as refused:
            await lane.acquire(job)
        waited.append(REAL_TIME.monotonic() - began)
        assert refused.value.error_code == "net.limit"
        assert refused.value.retry_after_seconds > 0

    async def come_first(lane: Lane) -> None:
        with suppress(Throttled):
            await lane.acquire(JobContext("test", uuid4(), 1, None))

    quick = Settings(wait_at_most_seconds=0.5)
    async with a_lane(SystemClock(), settings=quick) as lane, anyio.create_task_group() as tasks:
        for _ in range(3):
            tasks.start_soon(come_first, lane)
        tasks.start_soon(wait, lane)
        for _ in range(60):
            tasks.start_soon(come_first, lane)
            await REAL_TIME.sleep(0.02)
            if waited:
                break

    assert 0.4 < waited[0] < 1.0
