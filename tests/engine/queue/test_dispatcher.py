"""Unique jobs: at most one live row per key."""

from datetime import timedelta
from typing import Any
from uuid import UUID

import anyio
import pytest
from leadflood.engine.clock import REAL_TIME
from leadflood.engine.errors import Permanent, Transient
from leadflood.engine.queue import dead_letters
from leadflood.engine.queue.dead_letters import Ending
from leadflood.engine.queue.event_routes import EventRoutes, Step
from leadflood.engine.queue.job import QUEUED, RUNNING, SCHEDULED
from leadflood.engine.queue.outcome import Discard, Retry, Snooze
from tests.support.engine import (
    EngineBench,
    MakeStage,
    SteppedNode,
    ThingRequested,
    UseStage,
    list_dead_letters,
    list_jobs,
    list_toys,
    task_numbers,
)
from tests.support.statements import sql


async def due(bench: EngineBench) -> None:
    """Make everything that is scheduled queued."""
    await bench.db.execute(sql("UPDATE job SET state = 0, run_at = NULL WHERE state = 2"))


async def test_a_key_contains_the_stage_and_the_run(bench: EngineBench) -> None:
    node = await bench.node()
    run_id = await node.open_run()

    await node.queue(ThingRequested(1, key="k"), run_id=run_id)
    await node.queue(ThingRequested(2, key="k"))
    await node.queue(ThingRequested(3))

    rows = await list_jobs(bench.db)
    assert [row["key"] for row in rows] == [f"toy.make:{run_id}:k", "toy.make:None:k", None]


async def test_a_follow_up_whose_key_is_queued_joins_that_job(bench: EngineBench) -> None:
    node = await bench.node()
    [first] = await node.queue(ThingRequested(1, key="k"), priority=5)

    [second] = await node.queue(ThingRequested(2, key="k"), priority=3)

    [row] = await list_jobs(bench.db)
    assert first == second == row["id"]
    assert (row["number"], row["priority"]) == ("1", 3)


async def test_equal_keys_of_one_transaction_are_one_job(bench: EngineBench) -> None:
    node = await bench.node()

    ids = await node.publish(
        ThingRequested(1, key="k"), ThingRequested(2, key="k"), ThingRequested(3, key="other")
    )

    assert len(await list_jobs(bench.db)) == 2
    assert ids[0] == ids[1]
    assert task_numbers(node.take()) == [1, 3]
    assert node.runner().channel.reserved == 0


async def test_only_rows_really_inserted_are_handed_off(bench: EngineBench) -> None:
    node = await bench.node()
    await node.queue(ThingRequested(1, key="k"))

    await node.publish(ThingRequested(2, key="k"), ThingRequested(3, key="other"))

    assert task_numbers(node.take()) == [3]
    assert node.runner().channel.reserved == 0
    assert {row["number"]: row["state"] for row in await list_jobs(bench.db)} == {
        "1": QUEUED,
        "3": RUNNING,
    }


async def test_a_scheduled_job_of_a_key_takes_the_earlier_time(bench: EngineBench) -> None:
    node = await bench.node()
    soon, late = (bench.clock.now() + timedelta(seconds=far) for far in (10, 50))
    await node.publish(ThingRequested(1, key="k"), run_at=late)

    await node.publish(ThingRequested(2, key="k"), run_at=soon)
    await node.publish(ThingRequested(3, key="k"), run_at=late)

    [row] = await list_jobs(bench.db)
    assert (row["state"], row["run_at"]) == (SCHEDULED, soon)


async def test_a_scheduled_job_whose_key_is_queued_is_queued_now(bench: EngineBench) -> None:
    node = await bench.node()
    await node.publish(ThingRequested(1, key="k"), run_at=bench.clock.now() + timedelta(seconds=50))

    await node.publish(ThingRequested(2, key="k"))

    [row] = await list_jobs(bench.db)
    assert (row["state"], row["run_at"], row["number"]) == (QUEUED, None, "1")


