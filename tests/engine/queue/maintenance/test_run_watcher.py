"""Runs end once, and cancelled ones are swept."""

from collections.abc import Awaitable, Callable, Sequence
from datetime import timedelta
from typing import Any
from uuid import UUID

import anyio
import msgspec
import pytest
from leadflood.engine.clock import SystemClock
from leadflood.engine.db.tx import Tx
from leadflood.engine.errors import Permanent, Transient
from leadflood.engine.ids import Ids
from leadflood.engine.queue import dead_letters, runs
from leadflood.engine.queue.event_routes import EventRoutes, Step
from leadflood.engine.queue.maintenance.run_watcher import RunCompleted
from leadflood.engine.queue.outcome import Discard, Done, Outcome, Retry
from leadflood.engine.queue.repository import SQL
from leadflood.engine.queue.stage import FinishedTask, Stage
from tests.support.engine import (
    MAKE,
    QUICK_SETTINGS,
    USE,
    EngineBench,
    LoadingStage,
    MakeStage,
    SteppedNode,
    ThingMade,
    ThingRequested,
    UseStage,
    list_dead_letters,
    list_events,
    list_history,
    list_jobs,
    list_toys,
    pause,
    wait_until_settled,
)
from tests.support.statements import sql
from typing_extensions import override

SLOW_POLLS = msgspec.structs.replace(
    QUICK_SETTINGS,
    maintenance=msgspec.structs.replace(QUICK_SETTINGS.maintenance, runs_seconds=60.0),
)


async def test_a_run_has_ended_when_no_live_job_carries_it(bench: EngineBench) -> None:
    node = await bench.node(
        MakeStage(follow=lambda finished: [finished.follow_up(ThingMade(1))]), UseStage()
    )
    run_id = await node.open_run()
    await node.queue(ThingRequested(1), run_id=run_id)
    poll = node.engine.run_watcher.poll

    async def state() -> str:
        await poll()
        return (await runs.get(bench.db, run_id)).state

    assert await state() == "running"
    await node.settle(await node.claim())
    assert await state() == "running"
    [job] = node.take(USE)
    job.outcome = Retry(Transient("busy"))
    await node.settle([job], USE)
    assert await state() == "running"
    await bench.db.execute(sql("UPDATE job SET state = 0, run_at = NULL"))
    await node.settle(await node.claim(USE), USE)
    assert await state() == "completed"


async def test_run_completed_is_written_once_by_two_watchers(bench: EngineBench) -> None:
    first, second = await bench.node(), await bench.node()
    run_ids = [await first.open_run() for _ in range(20)]

    async with anyio.create_task_group() as group:
        for node in (first, second):
            group.start_soon(node.engine.run_watcher.poll)

    events = [
        row["subject"] for row in await list_events(bench.db) if row["type"] == "run.completed"
    ]
    assert sorted(events) == sorted(run_ids)


class Closing(Stage[Any, Any, Any]):
    name = "toy.close"
    task = RunCompleted

    @override
    async def work(self, item: Any) -> Outcome[Any]:
        return Done(item)


async def test_a_stage_may_listen_to_the_end_of_a_run(bench: EngineBench) -> None:
    """The hand-off of the watcher is a claim like any other: reconciling leaves it alone."""
    routes = EventRoutes([Step(on=RunCompleted, run=Closing)])
    node = await bench.node(Closing(MakeStage().policy), routes=routes)
    await node.open_run()

    await node.engine.run_watcher.poll()

    assert len(node.runner("toy.close").channel) == 1
    assert await node.engine.reconciler.reconcile() == 0


async def test_a_run_that_is_being_filled_does_not_end(bench: EngineBench) -> None:
    node = await bench.node()
    run_id = await node.open_run(is_loading=True)

    await node.engine.run_watcher.poll()
    assert (await runs.get(bench.db, run_id)).state == "running"
    await bench.db.execute(SQL.finish_loading, id=run_id)
    await node.engine.run_watcher.poll()

    assert (await runs.get(bench.db, run_id)).state == "completed"


