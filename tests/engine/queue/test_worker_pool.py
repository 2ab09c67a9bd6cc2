"""Workers: timeouts, faults of `load` and `work`, scale, effects."""

from collections.abc import Sequence
from typing import Any

import anyio
import asyncpg
import pytest
from leadflood.engine.clock import REAL_TIME
from leadflood.engine.context import CURRENT_JOB, JobContext, SendDecision, queueing
from leadflood.engine.db.tx import Reader, Tx
from leadflood.engine.errors import NodeFenced, NotFound, Permanent, Throttled, Transient
from leadflood.engine.queue import worker_pool as pool_module
from leadflood.engine.queue.outcome import Cancelled, Discard, Done, Outcome, Snooze
from leadflood.engine.queue.stage import ClaimedTask, FinishedTask, Policy
from leadflood.engine.queue.worker_pool import WorkerPool
from leadflood.engine.runtime import Engine
from tests.support.engine import (
    MAKE,
    BatchStage,
    EngineBench,
    LoadingStage,
    MakeStage,
    ThingRequested,
    UseStage,
    list_dead_letters,
    list_history,
    list_jobs,
    list_toys,
    wait_until,
    wait_until_settled,
)
from typing_extensions import override


@pytest.fixture(autouse=True)
def _close_watch(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pool_module, "WATCH_SECONDS", 0.02)
    monkeypatch.setattr(pool_module, "AWAY_SECONDS", 0.01)


async def publish(engine: Engine, *tasks: ThingRequested) -> None:
    async with engine.publisher.transaction() as publication:
        await publication.publish(tasks)


async def settle_all(bench: EngineBench, engine: Engine, count: int) -> list[tuple[int, str]]:
    await publish(engine, *[ThingRequested(number) for number in range(count)])
    await wait_until_settled(bench.db)
    return sorted(await list_toys(bench.db))


async def test_work_past_its_time_is_stopped_and_tried_again(bench: EngineBench) -> None:
    tries: list[int] = []

    async def hang_at_first(item: ThingRequested) -> Outcome[Any]:
        tries.append(item.number)
        if tries.count(item.number) == 1:
            await anyio.sleep_forever()
        return Done(item)

    policy = Policy(timeout_seconds=0.1, backoff_base_seconds=0.001)
    engine = await bench.run(MakeStage(policy, do=hang_at_first), UseStage())

    assert await settle_all(bench, engine, 3) == [(0, "Done"), (1, "Done"), (2, "Done")]

    assert sorted(tries) == [0, 0, 1, 1, 2, 2]
    assert [row["attempts"] for row in await list_history(bench.db)] == [1, 1, 1]


async def test_waiting_for_an_allowance_counts_neither_as_time_nor_as_an_attempt(
    bench: EngineBench,
) -> None:
    async def wait_for_allowance(item: ThingRequested) -> Outcome[Any]:
        with queueing(CURRENT_JOB.get()):
            await REAL_TIME.sleep(0.5)
        with queueing(CURRENT_JOB.get()):
            await REAL_TIME.sleep(0.2)
        return Done(item)

    policy = Policy(timeout_seconds=0.2, attempts=2, backoff_base_seconds=0.001)
    engine = await bench.run(MakeStage(policy, do=wait_for_allowance), UseStage())

    assert await settle_all(bench, engine, 2) == [(0, "Done"), (1, "Done")]
    assert [row["attempts"] for row in await list_history(bench.db)] == [0, 0]


async def test_work_that_always_hangs_ends_as_a_dead_letter(bench: EngineBench) -> None:
    async def hang(item: ThingRequested) -> Outcome[Any]:
        await anyio.sleep_forever()
        return Done(item)

    policy = Policy(timeout_seconds=0.05, attempts=2, backoff_base_seconds=0.001)
    engine = await bench.run(MakeStage(policy, do=hang), UseStage())

    assert await settle_all(bench, engine, 1) == [(0, "Discard")]

    [letter] = await list_dead_letters(bench.db)
    assert (letter["error_code"], letter["attempts"]) == ("engine.job.timed_out", 2)


async def test_no_more_than_the_concurrency_work_at_once(bench: EngineBench) -> None:
    at_work = most = 0

    async def work(item: ThingRequested) -> Outcome[Any]:
        nonlocal at_work, most
        at_work += 1
        most = max(most, at_work)
        await REAL_TIME.sleep(0.002)
        at_work -= 1
        return Done(item)

    engine = await bench.run(MakeStage(Policy(concurrency=5), do=work), UseStage())

    assert len(await settle_all(bench, engine, 60)) == 60
    assert most == 5


