"""Workers: timeouts, faults of `load` and `work`, scale, effects."""

from collections.abc import Sequence
from typing import Any

import anyio
import asyncpg
import pytest
from leadflood.engine.clock import REAL_TIME
from leadflood.engine.context import CURRENT_JOB, JobContext, SendDecision
from leadflood.engine.db.tx import Tx
from leadflood.engine.errors import NotFound, Permanent, Throttled, Transient
from leadflood.engine.queue import worker_pool as pool_module
from leadflood.engine.queue.outcome import Discard, Done, Outcome, Snooze
from leadflood.engine.queue.stage import ClaimedTask, FinishedTask, Policy
from leadflood.engine.queue.worker_pool import WorkerPool
from leadflood.engine.runtime import Engine
from tests.support.engine import (
    MAKE,
    BatchMake,
    Bench,
    LoadingMake,
    Make,
    Use,
    Wanted,
    dead_letter_rows,
    history,
    job_rows,
    toys,
    until,
    until_settled,
)
from typing_extensions import override


@pytest.fixture(autouse=True)
def _close_watch(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pool_module, "WATCH_SECONDS", 0.02)
    monkeypatch.setattr(pool_module, "AWAY_SECONDS", 0.01)


async def publish(engine: Engine, *wanted: Wanted) -> None:
    async with engine.publisher.transaction() as publication:
        await publication.publish(wanted)


async def settle_all(bench: Bench, engine: Engine, count: int) -> list[tuple[int, str]]:
    await publish(engine, *[Wanted(number) for number in range(count)])
    await until_settled(bench.db)
    return sorted(await toys(bench.db))


async def test_work_past_its_time_is_stopped_and_tried_again(bench: Bench) -> None:
    tries: list[int] = []

    async def hang_at_first(item: Wanted) -> Outcome[Any]:
        tries.append(item.number)
        if tries.count(item.number) == 1:
            await anyio.sleep_forever()
        return Done(item)

    policy = Policy(timeout_seconds=0.1, backoff_base_seconds=0.001)
    engine = await bench.run(Make(policy, do=hang_at_first), Use())

    assert await settle_all(bench, engine, 3) == [(0, "Done"), (1, "Done"), (2, "Done")]

    assert sorted(tries) == [0, 0, 1, 1, 2, 2]
    assert [row["attempts"] for row in await history(bench.db)] == [1, 1, 1]


async def test_work_that_always_hangs_ends_as_a_dead_letter(bench: Bench) -> None:
    async def hang(item: Wanted) -> Outcome[Any]:
        await anyio.sleep_forever()
        return Done(item)

    policy = Policy(timeout_seconds=0.05, attempts=2, backoff_base_seconds=0.001)
    engine = await bench.run(Make(policy, do=hang), Use())

    assert await settle_all(bench, engine, 1) == [(0, "Discard")]

    [letter] = await dead_letter_rows(bench.db)
    assert (letter["error_code"], letter["attempts"]) == ("engine.job.timed_out", 2)


async def test_no_more_than_the_concurrency_work_at_once(bench: Bench) -> None:
    at_work = most = 0

    async def work(item: Wanted) -> Outcome[Any]:
        nonlocal at_work, most
        at_work += 1
        most = max(most, at_work)
        await REAL_TIME.sleep(0.002)
        at_work -= 1
        return Done(item)

    engine = await bench.run(Make(Policy(concurrency=5), do=work), Use())

    assert len(await settle_all(bench, engine, 60)) == 60
    assert most == 5


async def test_scaling_changes_how_many_work_at_once_and_loses_no_job(bench: Bench) -> None:
    at_work = 0
    gate = anyio.Event()

    async def work(item: Wanted) -> Outcome[Any]:
        nonlocal at_work
        at_work += 1
        await gate.wait()
        at_work -= 1
        return Done(item)

    engine = await bench.run(Make(Policy(concurrency=2), do=work), Use())
    pool = engine.runners[MAKE].pool
    await publish(engine, *[Wanted(number) for number in range(20)])
    await until(lambda: at_work == 2)

    pool.scale(9)
    await until(lambda: at_work == 9)
    pool.scale(1)
    gate.set()
    await until_settled(bench.db)
    await publish(engine, Wanted(99))
    await until_settled(bench.db)

    assert len(await toys(bench.db)) == 21
    await until(lambda: len(pool._workers) == 1)


async def test_a_worker_that_leaves_hands_its_wake_up_on(bench: Bench) -> None:
    engine = await bench.run(Make(Policy(concurrency=4)), Use())
    await settle_all(bench, engine, 40)

    engine.runners[MAKE].pool.concurrency = 1
    await publish(engine, Wanted(99))

    await until_settled(bench.db)
    assert (99, "Done") in await toys(bench.db)


async def test_a_task_that_load_cannot_read_fails_alone(bench: Bench) -> None:
    def read(tasks: Sequence[ClaimedTask[Any]]) -> list[Any]:
        if any(one.task.number in {3, 40} for one in tasks):
            raise Permanent("this one is broken", code="toy.broken")
        return [one.task for one in tasks]

    engine = await bench.run(LoadingMake(read), Use())

    ends = await settle_all(bench, engine, 50)

    assert ends == sorted((at, "Discard" if at in {3, 40} else "Done") for at in range(50))