async def test_equal_keys_are_one_run(bench: EngineBench) -> None:
    node = await bench.node()

    assert await node.open_run("demo:1") == await node.open_run("demo:1")
    assert await node.open_run("demo:2") != await node.open_run("demo:1")


async def test_an_effect_that_happened_keeps_its_outcome_though_its_run_was_cancelled(
    bench: EngineBench,
) -> None:
    """What was sent is recorded as sent, not as cancelled."""

    class EffectStage(MakeStage):
        effect = True

    node = await bench.node(EffectStage(), UseStage())
    run_id = await node.open_run()
    await node.queue(ThingRequested(1), run_id=run_id)
    claimed = await node.claim()

    assert await runs.cancel(bench.db, run_id, "a person", bench.clock.now())
    await node.engine.run_watcher.poll()
    await node.settle(claimed)

    assert await list_toys(bench.db) == [(1, "Done")]


async def test_a_cancelled_run_discards_what_is_claimed_queued_and_scheduled(
    bench: EngineBench,
) -> None:
    stage = LoadingStage(
        lambda tasks: [one.task for one in tasks], before_commit=(inputs := Notes())
    )
    node = await bench.node(stage, UseStage())
    run_id = await node.open_run()
    await node.queue(ThingRequested(1), run_id=run_id)
    claimed = await node.claim()
    await node.queue(ThingRequested(2), run_id=run_id)
    await node.publish(
        ThingRequested(3), run_id=run_id, run_at=bench.clock.now() + timedelta(seconds=500)
    )
    await node.queue(ThingRequested(4))

    assert await runs.cancel(bench.db, run_id, "a person", bench.clock.now())
    await node.engine.run_watcher.poll()
    await node.settle(claimed)
    await settle_swept(node)

    assert sorted(await list_toys(bench.db)) == [(1, "Discard"), (2, "Discard"), (3, "Discard")]
    assert [row["number"] for row in await list_jobs(bench.db)] == ["4"]
    assert {(row["state"], row["error_code"]) for row in await list_history(bench.db)} == {
        (5, "run.cancelled")
    }
    assert not await list_dead_letters(bench.db)
    assert inputs.seen[2] is None


class Notes:
    """Notes the inputs that reach a commit."""

    def __init__(self) -> None:
        self.seen: dict[int, Any] = {}

    async def __call__(self, tx: Tx, finished: Sequence[FinishedTask[Any, Any]]) -> None:
        del tx
        self.seen |= {task.task.number: task.input for task in finished}


async def settle_swept(node: SteppedNode) -> None:
    committer = node.runner().committer
    swept = list(committer._finished)
    committer._finished.clear()
    await node.settle(swept)


async def test_two_nodes_sweep_a_cancelled_run_without_doing_anything_twice(
    bench: EngineBench,
) -> None:
    first, second = await bench.node(), await bench.node()
    run_id = await first.open_run()
    await first.queue(*[ThingRequested(number) for number in range(300)], run_id=run_id)
    await runs.cancel(bench.db, run_id, "a person", bench.clock.now())

    async with anyio.create_task_group() as group:
        for node in (first, second):
            group.start_soon(node.engine.run_watcher.poll)
    for node in (first, second):
        await settle_swept(node)

    assert sorted(await list_toys(bench.db)) == [(number, "Discard") for number in range(300)]
    assert not await list_jobs(bench.db)


async def test_jobs_of_a_cancelled_run_are_not_worked_on(bench: EngineBench) -> None:
    worked: list[int] = []

    async def work(item: ThingRequested) -> Outcome[Any]:
        worked.append(item.number)
        return Done(item)

    engine = await bench.run(MakeStage(do=work), UseStage())
    await pause(engine)
    run_id = Ids(SystemClock()).new()
    new = runs.NewRun(id=run_id, kind="toy")
    now = SystemClock().now()
    async with engine.publisher.transaction() as publication:
        await runs.create(publication.tx, new, now)
        await publication.publish([ThingRequested(number) for number in range(50)], run_id=run_id)
    await runs.cancel(bench.db, run_id, "a person", now)

    await wait_until_settled(bench.db)

    assert not worked
    assert len(await list_toys(bench.db)) == 50