async def test_a_running_key_runs_again_with_the_last_payload(bench: EngineBench) -> None:
    node = await bench.node()
    run_id = await node.open_run()
    await node.queue(ThingRequested(1, key="k"), run_id=run_id)
    running = await node.claim()
    await node.publish(ThingRequested(2, key="k"), run_id=run_id)
    await node.publish(ThingRequested(3, key="k"), run_id=run_id)
    assert [row["number"] for row in await list_jobs(bench.db)] == ["1"]

    await node.settle(running)

    [row] = await list_jobs(bench.db)
    assert (row["number"], row["run_id"], row["attempts"]) == ("3", run_id, 0)
    assert row["id"] != running[0].job_id
    await due(bench)
    await node.settle(await node.claim())
    assert await list_toys(bench.db) == [(1, "Done"), (3, "Done")]
    assert not await list_jobs(bench.db)


@pytest.mark.parametrize(
    "outcome", [Retry(Transient("busy")), Snooze(4.0, "later")], ids=["retried", "snoozed"]
)
async def test_a_key_queued_again_while_its_job_is_postponed_runs_twice(
    bench: EngineBench, outcome: Any
) -> None:
    node = await bench.node()
    await node.queue(ThingRequested(1, key="k"))
    [job] = await node.claim()
    await node.publish(ThingRequested(2, key="k"))
    job.outcome = outcome

    await node.settle([job])
    await due(bench)
    await node.settle(await node.claim())
    await due(bench)
    await node.settle(await node.claim())

    assert await list_toys(bench.db) == [(1, "Done"), (2, "Done")]
    assert not await list_jobs(bench.db)


async def test_a_key_queued_again_runs_again_though_the_first_failed(bench: EngineBench) -> None:
    node = await bench.node()
    await node.queue(ThingRequested(1, key="k"))
    [job] = await node.claim()
    await node.publish(ThingRequested(2, key="k"))
    job.outcome = Discard(Permanent("no"))

    await node.settle([job])

    assert await list_toys(bench.db) == [(1, "Discard")]
    assert [row["number"] for row in await list_jobs(bench.db)] == ["2"]


async def test_a_key_queued_again_survives_a_crash(bench: EngineBench) -> None:
    node, second = await bench.node(), await bench.node()
    await node.queue(ThingRequested(1, key="k"))
    await node.claim()
    await node.publish(ThingRequested(2, key="k"))

    await node.die()
    await second.engine.rescuer.rescue()
    await second.settle(await second.claim())

    assert [row["number"] for row in await list_jobs(bench.db)] == ["2"]


async def test_a_job_may_name_its_own_key_as_its_next(bench: EngineBench) -> None:
    node = await bench.node(
        MakeStage(
            follow=lambda first: [first.follow_up(ThingRequested(first.task.number + 1, key="k"))]
        ),
        UseStage(),
    )
    await node.queue(ThingRequested(1, key="k"))

    await node.settle(await node.claim())

    assert task_numbers(node.take()) == [2]
    assert len(await list_jobs(bench.db)) == 1


async def test_two_nodes_that_insert_the_same_keys_at_once_make_one_job_each(
    bench: EngineBench,
) -> None:
    first, second = await bench.node(), await bench.node()
    tasks = [ThingRequested(number, key=f"k{number}") for number in range(50)]

    async with anyio.create_task_group() as group:
        group.start_soon(first.queue, *tasks)
        group.start_soon(second.queue, *reversed(tasks))

    assert sorted(int(row["number"]) for row in await list_jobs(bench.db)) == list(range(50))


async def replay(bench: EngineBench, node: SteppedNode, letter_id: UUID) -> Ending:
    async with bench.db.transaction() as tx:
        [replayed] = await dead_letters.replay(
            tx, [letter_id], node.engine.parts.ids, bench.clock.now()
        )
    return replayed.ending


