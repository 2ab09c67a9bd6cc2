"""Requests that share a batch: alone when idle, together when busy, hurt by nobody's fault."""

import random
from collections.abc import Sequence

import anyio
import pytest
from leadflood.engine.db.group import NotRunning
from leadflood.engine.db.grouped import AGAIN, Again, Grouped, Settings
from leadflood.engine.errors import Bug, Permanent, Transient

Answers = Sequence[int | Exception | Again]
ONE_LANE = Settings(lanes=1)


class Doubler:
    """Doubles numbers, a batch at a time, when it may go on; 13 poisons its whole batch."""

    def __init__(self) -> None:
        self.batches: list[list[int]] = []
        self.done: list[int] = []
        self.may_go = anyio.Event()
        self.may_go.set()

    async def __call__(self, items: Sequence[int]) -> Answers:
        self.batches.append(list(items))
        await self.may_go.wait()
        await anyio.lowlevel.checkpoint()
        if 13 in items:
            raise ValueError("thirteen")
        self.done.extend(items)
        return [Permanent("seven") if item == 7 else item * 2 for item in items]


async def ask_all(grouped: Grouped[int, int], items: Sequence[int]) -> dict[int, int | Exception]:
    answers: dict[int, int | Exception] = {}

    async def ask(item: int) -> None:
        try:
            answers[item] = await grouped.ask(item)
        except Exception as error:  # noqa: BLE001 - the answer looked at
            answers[item] = error

    async with anyio.create_task_group() as tasks:
        for item in items:
            tasks.start_soon(ask, item)
    return answers


async def test_behind_a_batch_of_several_those_who_come_again_gather() -> None:
    doubler = Doubler()
    settings = Settings(lanes=1, pause_ratio=500.0)

    async with Grouped(doubler, settings).running() as grouped:
        await ask_all(grouped, [1, 2])
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(grouped.ask, 3)
            for _ in range(5):
                await anyio.lowlevel.checkpoint()
            tasks.start_soon(grouped.ask, 4)

    assert doubler.batches == [[1, 2], [3, 4]]


async def test_an_idle_one_goes_alone_at_once() -> None:
    doubler = Doubler()

    async with Grouped(doubler).running() as grouped:
        first = await grouped.ask(1)
        second = await grouped.ask(2)

    assert (first, second) == (2, 4)
    assert doubler.batches == [[1], [2]]


async def test_those_who_come_while_a_batch_is_under_way_go_together() -> None:
    doubler = Doubler()
    doubler.may_go = anyio.Event()

    async with Grouped(doubler, ONE_LANE).running() as grouped, anyio.create_task_group() as tasks:
        tasks.start_soon(grouped.ask, 1)
        await anyio.wait_all_tasks_blocked()
        for item in range(2, 6):
            tasks.start_soon(grouped.ask, item)
        await anyio.wait_all_tasks_blocked()
        doubler.may_go.set()

    assert doubler.batches == [[1], [2, 3, 4, 5]]


async def test_no_batch_is_larger_and_no_more_are_under_way_than_allowed() -> None:
    under_way, most = 0, 0

    async def do(items: Sequence[int]) -> Answers:
        nonlocal under_way, most
        assert len(items) <= 5
        under_way += 1
        most = max(most, under_way)
        await anyio.lowlevel.checkpoint()
        under_way -= 1
        return list(items)

    async with Grouped(do, Settings(most=5, lanes=3)).running() as grouped:
        answers = await ask_all(grouped, range(64))

    assert answers == {item: item for item in range(64)}
    assert most == 3


async def test_an_exception_as_an_answer_is_told_to_that_one_only() -> None:
    doubler = Doubler()

    async with Grouped(doubler, ONE_LANE).running() as grouped:
        answers = await ask_all(grouped, range(5, 10))

    assert isinstance(answers.pop(7), Permanent)
    assert answers == {5: 10, 6: 12, 8: 16, 9: 18}
    assert len(doubler.batches) == 1


async def test_one_that_poisons_its_batch_fails_alone_and_the_others_are_done_once() -> None:
    doubler = Doubler()

    async with Grouped(doubler, ONE_LANE).running() as grouped:
        answers = await ask_all(grouped, range(10, 20))

    assert isinstance(answers.pop(13), ValueError)
    assert answers == {item: item * 2 for item in range(10, 20) if item != 13}
    assert sorted(doubler.done) == sorted(answers)


async def test_a_connection_that_is_lost_is_told_to_all_and_nothing_is_tried_again() -> None:
    tries = 0

    async def do(_items: Sequence[int]) -> Answers:
        nonlocal tries
        tries += 1
        raise ConnectionResetError

    async with Grouped(do, ONE_LANE).running() as grouped:
        answers = await ask_all(grouped, range(4))

    assert all(isinstance(answer, ConnectionResetError) for answer in answers.values())
    assert tries == 1