async def test_a_long_run_is_swept_in_one_poll_with_a_bounded_memory(bench: EngineBench) -> None:
    most = 0

    async def watch(tx: Tx, finished: Sequence[FinishedTask[Any, Any]]) -> None:
        nonlocal most
        del tx, finished
        most = max(most, engine.runners[MAKE].committer.unsettled())

    engine = await bench.run(MakeStage(before_commit=watch), UseStage(), settings=SLOW_POLLS)
    await pause(engine)
    run_id = Ids(SystemClock()).new()
    async with engine.publisher.transaction() as publication:
        await runs.create(publication.tx, runs.NewRun(id=run_id, kind="toy"), SystemClock().now())
        await publication.publish(
            [ThingRequested(number) for number in range(6_000)], run_id=run_id
        )
    await runs.cancel(bench.db, run_id, "a person", SystemClock().now())

    await engine.run_watcher.poll()
    await wait_until_settled(bench.db)

    assert len(await list_toys(bench.db)) == 6_000
    assert most <= 2_000


async def test_a_run_that_has_ended_cannot_be_cancelled(bench: EngineBench) -> None:
    node = await bench.node()
    run_id = await node.open_run()
    await node.engine.run_watcher.poll()

    assert not await runs.cancel(bench.db, run_id, "a person", bench.clock.now())
    assert not (await runs.get(bench.db, run_id)).cancelled


async def test_what_may_be_done_for_a_run_is_written_in_it(bench: EngineBench) -> None:
    node = await bench.node()
    new = runs.NewRun(
        id=node.engine.parts.ids.new(),
        kind="toy",
        title="t",
        sends="never",
        providers=("apollo",),
        cap_micros=5,
        lead_cap_micros=2,
    )

    await runs.create(bench.db, new, bench.clock.now())

    run = await runs.get(bench.db, new.id)
    assert (run.sends, run.providers, run.cap_micros, run.lead_cap_micros) == (
        "never",
        ("apollo",),
        5,
        2,
    )


async def fail_for_good(node: SteppedNode, run_id: UUID) -> UUID:
    """End the only job of a run as a dead letter, and the run; return the letter's id."""
    await node.queue(ThingRequested(1), run_id=run_id)
    [job] = await node.claim()
    job.outcome = Discard(Permanent("no"))
    await node.settle([job])
    await node.engine.run_watcher.poll()
    [letter] = await list_dead_letters(node.db)
    return UUID(str(letter["id"]))


async def replay(node: SteppedNode, run_id: UUID) -> None:
    letter_id = await fail_for_good(node, run_id)
    async with node.db.transaction() as tx:
        await dead_letters.replay(tx, [letter_id], node.engine.parts.ids, SystemClock().now())


async def publish(node: SteppedNode, run_id: UUID) -> None:
    await node.engine.run_watcher.poll()
    await node.queue(ThingRequested(1), run_id=run_id)


async def bury_what_was_asked_again(node: SteppedNode, run_id: UUID) -> None:
    await node.queue(ThingRequested(1, key="k"), run_id=run_id)
    [job] = await node.claim()
    await node.queue(ThingRequested(2, key="k"), run_id=run_id)
    job.outcome = Retry(Transient("later"), 60.0)
    await node.settle([job])
    await node.db.execute(sql("UPDATE run SET state = 'completed', ended_at = created_at"))
    async with node.db.transaction() as tx:
        now = SystemClock().now()
        await dead_letters.bury(tx, job.job_id, "ann", node.engine.parts.ids, now)


