"""Supervisors restart, escalate, take siblings with them, or park."""

import errno
from collections.abc import Awaitable, Callable

import anyio
import pytest
from leadflood.engine.actors import supervisor as supervisor_module
from leadflood.engine.actors.supervisor import (
    Child,
    Health,
    Strategy,
    Supervisor,
    TooManyRestarts,
    describe,
    first_cause,
)
from tests.support.engine import wait_until

Run = Callable[[], Awaitable[None]]


class QuickTime:
    """Backoff without waiting; time moves when told."""

    def __init__(self) -> None:
        self.seconds = 0.0
        self.pauses: list[float] = []

    def monotonic(self) -> float:
        return self.seconds

    async def sleep(self, seconds: float) -> None:
        self.pauses.append(seconds)
        self.seconds += seconds
        await anyio.lowlevel.checkpoint()


@pytest.fixture(autouse=True)
def time(monkeypatch: pytest.MonkeyPatch) -> QuickTime:
    quick = QuickTime()
    monkeypatch.setattr(supervisor_module, "REAL_TIME", quick)
    return quick


def failing(times: int, error: Exception | None = None) -> tuple[Run, list[int]]:
    """Make a child that fails `times` times and then runs for ever."""
    starts: list[int] = []

    async def run() -> None:
        starts.append(len(starts))
        if len(starts) <= times:
            raise error or ValueError(f"failure {len(starts)}")
        await anyio.sleep_forever()

    return run, starts


async def run_until(supervisor: Supervisor, is_so: Callable[[], object]) -> None:
    async with anyio.create_task_group() as group:
        group.start_soon(supervisor.run)
        await wait_until(is_so)
        group.cancel_scope.cancel()


async def test_a_failed_child_is_restarted_alone(time: QuickTime) -> None:
    run, starts = failing(2)
    steady, steady_starts = failing(0)
    children = [Child("weak", run), Child("steady", steady)]
    supervisor = Supervisor("top", children)

    await run_until(supervisor, lambda: len(starts) == 3)

    assert len(steady_starts) == 1
    assert (children[0].restarts, children[0].last_error) == (2, "ValueError: failure 2")
    assert time.pauses == sorted(time.pauses)
    assert len(time.pauses) == 2


async def test_one_for_all_restarts_the_siblings_too() -> None:
    run, starts = failing(1)
    steady, steady_starts = failing(0)
    children = [Child("steady", steady), Child("weak", run)]
    supervisor = Supervisor("stage", children, Strategy.ONE_FOR_ALL)

    await run_until(supervisor, lambda: len(starts) == 2)

    assert len(steady_starts) == 2
    assert [child.restarts for child in children] == [0, 1]


async def test_a_child_that_keeps_failing_escalates(time: QuickTime) -> None:
    run, starts = failing(100)
    supervisor = Supervisor("top", [Child("weak", run)], restarts=3)

    with pytest.raises(ExceptionGroup) as raised:
        await supervisor.run()

    assert isinstance(first_cause(raised.value), TooManyRestarts)
    assert len(starts) == 4
    assert time.seconds < 60


async def test_one_for_all_escalates_too_and_names_the_culprit() -> None:
    run, _ = failing(100)
    steady, _ = failing(0)
    children = [Child("steady", steady), Child("weak", run)]

    with pytest.raises(TooManyRestarts, match="weak failed 3 times"):
        await Supervisor("stage", children, Strategy.ONE_FOR_ALL, restarts=2).run()


async def test_failures_outside_the_window_are_forgotten(time: QuickTime) -> None:
    starts: list[int] = []

    async def fail_rarely() -> None:
        starts.append(len(starts))
        time.seconds += 100
        if len(starts) < 20:
            raise ValueError
        await anyio.sleep_forever()

    supervisor = Supervisor("top", [Child("rare", fail_rarely)], restarts=2)

    await run_until(supervisor, lambda: len(starts) == 20)


async def test_a_supervisor_that_gave_up_is_restarted_by_the_one_above() -> None:
    run, starts = failing(3)
    inner = Supervisor("inner", [Child("weak", run)], restarts=1).as_child()
    outer = Supervisor("outer", [inner])

    await run_until(outer, lambda: len(starts) == 4)

    assert inner.restarts == 1
    assert "weak failed 2 times" in inner.last_error


async def test_an_optional_actor_is_parked_and_the_others_go_on() -> None:
    run, starts = failing(100)
    steady, _ = failing(0)
    children = [Child("analytics", run, optional=True), Child("steady", steady)]

    await run_until(
        Supervisor("top", children, restarts=2), lambda: children[0].health is Health.PARKED
    )

    assert len(starts) == 3
    assert children[0].last_error == "ValueError: failure 3"


@pytest.mark.parametrize("strategy", Strategy)
async def test_a_child_that_returns_unasked_is_restarted(strategy: Strategy) -> None:
    starts: list[int] = []

    async def return_at_first() -> None:
        starts.append(len(starts))
        if len(starts) > 2:
            await anyio.sleep_forever()

    children = [Child("steady", anyio.sleep_forever), Child("weak", return_at_first)]

    await run_until(Supervisor("top", children, strategy), lambda: len(starts) == 3)

    assert children[1].last_error.startswith("EndedEarly: weak returned")


async def test_a_child_that_may_end_is_done_for_good() -> None:
    async def finish() -> None:
        await anyio.lowlevel.checkpoint()

    child = Child("once", finish, may_end=True)

    await Supervisor("top", [child]).run()

    assert (child.health, child.restarts) == (Health.STOPPED, 0)


async def test_cancelling_a_supervisor_ends_all_its_children() -> None:
    names: list[str] = []

    async def run() -> None:
        try:
            await anyio.sleep_forever()
        finally:
            names.append("one")

    for strategy in Strategy:
        with anyio.move_on_after(0.02):
            await Supervisor("top", [Child("a", run), Child("b", run)], strategy).run()

    assert len(names) == 4


def test_an_error_is_described_in_a_line() -> None:
    nested = ExceptionGroup("outer", [ExceptionGroup("inner", [KeyError("x" * 999)])])

    assert describe(nested).startswith("KeyError: 'xxx")
    assert len(describe(nested)) == 300


@pytest.mark.parametrize("number", [errno.EMFILE, errno.ENOSPC], ids=["descriptors", "disk"])
async def test_an_actor_that_finds_no_free_descriptor_or_room_is_never_given_up(
    number: int,
) -> None:
    run, starts = failing(50, OSError(number, "none left"))
    supervisor = Supervisor("root", [Child("postgres", run)])

    await run_until(supervisor, lambda: len(starts) > 50)

    assert supervisor.children[0].health is not Health.PARKED