async def test_a_replay_of_a_dead_letter_whose_key_lives_says_already_queued(
    bench: EngineBench,
) -> None:
    node = await bench.node()
    await node.queue(ThingRequested(1, key="k"))
    [job] = await node.claim()
    job.outcome = Discard(Permanent("no"))
    await node.settle([job])
    await node.queue(ThingRequested(2, key="k"))
    [letter] = await list_dead_letters(bench.db)

    assert await replay(bench, node, letter["id"]) is Ending.ALREADY_QUEUED

    assert [row["number"] for row in await list_jobs(bench.db)] == ["2"]
    assert len(await list_dead_letters(bench.db)) == 1


async def test_a_replay_leaves_a_job_alone_that_gets_its_key_in_the_same_moment(
    bench: EngineBench,
) -> None:
    node = await bench.node()
    await node.queue(ThingRequested(1, key="k"))
    [job] = await node.claim()
    job.outcome = Discard(Permanent("no"))
    await node.settle([job])
    [letter] = await list_dead_letters(bench.db)
    endings: list[Ending] = []

    async def replay_letter() -> None:
        endings.append(await replay(bench, node, letter["id"]))

    async with (
        anyio.create_task_group() as group,
        node.engine.publisher.transaction() as publication,
    ):
        await publication.publish([ThingRequested(2, key="k")])
        group.start_soon(replay_letter)
        await REAL_TIME.sleep(0.2)

    assert endings == [Ending.ALREADY_QUEUED]
    assert [row["number"] for row in await list_jobs(bench.db)] == ["2"]


async def test_a_replayed_dead_letter_runs_as_a_new_job(bench: EngineBench) -> None:
    node = await bench.node()
    await node.queue(ThingRequested(1, key="k"))
    [job] = await node.claim()
    job.outcome = Discard(Permanent("no"))
    await node.settle([job])
    [letter] = await list_dead_letters(bench.db)

    assert await replay(bench, node, letter["id"]) is Ending.QUEUED
    await node.settle(await node.claim())

    assert await list_toys(bench.db) == [(1, "Discard"), (1, "Done")]
    assert not await list_dead_letters(bench.db)


@pytest.mark.parametrize("first", [10, 100])
async def test_equal_keys_of_one_transaction_take_the_earlier_time_and_the_higher_priority(
    bench: EngineBench, first: int
) -> None:
    now = bench.clock.now()
    node = await bench.node(
        MakeStage(
            follow=lambda task: [
                task.follow_up(ThingRequested(far, key="k"), now + timedelta(seconds=far))
                for far in (first, 110 - first)
            ]
        ),
        UseStage(),
    )
    await node.queue(ThingRequested(1))

    await node.settle(await node.claim())

    [row] = await list_jobs(bench.db)
    assert (row["state"], row["run_at"]) == (SCHEDULED, now + timedelta(seconds=10))


async def test_what_was_asked_again_survives_a_burial(bench: EngineBench) -> None:
    node = await bench.node()
    run_id = await node.open_run()
    await node.queue(ThingRequested(1, key="k"), run_id=run_id)
    [job] = await node.claim()
    await node.queue(ThingRequested(2, key="k"), run_id=run_id)
    job.outcome = Retry(Transient("later"), 60.0)
    await node.settle([job])

    async with bench.db.transaction() as tx:
        await dead_letters.bury(tx, job.job_id, "ann", node.engine.parts.ids, bench.clock.now())

    [row] = await list_jobs(bench.db)
    [letter] = await list_dead_letters(bench.db)
    assert (row["number"], row["run_id"], row["key"]) == ("2", run_id, letter["key"])
    assert letter["id"] == job.job_id


async def test_every_stage_that_listens_to_an_event_gets_it(bench: EngineBench) -> None:
    class SecondStage(MakeStage):
        name = "toy.second"

    routes = EventRoutes(
        [Step(on=ThingRequested, run=MakeStage), Step(on=ThingRequested, run=SecondStage)]
    )
    node = await bench.node(MakeStage(), SecondStage(), routes=routes)

    await node.queue(ThingRequested(1))

    assert sorted(row["stage"] for row in await list_jobs(bench.db)) == ["toy.make", "toy.second"]
