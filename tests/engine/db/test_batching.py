"""Batching: alone when idle, together when busy, and only the faulty item fails."""

import random
from collections.abc import Sequence

import anyio
import pytest
from leadflood.engine.db.batching import REDO, Batcher, BatchPolicy, NotRunning, Redo
from leadflood.engine.errors import Bug, Permanent, Transient

Answers = Sequence[int | Exception | Redo]
ONE_LANE = BatchPolicy(lanes=1)


class Doubler:
    """Doubles numbers, a batch at a time, when it may go on; 13 poisons its whole batch."""

    def __init__(self) -> None:
        self.batches: list[list[int]] = []
        self.done: list[int] = []
        self.may_go = anyio.Event()
        self.may_go.set()

    async def __call__(self, items: Sequence[int], _is_repeat: bool) -> Answers:  # noqa: FBT001 - Handle
        self.batches.append(list(items))
        await self.may_go.wait()
        await anyio.lowlevel.checkpoint()
        if 13 in items:
            raise ValueError("thirteen")
        self.done.extend(items)
        return [Permanent("seven") if item == 7 else item * 2 for item in items]


async def submit_all(
    batcher: Batcher[int, int], items: Sequence[int]
) -> dict[int, int | Exception]:
    answers: dict[int, int | Exception] = {}

    async def submit(item: int) -> None:
        try:
            answers[item] = await batcher.submit(item)
        except Exception as error:  # noqa: BLE001 - the answer looked at
            answers[item] = error

    async with anyio.create_task_group() as tasks:
        for item in items:
            tasks.start_soon(submit, item)
    return answers


async def test_a_lane_pauses_behind_a_batch_of_several_so_that_callers_collect() -> None:
    doubler = Doubler()
    policy = BatchPolicy(lanes=1, pause_ratio=500.0)

    async with Batcher(doubler, policy).running() as batcher:
        await submit_all(batcher, [1, 2])
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(batcher.submit, 3)
            for _ in range(5):
                await anyio.lowlevel.checkpoint()
            tasks.start_soon(batcher.submit, 4)

    assert doubler.batches == [[1, 2], [3, 4]]


async def test_an_idle_batcher_answers_a_single_item_at_once() -> None:
    doubler = Doubler()

    async with Batcher(doubler).running() as batcher:
        first = await batcher.submit(1)
        second = await batcher.submit(2)

    assert (first, second) == (2, 4)
    assert doubler.batches == [[1], [2]]


async def test_items_submitted_during_a_batch_share_the_next_one() -> None:
    doubler = Doubler()
    doubler.may_go = anyio.Event()

    async with Batcher(doubler, ONE_LANE).running() as batcher, anyio.create_task_group() as tasks:
        tasks.start_soon(batcher.submit, 1)
        await anyio.wait_all_tasks_blocked()
        for item in range(2, 6):
            tasks.start_soon(batcher.submit, item)
        await anyio.wait_all_tasks_blocked()
        doubler.may_go.set()

    assert doubler.batches == [[1], [2, 3, 4, 5]]


async def test_batches_stay_within_their_size_and_lanes() -> None:
    under_way, most = 0, 0

    async def handle(items: Sequence[int], _is_repeat: bool) -> Answers:  # noqa: FBT001 - Handle
        nonlocal under_way, most
        assert len(items) <= 5
        under_way += 1
        most = max(most, under_way)
        await anyio.lowlevel.checkpoint()
        under_way -= 1
        return list(items)

    async with Batcher(handle, BatchPolicy(max_items=5, lanes=3)).running() as batcher:
        answers = await submit_all(batcher, range(64))

    assert answers == {item: item for item in range(64)}
    assert most == 3


async def test_an_exception_as_an_answer_is_raised_to_its_caller_only() -> None:
    doubler = Doubler()

    async with Batcher(doubler, ONE_LANE).running() as batcher:
        answers = await submit_all(batcher, range(5, 10))

    assert isinstance(answers.pop(7), Permanent)
    assert answers == {5: 10, 6: 12, 8: 16, 9: 18}
    assert len(doubler.batches) == 1


async def test_an_item_that_fails_its_batch_fails_alone_and_the_others_are_handled_once() -> None:
    doubler = Doubler()

    async with Batcher(doubler, ONE_LANE).running() as batcher:
        answers = await submit_all(batcher, range(10, 20))

    assert isinstance(answers.pop(13), ValueError)
    assert answers == {item: item * 2 for item in range(10, 20) if item != 13}
    assert sorted(doubler.done) == sorted(answers)


async def test_a_lost_connection_fails_all_callers_and_is_not_repeated_without_a_backoff() -> None:
    tries = 0

    async def handle(_items: Sequence[int], _is_repeat: bool) -> Answers:  # noqa: FBT001 - Handle
        nonlocal tries
        tries += 1
        raise ConnectionResetError

    async with Batcher(handle, ONE_LANE).running() as batcher:
        answers = await submit_all(batcher, range(4))

    assert all(isinstance(answer, ConnectionResetError) for answer in answers.values())
    assert tries == 1