@pytest.mark.parametrize("put_in", [replay, publish, bury_what_was_asked_again])
async def test_a_run_that_gets_a_job_goes_on_can_be_cancelled_and_ends_again(
    bench: EngineBench, put_in: Callable[[SteppedNode, UUID], Awaitable[None]]
) -> None:
    node = await bench.node()
    run_id, other_id = await node.open_run(), await node.open_run()
    await put_in(node, run_id)
    reopened = await runs.get(bench.db, run_id)

    cancelled = await runs.cancel(bench.db, run_id, "ann", bench.clock.now())
    await node.engine.run_watcher.poll()
    await settle_swept(node)
    await node.engine.run_watcher.poll()

    assert (reopened.state, reopened.ended_at, cancelled) == ("running", None, True)
    assert not await list_jobs(bench.db)
    assert not node.node.cancelled_runs
    assert (await runs.get(bench.db, other_id)).state == "completed"


async def test_a_run_does_not_end_while_a_job_is_put_into_it(bench: EngineBench) -> None:
    node = await bench.node()
    run_id = await node.open_run()
    async with node.engine.publisher.transaction() as publication:
        await publication.publish([ThingRequested(1)], run_id=run_id)
        await node.engine.run_watcher.poll()
    during = (await runs.get(bench.db, run_id)).state
    await node.engine.run_watcher.poll()
    with_job = (await runs.get(bench.db, run_id)).state

    await node.settle(node.take())
    await node.engine.run_watcher.poll()

    assert (during, with_job) == ("running", "running")
    assert (await runs.get(bench.db, run_id)).state == "completed"


async def test_a_run_ends_though_what_was_to_be_put_into_it_was_rolled_back(
    bench: EngineBench,
) -> None:
    node = await bench.node()
    run_id = await node.open_run()

    async def put_in_and_fail() -> None:
        async with node.engine.publisher.transaction() as publication:
            await publication.publish([ThingRequested(1)], run_id=run_id)
            await node.engine.run_watcher.poll()
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await put_in_and_fail()
    await node.engine.run_watcher.poll()

    assert (await runs.get(bench.db, run_id)).state == "completed"


@pytest.mark.parametrize("was_swept", [True, False])
async def test_a_cancelled_run_that_gets_a_job_is_swept_again(
    bench: EngineBench, *, was_swept: bool
) -> None:
    node = await bench.node()
    run_id = await node.open_run()
    await runs.cancel(bench.db, run_id, "ann", bench.clock.now())
    if was_swept:
        await node.engine.run_watcher.poll()
    node.runner().channel.is_open = False

    async with node.engine.publisher.transaction() as publication:
        await publication.publish([ThingRequested(1)], run_id=run_id)
        await node.engine.run_watcher.poll()
    for _ in range(2):
        await node.engine.run_watcher.poll()
        await settle_swept(node)

    assert await list_toys(bench.db) == [(1, "Discard")]
    assert not await list_jobs(bench.db)


async def test_very_many_runs_that_end_at_once_are_completed_in_one_poll(
    bench: EngineBench,
) -> None:
    node = await bench.node()
    new = [
        runs.NewRun(id=run_id, kind="lead", title="t")
        for run_id in node.engine.parts.ids.take(2_500)
    ]
    await runs.create_many(bench.db, new, bench.clock.now())

    with anyio.fail_after(5.0):
        await node.engine.run_watcher.poll()

    ended = [
        row["subject"] for row in await list_events(bench.db) if row["type"] == "run.completed"
    ]
    assert sorted(ended) == sorted(run.id for run in new)
    assert not await bench.db.fetch_value(sql("SELECT count(*) FROM run_check"))


def test_who_puts_jobs_into_runs_is_known() -> None:
    """Another statement that inserts jobs must hold their runs open too: see `runs.hold_open`."""
    names = {query.name for query in SQL if "INSERT INTO job" in query.text}

    assert names == {
        "insert_jobs",
        "insert_plain_jobs",
        "insert_keyed_jobs",
        "insert_replayed_jobs",
        "insert_asked_again",
    }
