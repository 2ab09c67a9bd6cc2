"""One injected clock."""

from datetime import UTC, datetime

import anyio
from hypothesis import example, given, strategies as st
from leadflood.engine.clock import REAL_TIME, ManualClock, SystemClock


def test_the_system_clock_tells_utc() -> None:
    now = SystemClock().now()

    assert now.tzinfo is UTC
    assert abs((now - datetime.now(UTC)).total_seconds()) < 5  # noqa: TID251 - what it is held to


async def test_the_system_clock_waits_in_real_time() -> None:
    started_at = REAL_TIME.monotonic()

    await SystemClock().sleep(0.02)

    assert REAL_TIME.monotonic() - started_at >= 0.015


async def test_manual_time_stands_still_until_it_is_moved() -> None:
    clock, woken = ManualClock(), []

    async def wait(name: str, seconds: float) -> None:
        await clock.sleep(seconds)
        woken.append((name, clock.monotonic()))

    async with anyio.create_task_group() as group:
        group.start_soon(wait, "late", 20.0)
        group.start_soon(wait, "soon", 10.0)
        await anyio.wait_all_tasks_blocked()
        assert not woken
        assert clock.next_due_seconds() == 10
        clock.advance(10)
        await anyio.wait_all_tasks_blocked()
        assert woken == [("soon", 10.0)]
        clock.advance(10)

    assert woken == [("soon", 10.0), ("late", 20.0)]
    assert (clock.now() - datetime(2026, 1, 5, 9, tzinfo=UTC)).total_seconds() == 20
    assert clock.next_due_seconds() is None


async def test_a_sleep_of_nothing_does_not_wait_for_the_clock() -> None:
    await ManualClock().sleep(0)


async def test_a_cancelled_sleep_leaves_nothing_behind() -> None:
    clock = ManualClock()

    with anyio.move_on_after(0.01):
        await clock.sleep(60)

    assert clock.next_due_seconds() is None
    clock.advance(100)


@example([1.7523601703869645, 262146.1796882239])
@given(st.lists(st.floats(1e-6, 1e6, allow_nan=False), min_size=1, max_size=20))
async def test_jumping_to_the_next_due_time_always_wakes_somebody(waits: list[float]) -> None:
    clock, woken = ManualClock(), []

    async def wait(seconds: float) -> None:
        await clock.sleep(seconds)
        woken.append(seconds)

    async with anyio.create_task_group() as group:
        for seconds in waits:
            group.start_soon(wait, seconds)
        await anyio.lowlevel.checkpoint()
        for _ in waits:
            if (due := clock.next_due_seconds()) is None:
                break
            before = len(woken)
            clock.advance(due)
            await anyio.lowlevel.checkpoint()
            await anyio.lowlevel.checkpoint()
            assert len(woken) > before

    assert sorted(woken) == sorted(waits)