@pytest.mark.parametrize("loads", [False, True])
async def test_a_job_that_comes_later_does_not_wait_for_those_at_work(
    bench: EngineBench, *, loads: bool
) -> None:
    at_work: list[int] = []
    may_end = anyio.Event()

    async def work(item: ThingRequested) -> Outcome[Any]:
        at_work.append(item.number)
        await may_end.wait()
        return Done(item)

    policy = Policy(concurrency=5)
    loading = LoadingStage(lambda tasks: [claimed.task for claimed in tasks], policy, do=work)
    engine = await bench.run(loading if loads else MakeStage(policy, do=work), UseStage())
    for number in range(5):
        await publish(engine, ThingRequested(number))
        await wait_until(lambda: len(at_work) == number + 1)  # noqa: B023 - awaited here
    await publish(engine, ThingRequested(5))
    await wait_until(lambda: len(engine.channels[MAKE]) == (0 if loads else 1))
    most_at_once = len(at_work)

    may_end.set()
    await wait_until_settled(bench.db)
    assert (most_at_once, sorted(at_work)) == (5, [0, 1, 2, 3, 4, 5])


async def test_jobs_that_come_together_are_begun_together(bench: EngineBench) -> None:
    at_work: list[int] = []
    may_end = anyio.Event()

    async def work(item: ThingRequested) -> Outcome[Any]:
        at_work.append(item.number)
        await may_end.wait()
        return Done(item)

    engine = await bench.run(MakeStage(Policy(concurrency=5), do=work), UseStage())
    await publish(engine, *[ThingRequested(number) for number in range(5)])

    await wait_until(lambda: len(at_work) == 5)
    may_end.set()
    await wait_until_settled(bench.db)


async def test_scaling_changes_how_many_work_at_once_and_loses_no_job(bench: EngineBench) -> None:
    at_work = 0
    gate = anyio.Event()

    async def work(item: ThingRequested) -> Outcome[Any]:
        nonlocal at_work
        at_work += 1
        await gate.wait()
        at_work -= 1
        return Done(item)

    engine = await bench.run(MakeStage(Policy(concurrency=2), do=work), UseStage())
    pool = engine.runners[MAKE].pool
    await publish(engine, *[ThingRequested(number) for number in range(20)])
    await wait_until(lambda: at_work == 2)

    pool.scale(9)
    await wait_until(lambda: at_work == 9)
    pool.scale(1)
    gate.set()
    await wait_until_settled(bench.db)
    await publish(engine, ThingRequested(99))
    await wait_until_settled(bench.db)

    assert len(await list_toys(bench.db)) == 21
    await wait_until(lambda: len(pool._workers) == 1)


async def test_a_worker_that_leaves_hands_its_wake_up_on(bench: EngineBench) -> None:
    engine = await bench.run(MakeStage(Policy(concurrency=4)), UseStage())
    await settle_all(bench, engine, 40)

    engine.runners[MAKE].pool.concurrency = 1
    await publish(engine, ThingRequested(99))

    await wait_until_settled(bench.db)
    assert (99, "Done") in await list_toys(bench.db)


async def test_a_task_that_load_cannot_read_fails_alone(bench: EngineBench) -> None:
    def read(tasks: Sequence[ClaimedTask[Any]]) -> list[Any]:
        if any(job.task.number in {3, 40} for job in tasks):
            raise Permanent("this one is broken", code="toy.broken")
        return [job.task for job in tasks]

    engine = await bench.run(LoadingStage(read), UseStage())

    toys = await settle_all(bench, engine, 50)

    assert toys == sorted((at, "Discard" if at in {3, 40} else "Done") for at in range(50))


async def test_load_may_end_a_task_whose_subject_is_gone(bench: EngineBench) -> None:
    inputs: list[Any] = []

    def read(tasks: Sequence[ClaimedTask[Any]]) -> list[Any]:
        return [Discard(NotFound("gone")) if job.task.number else "input" for job in tasks]

    async def note(tx: Tx, finished: Sequence[FinishedTask[Any, Any]]) -> None:
        del tx
        inputs.extend((task.task.number, task.input) for task in finished)

    engine = await bench.run(LoadingStage(read, before_commit=note), UseStage())

    assert await settle_all(bench, engine, 2) == [(0, "Done"), (1, "Discard")]
    assert sorted(inputs) == [(0, "input"), (1, None)]


async def test_a_database_that_is_away_while_loading_spends_no_attempt(bench: EngineBench) -> None:
    errors = [asyncpg.ConnectionDoesNotExistError("away"), TimeoutError(), TimeoutError()]

    def read(tasks: Sequence[ClaimedTask[Any]]) -> list[Any]:
        if errors:
            raise errors.pop()
        return [job.task for job in tasks]

    engine = await bench.run(LoadingStage(read, Policy(attempts=2)), UseStage())

    assert await settle_all(bench, engine, 1) == [(0, "Done")]
    assert [row["attempts"] for row in await list_history(bench.db)] == [0]