async def test_load_may_end_a_task_whose_subject_is_gone(bench: Bench) -> None:
    inputs: list[Any] = []

    def read(tasks: Sequence[ClaimedTask[Any]]) -> list[Any]:
        return [Discard(NotFound("gone")) if one.task.number else "input" for one in tasks]

    async def note(tx: Tx, ended: Sequence[FinishedTask[Any, Any]]) -> None:
        del tx
        inputs.extend((one.task.number, one.input) for one in ended)

    engine = await bench.run(LoadingMake(read, before_commit=note), Use())

    assert await settle_all(bench, engine, 2) == [(0, "Done"), (1, "Discard")]
    assert sorted(inputs) == [(0, "input"), (1, None)]


async def test_a_database_that_is_away_while_loading_spends_no_attempt(bench: Bench) -> None:
    left = [asyncpg.ConnectionDoesNotExistError("away"), TimeoutError(), TimeoutError()]

    def read(tasks: Sequence[ClaimedTask[Any]]) -> list[Any]:
        if left:
            raise left.pop()
        return [one.task for one in tasks]

    engine = await bench.run(LoadingMake(read, Policy(attempts=2)), Use())

    assert await settle_all(bench, engine, 1) == [(0, "Done")]
    assert [row["attempts"] for row in await history(bench.db)] == [0]


async def test_a_load_that_answers_too_few_fails_the_jobs_not_the_stage(bench: Bench) -> None:
    engine = await bench.run(LoadingMake(lambda _: [], Policy(attempts=1)), Use())

    assert await settle_all(bench, engine, 3) == [(at, "Discard") for at in range(3)]

    assert {row["error_code"] for row in await dead_letter_rows(bench.db)} == {"engine.bug"}
    assert engine.runners[MAKE].pool._loaded.reserved == 0


async def test_a_batch_stage_works_on_many_at_once_and_only_the_faulty_task_fails(
    bench: Bench,
) -> None:
    sizes: list[int] = []

    def work(items: Sequence[Any]) -> Sequence[Any]:
        sizes.append(len(items))
        if any(item.number == 7 for item in items):
            raise Permanent("seven")
        return [Done(item) for item in items]

    engine = await bench.run(BatchMake(work), Use())

    ends = await settle_all(bench, engine, 20)

    assert ends == sorted((at, "Discard" if at == 7 else "Done") for at in range(20))
    assert max(sizes) > 1


async def test_a_throttled_batch_is_snoozed_whole_not_asked_one_by_one(bench: Bench) -> None:
    calls: list[int] = []

    def work(items: Sequence[Any]) -> Sequence[Any]:
        calls.append(len(items))
        if len(calls) == 1:
            raise Throttled("too fast", 0.01)
        return [Done(item) for item in items]

    engine = await bench.run(BatchMake(work), Use())

    assert len(await settle_all(bench, engine, 10)) == 10
    assert calls[0] == 10
    assert len(calls) < 6


async def test_a_batch_stage_that_answers_too_few_fails_the_jobs_not_the_stage(
    bench: Bench,
) -> None:
    engine = await bench.run(BatchMake(lambda _: [], Policy(attempts=1)), Use())

    assert await settle_all(bench, engine, 2) == [(0, "Discard"), (1, "Discard")]


async def test_an_error_tried_again_succeeds_in_the_end(bench: Bench) -> None:
    tries: dict[int, int] = {}

    async def flaky(item: Wanted) -> Outcome[Any]:
        tries[item.number] = tries.get(item.number, 0) + 1
        if tries[item.number] < 3:
            raise Transient("busy")
        return Done(item)

    engine = await bench.run(Make(Policy(backoff_base_seconds=0.001), do=flaky), Use())

    assert await settle_all(bench, engine, 10) == [(at, "Done") for at in range(10)]
    assert set(tries.values()) == {3}


async def test_spent_allowance_slows_the_claims_down(bench: Bench) -> None:
    node = await bench.node()

    node.runner().pool._note(
        Snooze(1.5, "spent"), Throttled("spent", 1.5, code=pool_module.ALLOWANCE_SPENT)
    )

    assert not node.runner()._may_claim()


class SendStage(Make):
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


async def test_an_effect_carries_its_own_authorize_and_record(bench: Bench) -> None:
    seen: list[JobContext | None] = []

    async def look(item: Wanted) -> Outcome[Any]:
        seen.append(CURRENT_JOB.get())
        return Done(item)

    stage = SendStage(do=look)
    engine = await bench.run(stage, Use())

    await settle_all(bench, engine, 1)

    [job] = seen
    assert job is not None
    assert (job.authorize, job.record) == (stage.authorize, stage.record)
    assert (job.stage, job.claim) == (MAKE, 1)


async def test_a_stage_without_effects_carries_neither(bench: Bench) -> None:
    seen: list[JobContext | None] = []

    async def look(item: Wanted) -> Outcome[Any]:
        seen.append(CURRENT_JOB.get())
        return Done(item)

    engine = await bench.run(Make(do=look), Use())

    await settle_all(bench, engine, 1)

    [job] = seen
    assert job is not None
    assert (job.authorize, job.record) == (None, None)


async def test_a_cancelled_pool_gives_back_what_it_had_in_flight(bench: Bench) -> None:
    async def hang(item: Wanted) -> Outcome[Any]:
        await anyio.sleep_forever()
        return Done(item)

    node = await bench.node(Make(do=hang), Use())
    pool: WorkerPool = node.runner().pool
    await node.queue(Wanted(1), Wanted(2))
    await node.runner().fetcher._claim()

    async with anyio.create_task_group() as group:
        group.start_soon(pool.run)
        await until(lambda: pool.in_flight() == 2)
        group.cancel_scope.cancel()

    assert not node.node.held
    assert node.node.wants_reconcile.is_set()
    assert await node.engine.reconciler.reconcile() == 2
    assert [row["state"] for row in await job_rows(bench.db)] == [0, 0]
