"""Whole engines on one database: sharing, dying, stopping, a database that is away."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import anyio
import msgspec
import pytest
from leadflood.engine.actors.supervisor import Child, TooManyRestarts
from leadflood.engine.clock import REAL_TIME
from leadflood.engine.db.pool import open_database
from leadflood.engine.errors import NodeFenced
from leadflood.engine.queue.guard import Settings as HeartbeatSettings
from leadflood.engine.queue.outcome import Done, Outcome
from leadflood.engine.queue.publisher import Publisher
from leadflood.engine.queue.stage import Policy
from leadflood.engine.queue.wakeups import Wakeups
from leadflood.engine.runtime import Engine, running_engine
from tests.support.engine import (
    MAKE,
    QUICK_SETTINGS,
    USE,
    BatchStage,
    EngineBench,
    MakeStage,
    ThingMade,
    ThingRequested,
    UseStage,
    list_dead_letters,
    list_history,
    list_jobs,
    list_node_ids,
    list_toys,
    make_parts,
    pause,
    wait_until,
    wait_until_settled,
)
from tests.support.statements import sql
from typing_extensions import override


async def publish(engine: Engine, *tasks: ThingRequested, **how: Any) -> None:
    async with engine.publisher.transaction() as publication:
        await publication.publish(tasks, **how)


async def test_two_engines_share_the_work_and_do_nothing_twice(bench: EngineBench) -> None:
    follow = lambda finished: [finished.follow_up(ThingMade(finished.task.number))]  # noqa: E731 - a stage's own habit
    worked: dict[str, int] = {"one": 0, "other": 0}

    def counting(name: str) -> MakeStage:
        async def work(item: ThingRequested) -> Outcome[Any]:
            worked[name] += 1
            await REAL_TIME.sleep(0.001)
            return Done(item)

        return MakeStage(Policy(concurrency=4), do=work, follow=follow)

    finished = await bench.run(counting("one"), UseStage())
    await bench.run(counting("other"), UseStage())
    await wait_until(lambda: finished.node.has_peers)

    await publish(finished, *[ThingRequested(number) for number in range(1_000)])
    await wait_until_settled(bench.db, 25)

    for stage in (MAKE, USE):
        assert sorted(await list_toys(bench.db, stage)) == [(at, "Done") for at in range(1_000)]
    assert worked["one"] + worked["other"] == 1_000
    assert min(worked.values()) > 0


async def test_work_queued_by_one_node_wakes_the_other(bench: EngineBench) -> None:
    first = await bench.run()
    second = await bench.run()
    await wait_until(lambda: first.node.has_peers and second.node.has_peers)
    first.runners[MAKE].stop_claiming()
    await REAL_TIME.sleep(0.1)

    started_at = REAL_TIME.monotonic()
    await publish(first, ThingRequested(1))
    await wait_until_settled(bench.db)

    assert REAL_TIME.monotonic() - started_at < 2.0


async def test_a_producer_that_is_no_node_wakes_the_nodes(bench: EngineBench) -> None:
    engine = await bench.run()
    producer = Publisher(
        bench.db,
        (await bench.node()).engine.dispatcher,
        None,
        Wakeups(),
    )
    producer._dispatcher._node = None
    await REAL_TIME.sleep(0.1)

    started_at = REAL_TIME.monotonic()
    async with producer.transaction() as publication:
        await publication.publish([ThingRequested(1)])
        await publication.publish(
            [ThingRequested(2)],
            run_at=datetime.now(UTC) + timedelta(seconds=0.1),  # noqa: TID251 - a real timer
        )
    await wait_until_settled(bench.db)

    assert REAL_TIME.monotonic() - started_at < 2.0
    assert sorted(await list_toys(bench.db)) == [(1, "Done"), (2, "Done")]
    assert engine.node.id


async def test_an_evicted_node_starts_again_under_a_new_id_with_an_empty_memory(
    bench: EngineBench,
) -> None:
    lives: list[Engine] = []
    gate = anyio.Event()

    async def work(item: ThingRequested) -> Outcome[Any]:
        await gate.wait()
        return Done(item)

    parts = make_parts(bench.db, bench.settings)

    def make(_: Engine) -> Sequence[Any]:
        return MakeStage(do=work), UseStage()

    async with running_engine(parts, make, None, lives.append) as first:
        await publish(first, *[ThingRequested(number) for number in range(10)])
        await wait_until(lambda: first.runners[MAKE].pool.in_flight() > 0)
        await bench.db.execute(sql("DELETE FROM node"))
        await wait_until(lambda: len(lives) == 2)
        second = lives[1]
        assert second.node.id > first.node.id
        assert await list_node_ids(bench.db) == [second.node.id]
        gate.set()
        await wait_until_settled(bench.db)

    assert sorted(await list_toys(bench.db)) == [(number, "Done") for number in range(10)]
    assert all(row["losses"] >= 1 and row["attempts"] == 0 for row in await list_history(bench.db))


async def test_a_node_that_learns_of_its_eviction_at_the_gateway_starts_again_at_once(
    bench: EngineBench,
) -> None:
    lives: list[Engine] = []
    may_end = anyio.Event()

    async def work(item: ThingRequested) -> Outcome[Any]:
        if len(lives) == 1:
            await may_end.wait()
            raise NodeFenced("taken for dead")
        return Done(item)

    slow = HeartbeatSettings(beat_seconds=30.0)
    settings = msgspec.structs.replace(QUICK_SETTINGS, heartbeat=slow)
    parts = make_parts(bench.db, bench.settings, settings=settings)
    stage = MakeStage(Policy(attempts=1), do=work)

    async with running_engine(parts, lambda _: (stage, UseStage()), None, lives.append) as first:
        await publish(first, ThingRequested(1))
        await wait_until(lambda: first.runners[MAKE].pool.in_flight() == 1)
        await bench.db.execute(sql("DELETE FROM node"))
        may_end.set()
        await wait_until(lambda: len(lives) == 2, 5.0)
        await wait_until_settled(bench.db)

    assert await list_toys(bench.db) == [(1, "Done")]
    assert [row["attempts"] for row in await list_history(bench.db)] == [0]


async def test_claims_of_a_node_that_died_are_done_by_the_next_start(bench: EngineBench) -> None:
    dead = await bench.node()
    await dead.queue(*[ThingRequested(number) for number in range(20)])
    await dead.claim()
    await dead.die()

    await bench.run()
    await wait_until_settled(bench.db)

    assert sorted(await list_toys(bench.db)) == [(number, "Done") for number in range(20)]


async def test_a_silent_node_is_evicted_and_its_work_done_by_the_other(bench: EngineBench) -> None:
    silent = await bench.node()
    await silent.queue(*[ThingRequested(number) for number in range(5)])
    await silent.claim()
    quick = msgspec.structs.replace(
        QUICK_SETTINGS, heartbeat=HeartbeatSettings(beat_seconds=0.02, dead_after_seconds=0.2)
    )

    await bench.run(settings=quick)
    await wait_until_settled(bench.db)

    assert len(await list_toys(bench.db)) == 5
    assert silent.node.id not in await list_node_ids(bench.db)


async def test_shutdown_gives_unstarted_claims_back_uncounted_and_finishes_the_rest(
    bench: EngineBench,
) -> None:
    async def work(item: ThingRequested) -> Outcome[Any]:
        await wait_until(lambda: engine.runners[MAKE].is_stopping)
        await REAL_TIME.sleep(0.2)
        return Done(item)

    async with bench.running(MakeStage(Policy(concurrency=4), do=work), UseStage()) as engine:
        await publish(engine, *[ThingRequested(number) for number in range(30)])
        await wait_until(lambda: engine.runners[MAKE].pool.in_flight() == 4)

    rows = await list_jobs(bench.db)
    assert [(row["state"], row["losses"], row["attempts"]) for row in rows] == [(0, 0, 0)] * 26
    assert len(await list_toys(bench.db)) == 4
    assert not await list_node_ids(bench.db)


async def test_shutdown_waits_for_a_batch_that_is_at_work(bench: EngineBench) -> None:
    is_working = anyio.Event()

    class SlowBatch(BatchStage):
        @override
        async def work_batch(self, items: Sequence[Any]) -> Sequence[Outcome[Any]]:
            is_working.set()
            await REAL_TIME.sleep(0.2)
            return [Done(item) for item in items]

    async with bench.running(SlowBatch(list), UseStage()) as engine:
        await publish(engine, *[ThingRequested(number) for number in range(5)])
        await is_working.wait()

    count = len(await list_toys(bench.db))
    rows = await list_jobs(bench.db)
    assert count > 0
    assert count + len(rows) == 5
    assert {(row["state"], row["losses"]) for row in rows} <= {(0, 0)}


async def test_work_that_outlasts_the_grace_period_is_left_to_the_next_node(
    bench: EngineBench,
) -> None:
    async def hang(item: ThingRequested) -> Outcome[Any]:
        await anyio.sleep_forever()
        return Done(item)

    settings = msgspec.structs.replace(QUICK_SETTINGS, grace_seconds=0.1)
    async with bench.running(MakeStage(do=hang), UseStage(), settings=settings) as engine:
        await publish(engine, ThingRequested(1))
        await wait_until(lambda: engine.runners[MAKE].pool.in_flight() == 1)

    await bench.run()
    await wait_until_settled(bench.db)

    assert await list_toys(bench.db) == [(1, "Done")]


async def test_cut_connections_lose_nothing_and_fail_no_job(bench: EngineBench) -> None:
    async def work(item: ThingRequested) -> Outcome[Any]:
        await REAL_TIME.sleep(0.002)
        return Done(item)

    follow = lambda finished: [finished.follow_up(ThingMade(finished.task.number))]  # noqa: E731 - a stage's own habit
    async with open_database(bench.settings) as database:
        parts = make_parts(database, bench.settings)
        stages = (MakeStage(Policy(concurrency=4), do=work, follow=follow), UseStage())
        async with running_engine(parts, lambda _: stages) as engine:
            await publish(engine, *[ThingRequested(number) for number in range(600)])
            for _ in range(4):
                await REAL_TIME.sleep(0.1)
                await bench.db.execute(
                    sql(
                        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
                        "WHERE datname = current_database() AND pid <> pg_backend_pid()"
                    )
                )
            await wait_until_settled(bench.db, 25)

    for stage in (MAKE, USE):
        assert sorted(await list_toys(bench.db, stage)) == [(at, "Done") for at in range(600)]
    assert not await list_dead_letters(bench.db)


async def test_an_exhausted_pool_delays_work_and_fails_no_job(bench: EngineBench) -> None:
    tight = msgspec.structs.replace(bench.settings, pool_size=2, acquire_timeout_seconds=0.05)
    async with open_database(tight) as database:
        parts = make_parts(database, tight)
        stages = (MakeStage(Policy(attempts=1)), UseStage())
        async with running_engine(parts, lambda _: stages) as engine:
            await publish(engine, *[ThingRequested(number) for number in range(100)])
            async with database.session(), anyio.create_task_group() as group:
                group.start_soon(_hold_another, database)
                await REAL_TIME.sleep(0.5)
                group.cancel_scope.cancel()
            await wait_until_settled(bench.db, 25)

    assert sorted(await list_toys(bench.db)) == [(at, "Done") for at in range(100)]
    assert not await list_dead_letters(bench.db)


async def _hold_another(database: Any) -> None:
    while True:
        try:
            async with database.session():
                await anyio.sleep_forever()
        except TimeoutError:
            continue


async def test_an_actor_that_keeps_failing_ends_the_process(bench: EngineBench) -> None:
    async def fail() -> None:
        raise ZeroDivisionError

    parts = make_parts(bench.db, bench.settings)

    async def live() -> None:
        async with running_engine(
            parts, lambda _: (MakeStage(), UseStage()), lambda _: [Child("broken", fail)]
        ):
            await anyio.sleep_forever()

    with pytest.raises(ExceptionGroup) as raised:
        with anyio.fail_after(20):
            await live()

    assert raised.group_contains(TooManyRestarts)


async def test_memory_stays_flat_while_very_many_are_queued(bench: EngineBench) -> None:
    most = 0

    async def work(item: ThingRequested) -> Outcome[Any]:
        nonlocal most
        most = max(most, len(engine.node.held))
        return Done(item)

    engine = await bench.run(
        MakeStage(Policy(concurrency=8, keeps_history=False), do=work), UseStage()
    )
    await pause(engine)
    await publish(engine, *[ThingRequested(number) for number in range(8_000)])
    await bench.db.execute(sql("DELETE FROM switch"))
    await wait_until_settled(bench.db, 25)

    assert len(await list_toys(bench.db)) == 8_000
    assert most < 6_000


async def test_a_claim_the_stage_lost_by_restarting_is_worked_on_again(bench: EngineBench) -> None:
    pool_is_cancelled = anyio.Event()

    async def work(item: ThingRequested) -> Outcome[Any]:
        if item.number == 3 and not pool_is_cancelled.is_set():
            engine.runners[MAKE].pool._group.cancel_scope.cancel()  # type: ignore[union-attr]
            pool_is_cancelled.set()
            raise anyio.get_cancelled_exc_class()
        return Done(item)

    engine = await bench.run(MakeStage(do=work), UseStage())
    feeder = engine.runners[MAKE].fetcher
    await publish(engine, *[ThingRequested(number) for number in range(10)])
    await pool_is_cancelled.wait()  # the restart comes after it: a new pool must not be cancelled

    async def fail(limit: int) -> Any:
        del limit
        feeder._fetch = fetch  # type: ignore[method-assign]
        raise ZeroDivisionError("the stage fails once, and is restarted as one")

    fetch, feeder._fetch = feeder._fetch, fail  # type: ignore[method-assign]
    feeder.wake()
    await wait_until_settled(bench.db)

    assert sorted(await list_toys(bench.db)) == [(number, "Done") for number in range(10)]