async def test_one_that_waits_for_another_of_its_batch_goes_with_the_next() -> None:
    batches: list[list[int]] = []

    async def do(items: Sequence[int]) -> Answers:
        batches.append(list(items))
        return [item if item == min(items) else AGAIN for item in items]

    async with Grouped(do, ONE_LANE).running() as grouped:
        answers = await ask_all(grouped, [1, 2, 3])

    assert answers == {1: 1, 2: 2, 3: 3}
    assert batches == [[1, 2, 3], [2, 3], [3]]


@pytest.mark.parametrize("answers", [[], [AGAIN]])
async def test_a_batch_that_answers_nobody_is_a_bug(answers: list[int | Exception | Again]) -> None:
    async def do(_items: Sequence[int]) -> Answers:
        return answers

    async with Grouped(do).running() as grouped:
        with pytest.raises(Bug):
            await grouped.ask(1)


async def test_a_batch_that_takes_too_long_is_given_up_and_may_be_asked_again() -> None:
    async def do(_items: Sequence[int]) -> Answers:
        await anyio.sleep_forever()
        return []

    async with Grouped(do, Settings(seconds=0.01)).running() as grouped:
        with pytest.raises(Transient):
            await grouped.ask(1)


async def test_who_leaves_before_his_batch_is_left_out_and_later_hurts_nobody() -> None:
    doubler = Doubler()
    doubler.may_go = anyio.Event()

    async with Grouped(doubler, ONE_LANE).running() as grouped, anyio.create_task_group() as stay:
        async with anyio.create_task_group() as leaving:
            leaving.start_soon(grouped.ask, 1)
            await anyio.wait_all_tasks_blocked()
            leaving.start_soon(grouped.ask, 2)
            stay.start_soon(grouped.ask, 3)
            await anyio.wait_all_tasks_blocked()
            leaving.cancel_scope.cancel()
        doubler.may_go.set()

    assert doubler.batches == [[1], [3]]
    assert doubler.done == [1, 3]


async def test_at_the_end_who_waits_is_answered_and_who_comes_later_is_refused() -> None:
    doubler = Doubler()
    doubler.may_go = anyio.Event()
    grouped = Grouped(doubler, ONE_LANE)
    answers: list[int] = []

    async def ask(item: int) -> None:
        answers.append(await grouped.ask(item))

    async with anyio.create_task_group() as tasks, anyio.create_task_group() as owner:
        running = grouped.running()
        await running.__aenter__()
        for item in (1, 2, 3):
            tasks.start_soon(ask, item)
        await anyio.wait_all_tasks_blocked()
        owner.cancel_scope.cancel()
        doubler.may_go.set()
        await running.__aexit__(None, None, None)

    with pytest.raises(NotRunning):
        await grouped.ask(4)
    assert sorted(answers) == [2, 4, 6]


@pytest.mark.parametrize("seed", range(20))
async def test_whatever_happens_each_gets_his_own_answer_and_is_done_once(  # noqa: C901 - one story
    seed: int,
) -> None:
    rng = random.Random(seed)  # noqa: S311 - a test's dice
    done: list[int] = []

    async def do(items: Sequence[int]) -> Answers:
        for _ in range(rng.randrange(4)):
            await anyio.lowlevel.checkpoint()
        if any(item % 17 == 0 for item in items):
            raise ValueError
        answers: list[int | Exception | Again] = []
        for place, item in enumerate(items):
            if place and rng.random() < 0.2:
                answers.append(AGAIN)
            else:
                done.append(item)
                answers.append(Permanent("odd") if item % 11 == 0 else item * 2)
        return answers

    async def ask(grouped: Grouped[int, int], item: int) -> None:
        for _ in range(rng.randrange(6)):
            await anyio.lowlevel.checkpoint()
        with anyio.CancelScope() as scope:
            if item % 5 == 0:
                scope.cancel()
            try:
                answer = await grouped.ask(item)
            except (ValueError, Permanent):
                assert item % 17 == 0 or item % 11 == 0
            else:
                assert answer == item * 2

    settings = Settings(
        most=rng.randrange(1, 9), lanes=rng.randrange(1, 4), pause_ratio=rng.choice((0.0, 0.5))
    )
    async with Grouped(do, settings).running() as grouped, anyio.create_task_group() as tasks:
        for item in range(1, 120):
            tasks.start_soon(ask, grouped, item)

    assert len(done) == len(set(done))
    assert {item for item in range(1, 120) if item % 5 and item % 17} <= set(done)