async def test_a_load_that_answers_too_few_fails_the_jobs_not_the_stage(bench: EngineBench) -> None:
    engine = await bench.run(LoadingStage(lambda _: [], Policy(attempts=1)), UseStage())

    assert await settle_all(bench, engine, 3) == [(at, "Discard") for at in range(3)]

    assert {row["error_code"] for row in await list_dead_letters(bench.db)} == {"engine.bug"}
    assert engine.runners[MAKE].pool._loaded.reserved == 0


async def test_a_batch_stage_works_on_many_at_once_and_only_the_faulty_task_fails(
    bench: EngineBench,
) -> None:
    sizes: list[int] = []

    def work(items: Sequence[Any]) -> Sequence[Any]:
        sizes.append(len(items))
        if any(item.number == 7 for item in items):
            raise Permanent("seven")
        return [Done(item) for item in items]

    engine = await bench.run(BatchStage(work), UseStage())

    toys = await settle_all(bench, engine, 20)

    assert toys == sorted((at, "Discard" if at == 7 else "Done") for at in range(20))
    assert max(sizes) > 1


async def test_a_throttled_batch_is_snoozed_whole_not_asked_one_by_one(bench: EngineBench) -> None:
    calls: list[int] = []

    def work(items: Sequence[Any]) -> Sequence[Any]:
        calls.append(len(items))
        if len(calls) == 1:
            raise Throttled("too fast", 0.01)
        return [Done(item) for item in items]

    engine = await bench.run(BatchStage(work), UseStage())

    assert len(await settle_all(bench, engine, 10)) == 10
    assert calls[0] == 10
    assert len(calls) < 6


async def test_a_batch_stage_that_answers_too_few_fails_the_jobs_not_the_stage(
    bench: EngineBench,
) -> None:
    engine = await bench.run(BatchStage(lambda _: [], Policy(attempts=1)), UseStage())

    assert await settle_all(bench, engine, 2) == [(0, "Discard"), (1, "Discard")]


async def test_an_error_tried_again_succeeds_in_the_end(bench: EngineBench) -> None:
    tries: dict[int, int] = {}

    async def flaky(item: ThingRequested) -> Outcome[Any]:
        tries[item.number] = tries.get(item.number, 0) + 1
        if tries[item.number] < 3:
            raise Transient("busy")
        return Done(item)

    engine = await bench.run(MakeStage(Policy(backoff_base_seconds=0.001), do=flaky), UseStage())

    assert await settle_all(bench, engine, 10) == [(at, "Done") for at in range(10)]
    assert set(tries.values()) == {3}


async def test_spent_allowance_slows_the_claims_down(bench: EngineBench) -> None:
    node = await bench.node()

    node.runner().pool._note(
        Snooze(1.5, "spent"), Throttled("spent", 1.5, code=pool_module.ALLOWANCE_SPENT)
    )

    assert not node.runner()._may_claim()


class SendStage(MakeStage):
    """An effect: its own last word and record travel with the job."""

    effect = True

    @override
    async def authorize(self, tx: Tx, jobs: Sequence[JobContext]) -> Sequence[SendDecision]:
        raise NotImplementedError

    @override
    async def record(
        self, tx: Tx, job: JobContext, error: BaseException | None, reply: Any
    ) -> None:
        raise NotImplementedError


async def test_an_effect_carries_its_own_authorize_and_record(bench: EngineBench) -> None:
    jobs: list[JobContext | None] = []

    async def look(item: ThingRequested) -> Outcome[Any]:
        jobs.append(CURRENT_JOB.get())
        return Done(item)

    stage = SendStage(do=look)
    engine = await bench.run(stage, UseStage())

    await settle_all(bench, engine, 1)

    [job] = jobs
    assert job is not None
    assert (job.authorize, job.record) == (stage.authorize, stage.record)
    assert job.record_many == stage.record_many
    assert (job.stage, job.claim) == (MAKE, 1)


async def test_a_stage_without_effects_carries_neither(bench: EngineBench) -> None:
    jobs: list[JobContext | None] = []

    async def look(item: ThingRequested) -> Outcome[Any]:
        jobs.append(CURRENT_JOB.get())
        return Done(item)

    engine = await bench.run(MakeStage(do=look), UseStage())

    await settle_all(bench, engine, 1)

    [job] = jobs
    assert job is not None
    assert (job.authorize, job.record) == (None, None)