async def test_an_item_to_redo_goes_into_the_next_batch() -> None:
    batches: list[list[int]] = []

    async def handle(items: Sequence[int], _is_repeat: bool) -> Answers:  # noqa: FBT001 - Handle
        batches.append(list(items))
        return [item if item == min(items) else REDO for item in items]

    async with Batcher(handle, ONE_LANE).running() as batcher:
        answers = await submit_all(batcher, [1, 2, 3])

    assert answers == {1: 1, 2: 2, 3: 3}
    assert batches == [[1, 2, 3], [2, 3], [3]]


@pytest.mark.parametrize("answers", [[], [REDO]])
async def test_a_batch_that_answers_no_item_is_a_bug(answers: list[int | Exception | Redo]) -> None:
    async def handle(_items: Sequence[int], _is_repeat: bool) -> Answers:  # noqa: FBT001 - Handle
        return answers

    async with Batcher(handle).running() as batcher:
        with pytest.raises(Bug):
            await batcher.submit(1)


async def test_a_batch_past_its_timeout_is_given_up_and_may_be_submitted_again() -> None:
    async def handle(_items: Sequence[int], _is_repeat: bool) -> Answers:  # noqa: FBT001 - Handle
        await anyio.sleep_forever()
        return []

    async with Batcher(handle, BatchPolicy(timeout_seconds=0.01)).running() as batcher:
        with pytest.raises(Transient):
            await batcher.submit(1)


async def test_a_cancelled_caller_is_left_out_before_the_batch_and_hurts_nobody_later() -> None:
    doubler = Doubler()
    doubler.may_go = anyio.Event()

    async with Batcher(doubler, ONE_LANE).running() as batcher, anyio.create_task_group() as stay:
        async with anyio.create_task_group() as leaving:
            leaving.start_soon(batcher.submit, 1)
            await anyio.wait_all_tasks_blocked()
            leaving.start_soon(batcher.submit, 2)
            stay.start_soon(batcher.submit, 3)
            await anyio.wait_all_tasks_blocked()
            leaving.cancel_scope.cancel()
        doubler.may_go.set()

    assert doubler.batches == [[1], [3]]
    assert doubler.done == [1, 3]


async def test_at_the_end_waiting_items_are_answered_and_new_ones_refused() -> None:
    doubler = Doubler()
    doubler.may_go = anyio.Event()
    batcher = Batcher(doubler, ONE_LANE)
    answers: list[int] = []

    async def submit(item: int) -> None:
        answers.append(await batcher.submit(item))

    async with anyio.create_task_group() as tasks, anyio.create_task_group() as owner:
        running = batcher.running()
        await running.__aenter__()
        for item in (1, 2, 3):
            tasks.start_soon(submit, item)
        await anyio.wait_all_tasks_blocked()
        owner.cancel_scope.cancel()
        doubler.may_go.set()
        await running.__aexit__(None, None, None)

    with pytest.raises(NotRunning):
        await batcher.submit(4)
    assert sorted(answers) == [2, 4, 6]


@pytest.mark.parametrize("seed", range(20))
async def test_whatever_happens_every_item_gets_its_own_answer_and_is_handled_once(  # noqa: C901 - one story
    seed: int,
) -> None:
    rng = random.Random(seed)  # noqa: S311 - a test's dice
    done: list[int] = []

    async def handle(items: Sequence[int], _is_repeat: bool) -> Answers:  # noqa: FBT001 - Handle
        for _ in range(rng.randrange(4)):
            await anyio.lowlevel.checkpoint()
        if any(item % 17 == 0 for item in items):
            raise ValueError
        answers: list[int | Exception | Redo] = []
        for place, item in enumerate(items):
            if place and rng.random() < 0.2:
                answers.append(REDO)
            else:
                done.append(item)
                answers.append(Permanent("odd") if item % 11 == 0 else item * 2)
        return answers

    async def submit(batcher: Batcher[int, int], item: int) -> None:
        for _ in range(rng.randrange(6)):
            await anyio.lowlevel.checkpoint()
        with anyio.CancelScope() as scope:
            if item % 5 == 0:
                scope.cancel()
            try:
                answer = await batcher.submit(item)
            except (ValueError, Permanent):
                assert item % 17 == 0 or item % 11 == 0
            else:
                assert answer == item * 2

    policy = BatchPolicy(
        max_items=rng.randrange(1, 9), lanes=rng.randrange(1, 4), pause_ratio=rng.choice((0.0, 0.5))
    )
    async with Batcher(handle, policy).running() as batcher, anyio.create_task_group() as tasks:
        for item in range(1, 120):
            tasks.start_soon(submit, batcher, item)

    assert len(done) == len(set(done))
    assert {item for item in range(1, 120) if item % 5 and item % 17} <= set(done)
