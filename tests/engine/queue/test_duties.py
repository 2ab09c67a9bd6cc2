"""DESIGN §3.2 and §3.3: timers, rescue, giving back, runs that end or are cancelled, pruning."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import anyio
import asyncpg
import msgspec
import pytest
from leadflood.engine.clock import REAL_TIME, SystemClock
from leadflood.engine.db.tx import Tx
from leadflood.engine.errors import Transient
from leadflood.engine.ids import Ids, id_at
from leadflood.engine.queue import duties, runs
from leadflood.engine.queue.duties import RunCompleted, repeat
from leadflood.engine.queue.job import QUEUED, RUNNING, SCHEDULED
from leadflood.engine.queue.outcome import Done, Outcome, Retry
from leadflood.engine.queue.routes import Routes, Step
from leadflood.engine.queue.stage import Ended, Stage
from leadflood.engine.queue.store import SQL
from tests.support.engine import (
    MAKE,
    QUICK,
    USE,
    Bench,
    LoadingMake,
    Made,
    Make,
    Stepped,
    Use,
    Wanted,
    dead_letters,
    events,
    history,
    job_rows,
    numbers,
    pause,
    sql,
    toys,
    until,
    until_settled,
)
from typing_extensions import override

SLOW_LOOKS = msgspec.structs.replace(
    QUICK, duties=msgspec.structs.replace(QUICK.duties, runs_seconds=60.0)
)


def seconds(bench: Bench, far: float) -> datetime:
    return bench.clock.now() + timedelta(seconds=far)


async def wake_due(bench: Bench, limit: int = 1_000) -> list[str]:
    rows = await bench.db.fetch(SQL.wake_scheduled, now=bench.clock.now(), limit=limit)
    return [row["stage"] for row in rows]


# timers


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


async def test_a_duty_waits_for_a_database_that_is_away_without_spinning() -> None:
    calls: list[float] = []

    async def fail() -> None:
        calls.append(REAL_TIME.monotonic())
        raise asyncpg.CannotConnectNowError("starting up")

    with anyio.move_on_after(0.2):
        await repeat(0.0, fail, "timer")

    assert len(calls) == 1


async def test_a_duty_that_has_a_bug_fails_its_actor() -> None:
    async def fail() -> None:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await repeat(0.0, fail, "timer")


# rescue


async def test_every_claim_whose_node_is_no_row_is_taken_back(bench: Bench) -> None:
    dead, alive = await bench.node(), await bench.node()
    await dead.queue(*[Wanted(number) for number in range(6)])
    lost = await dead.claim(most=4)
    kept = await alive.claim()
    await dead.die()
    await bench.db.execute(
        sql("UPDATE job SET node_id = 123456 WHERE id = $1", "id"), id=lost[0].job_id
    )

    assert await alive.engine.rescuer.rescue() == 4

    rows = {row["id"]: row for row in await job_rows(bench.db)}
    assert all(rows[job.job_id]["state"] == QUEUED for job in lost)
    assert all(rows[job.job_id]["losses"] == 1 for job in lost)
    assert all(rows[job.job_id]["attempts"] == 0 for job in lost)
    assert all(rows[job.job_id]["state"] == RUNNING for job in kept)


async def test_from_the_fifth_loss_on_a_job_comes_back_with_a_backoff(bench: Bench) -> None:
    node = await bench.node()
    await node.queue(Wanted(1))
    waits: list[float] = []
    for _ in range(20):
        await bench.db.execute(sql("UPDATE job SET state = 1, node_id = 999, run_at = NULL"))
        await node.engine.rescuer.rescue()
        [row] = await job_rows(bench.db)
        is_later = row["state"] == SCHEDULED
        waits.append((row["run_at"] - bench.clock.now()).total_seconds() if is_later else 0.0)

    assert waits[:4] == [0, 0, 0, 0]
    assert waits[4:9] == [1, 2, 4, 8, 16]
    assert max(waits) == waits[-1] == 3600
    assert [row["losses"] for row in await job_rows(bench.db)] == [20]


async def test_a_job_that_is_lost_again_and_again_is_named(bench: Bench) -> None:
    node = await bench.node()
    await node.queue(Wanted(1), Wanted(2))
    await bench.db.execute(sql("UPDATE job SET losses = 6 WHERE payload LIKE '%\"number\":2%'"))

    rows = await bench.db.fetch(SQL.list_crash_loops, patience=5, limit=10)

    assert [(row["stage"], row["losses"]) for row in rows] == [(MAKE, 6)]


# giving back


async def test_reconciling_waits_for_claims_that_memory_does_not_know_yet(bench: Bench) -> None:
    node = await bench.node()
    fetch, is_claimed, may_go_on = store_claim(node), anyio.Event(), anyio.Event()

    async def claim_slowly(limit: int) -> Sequence[Any]:
        rows: Sequence[Any] = await fetch(limit)
        is_claimed.set()
        await may_go_on.wait()
        return rows

    node.line().feeder._fetch = claim_slowly  # type: ignore[method-assign]
    await node.queue(Wanted(1), Wanted(2))
    async with anyio.create_task_group() as group:
        group.start_soon(node.line().feeder._claim)
        await is_claimed.wait()
        group.start_soon(node.engine.reconciler.reconcile)
        await REAL_TIME.sleep(0.05)
        may_go_on.set()

    assert [row["state"] for row in await job_rows(bench.db)] == [RUNNING, RUNNING]
    assert len(node.node.held) == 2


def store_claim(node: Stepped) -> Any:
    return node.line().feeder._fetch


async def test_the_reconciler_looks_soon_after_something_was_lost(bench: Bench) -> None:
    engine = await bench.run()
    await bench.db.execute(
        sql(
            "INSERT INTO job (id, created_at, claim, node_id, state, stage, payload) "
            "VALUES (gen_random_uuid(), now(), 1, $1, 1, 'elsewhere', '{}')",
            "node_id",
        ),
        node_id=engine.node.id,
    )

    engine.node.wants_reconcile.set()

    async def is_given_back() -> bool:
        return [row["state"] for row in await job_rows(bench.db)] == [QUEUED]

    await until(is_given_back, 3.0)


# runs


async def test_a_run_has_ended_when_no_live_job_carries_it(bench: Bench) -> None:
    node = await bench.node(Make(follow=lambda one: [one.follow(Made(1))]), Use())
    run_id = await node.open_run()
    await node.queue(Wanted(1), run_id=run_id)
    look = node.engine.run_watcher.look

    async def state() -> str:
        await look()
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


async def test_run_completed_is_written_once_by_two_watchers(bench: Bench) -> None:
    one, other = await bench.node(), await bench.node()
    run_ids = [await one.open_run() for _ in range(20)]

    async with anyio.create_task_group() as group:
        for node in (one, other):
            group.start_soon(node.engine.run_watcher.look)

    written = [row["subject"] for row in await events(bench.db) if row["type"] == "run.completed"]
    assert sorted(written) == sorted(run_ids)


class Closing(Stage[Any, Any, Any]):
    name = "toy.close"
    task = RunCompleted

    @override
    async def work(self, item: Any) -> Outcome[Any]:
        return Done(item)


async def test_a_stage_may_listen_to_the_end_of_a_run(bench: Bench) -> None:
    """The hand-off of the watcher is a claim like any other: reconciling leaves it alone."""
    routes = Routes([Step(on=RunCompleted, run=Closing)])
    node = await bench.node(Closing(Make().policy), routes=routes)
    await node.open_run()

    await node.engine.run_watcher.look()

    assert len(node.line("toy.close").channel) == 1
    assert await node.engine.reconciler.reconcile() == 0


async def test_a_run_that_is_being_filled_does_not_end(bench: Bench) -> None:
    node = await bench.node()
    run_id = await node.open_run(is_loading=True)

    await node.engine.run_watcher.look()
    assert (await runs.get(bench.db, run_id)).state == "running"
    await bench.db.execute(SQL.finish_loading, id=run_id)
    await node.engine.run_watcher.look()

    assert (await runs.get(bench.db, run_id)).state == "completed"


async def test_equal_keys_are_one_run(bench: Bench) -> None:
    node = await bench.node()

    assert await node.open_run("demo:1") == await node.open_run("demo:1")
    assert await node.open_run("demo:2") != await node.open_run("demo:1")


async def test_a_cancelled_run_discards_what_is_claimed_queued_and_scheduled(
    bench: Bench,
) -> None:
    stage = LoadingMake(
        lambda tasks: [one.task for one in tasks], before_commit=(inputs := Notes())
    )
    node = await bench.node(stage, Use())
    run_id = await node.open_run()
    await node.queue(Wanted(1), run_id=run_id)
    claimed = await node.claim()
    await node.queue(Wanted(2), run_id=run_id)
    await node.publish(Wanted(3), run_id=run_id, run_at=seconds(bench, 500))
    await node.queue(Wanted(4))

    assert await runs.cancel(bench.db, run_id, "a person", bench.clock.now())
    await node.engine.run_watcher.look()
    await node.settle(claimed)
    await settle_swept(node)

    assert sorted(await toys(bench.db)) == [(1, "Discard"), (2, "Discard"), (3, "Discard")]
    assert [row["number"] for row in await job_rows(bench.db)] == ["4"]
    assert {(row["state"], row["error_code"]) for row in await history(bench.db)} == {
        (5, "run.cancelled")
    }
    assert not await dead_letters(bench.db)
    assert inputs.seen[2] is None


class Notes:
    """Notes the inputs that reach a commit."""

    def __init__(self) -> None:
        self.seen: dict[int, Any] = {}

    async def __call__(self, tx: Tx, ended: Sequence[Ended[Any, Any]]) -> None:
        del tx
        self.seen |= {one.task.number: one.input for one in ended}


async def settle_swept(node: Stepped) -> None:
    committer = node.line().committer
    swept = list(committer._finished)
    committer._finished.clear()
    await node.settle(swept)


async def test_two_nodes_sweep_a_cancelled_run_without_doing_anything_twice(
    bench: Bench,
) -> None:
    one, other = await bench.node(), await bench.node()
    run_id = await one.open_run()
    await one.queue(*[Wanted(number) for number in range(300)], run_id=run_id)
    await runs.cancel(bench.db, run_id, "a person", bench.clock.now())

    async with anyio.create_task_group() as group:
        for node in (one, other):
            group.start_soon(node.engine.run_watcher.look)
    for node in (one, other):
        await settle_swept(node)

    assert sorted(await toys(bench.db)) == [(number, "Discard") for number in range(300)]
    assert not await job_rows(bench.db)


async def test_jobs_of_a_cancelled_run_are_not_worked_on(bench: Bench) -> None:
    worked: list[int] = []

    async def work(item: Wanted) -> Outcome[Any]:
        worked.append(item.number)
        return Done(item)

    engine = await bench.run(Make(do=work), Use())
    await pause(engine)
    run_id = Ids(SystemClock()).new()
    new = runs.NewRun(id=run_id, kind="toy")
    now = SystemClock().now()
    async with engine.publisher.transaction() as publication:
        await runs.create(publication.tx, new, now)
        await publication.publish([Wanted(number) for number in range(50)], run_id=run_id)
    await runs.cancel(bench.db, run_id, "a person", now)

    await until_settled(bench.db)

    assert not worked
    assert len(await toys(bench.db)) == 50


async def test_a_long_run_is_swept_in_one_look_with_a_bounded_memory(bench: Bench) -> None:
    most = 0

    async def watch(tx: Tx, ended: Sequence[Ended[Any, Any]]) -> None:
        nonlocal most
        del tx, ended
        most = max(most, engine.lines[MAKE].committer.unsettled())

    engine = await bench.run(Make(before_commit=watch), Use(), settings=SLOW_LOOKS)
    await pause(engine)
    run_id = Ids(SystemClock()).new()
    async with engine.publisher.transaction() as publication:
        await runs.create(publication.tx, runs.NewRun(id=run_id, kind="toy"), SystemClock().now())
        await publication.publish([Wanted(number) for number in range(6_000)], run_id=run_id)
    await runs.cancel(bench.db, run_id, "a person", SystemClock().now())

    await engine.run_watcher.look()
    await until_settled(bench.db)

    assert len(await toys(bench.db)) == 6_000
    assert most <= 2_000


async def test_a_run_that_has_ended_cannot_be_cancelled(bench: Bench) -> None:
    node = await bench.node()
    run_id = await node.open_run()
    await node.engine.run_watcher.look()

    assert not await runs.cancel(bench.db, run_id, "a person", bench.clock.now())
    assert not (await runs.get(bench.db, run_id)).cancelled


async def test_what_may_be_done_for_a_run_is_written_in_it(bench: Bench) -> None:
    node = await bench.node()
    new = runs.NewRun(
        id=node.engine.parts.ids.new(), kind="toy", title="t", sends="never",
        providers=("apollo",), cap_micros=5, lead_cap_micros=2,
    )  # fmt: skip

    await runs.create(bench.db, new, bench.clock.now())

    run = await runs.get(bench.db, new.id)
    assert (run.sends, run.providers, run.cap_micros, run.lead_cap_micros) == (
        "never", ("apollo",), 5, 2,
    )  # fmt: skip


# pruning


async def test_history_and_events_past_their_retention_are_pruned_and_dead_letters_kept(
    bench: Bench,
) -> None:
    node = await bench.node()
    await node.queue(Wanted(1), Wanted(2))
    first, second = await node.claim()
    second.outcome = Retry(Transient("x"))
    second.attempts = 99
    await node.settle([first, second])
    bench.clock.advance(8 * 86_400)
    await node.queue(Wanted(3))
    await node.settle(await node.claim())

    pruner = duties.Pruner(bench.db, bench.clock, QUICK.duties)
    assert await pruner.prune() == 2

    assert len(await history(bench.db)) == 1
    assert len(await dead_letters(bench.db)) == 1
    assert len(await events(bench.db)) == 3
    bench.clock.advance(23 * 86_400)
    await pruner.prune()
    assert len(await events(bench.db)) == 1


def test_an_id_tells_its_age() -> None:
    instant = datetime(2026, 1, 5, tzinfo=UTC)

    assert id_at(instant) < id_at(instant + timedelta(milliseconds=1))