async def test_a_cancelled_pool_gives_back_what_it_had_in_flight(bench: EngineBench) -> None:
    async def hang(item: ThingRequested) -> Outcome[Any]:
        await anyio.sleep_forever()
        return Done(item)

    node = await bench.node(MakeStage(do=hang), UseStage())
    pool: WorkerPool = node.runner().pool
    await node.queue(ThingRequested(1), ThingRequested(2))
    await node.runner().fetcher._claim()

    async with anyio.create_task_group() as group:
        group.start_soon(pool.run)
        await wait_until(lambda: pool.in_flight() == 2)
        group.cancel_scope.cancel()

    assert not node.node.held
    assert node.node.wants_reconcile.is_set()
    assert await node.engine.reconciler.reconcile() == 2
    assert [row["state"] for row in await list_jobs(bench.db)] == [0, 0]


class HangingStage(MakeStage):
    """Hangs while a number is among its batch: in `load`, or in the work."""

    in_batches = True

    def __init__(self, number: int | None, *, in_load: bool) -> None:
        policy = Policy(concurrency=8, timeout_seconds=0.2, attempts=1)
        super().__init__(policy)
        self._number = number
        self._in_load = in_load

    async def _hang_over(self, items: Sequence[Any]) -> None:
        if self._number is None or any(item.number == self._number for item in items):
            await anyio.sleep_forever()

    @override
    async def load(self, db: Reader, tasks: Sequence[ClaimedTask[Any]]) -> Sequence[Any]:
        items = [claimed.task for claimed in tasks]
        if self._in_load:
            await self._hang_over(items)
        return items

    @override
    async def work_batch(self, items: Sequence[Any]) -> Sequence[Outcome[Any]]:
        if not self._in_load:
            await self._hang_over(items)
        return [Done(item) for item in items]


@pytest.mark.parametrize("in_load", [True, False])
async def test_a_batch_that_hangs_is_stopped_and_only_the_task_that_hangs_fails(
    bench: EngineBench, *, in_load: bool
) -> None:
    engine = await bench.run(HangingStage(7, in_load=in_load), UseStage())

    toys = await settle_all(bench, engine, 20)

    assert toys == sorted((at, "Discard" if at == 7 else "Done") for at in range(20))
    [letter] = await list_dead_letters(bench.db)
    assert letter["error_code"] == "engine.job.timed_out"


async def test_a_batch_of_which_every_task_hangs_ends_within_a_few_deadlines(
    bench: EngineBench,
) -> None:
    engine = await bench.run(HangingStage(None, in_load=False), UseStage())

    async with anyio.create_task_group() as group:
        with anyio.fail_after(4.0):
            toys = await settle_all(bench, engine, 24)
        group.cancel_scope.cancel()

    assert toys == [(at, "Discard") for at in range(24)]


async def test_being_evicted_spends_no_attempt(bench: EngineBench) -> None:
    node = await bench.node(MakeStage(Policy(attempts=1)), UseStage())
    await node.queue(ThingRequested(1))
    [job] = await node.claim()
    job.outcome = pool_module.outcome_of(NodeFenced("taken for dead"))

    await node.settle([job])

    [row] = await list_jobs(bench.db)
    assert (row["state"], row["attempts"], row["losses"]) == (0, 0, 0)
    assert not await list_dead_letters(bench.db)


@pytest.mark.parametrize("in_batches", [True, False])
async def test_a_worker_does_not_begin_with_a_job_of_a_cancelled_run(
    bench: EngineBench, *, in_batches: bool
) -> None:
    worked: list[int] = []

    async def work(item: ThingRequested) -> Outcome[Any]:
        worked.append(item.number)
        return Done(item)

    def work_batch(items: Sequence[Any]) -> Sequence[Any]:
        worked.extend(item.number for item in items)
        return [Done(item) for item in items]

    node = await bench.node(
        BatchStage(work_batch) if in_batches else MakeStage(do=work), UseStage()
    )
    run_id = await node.open_run()
    await node.queue(ThingRequested(1), run_id=run_id)
    await node.queue(ThingRequested(2))
    await node.runner().fetcher._claim()
    node.node.cancelled_runs = frozenset([run_id])

    async with anyio.create_task_group() as group:
        group.start_soon(node.runner().pool.run)
        await wait_until(lambda: node.runner().committer.unsettled() == 2)
        group.cancel_scope.cancel()

    assert worked == [2]
    outcomes = {job.task.number: job.outcome for job in node.runner().committer._finished}
    assert isinstance(outcomes[1], Discard)
    assert isinstance(outcomes[1].error, Cancelled)
