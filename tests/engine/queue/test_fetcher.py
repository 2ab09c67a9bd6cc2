"""Hand-off through memory, claims, fairness."""

from uuid import UUID

import anyio
import asyncpg
import pytest
from leadflood.engine.clock import REAL_TIME
from leadflood.engine.queue import fetcher, repository, runs
from leadflood.engine.queue.job import QUEUED, RUNNING
from leadflood.engine.queue.maintenance.reconciler import Reconciler
from leadflood.engine.queue.outcome import Done
from leadflood.engine.queue.stage import FinishedTask, FollowUp, Policy
from tests.support.engine import (
    MAKE,
    USE,
    EngineBench,
    MakeStage,
    SteppedNode,
    ThingMade,
    ThingRequested,
    UseStage,
    list_dead_letters,
    list_history,
    list_jobs,
    list_toys,
    task_numbers,
    wait_until,
)
from tests.support.statements import sql


async def test_jobs_are_claimed_by_priority_then_turn_then_id(bench: EngineBench) -> None:
    node = await bench.node()
    await node.queue(ThingRequested(1), ThingRequested(2), priority=5)
    await node.queue(ThingRequested(3), ThingRequested(4))
    await bench.db.execute(sql("UPDATE job SET turn = 9 WHERE payload LIKE '%\"number\":3%'"))

    claimed = [(await node.claim(most=1))[0] for _ in range(4)]

    assert task_numbers(claimed) == [4, 3, 1, 2]


async def test_a_claim_raises_the_claim_number_and_names_the_node(bench: EngineBench) -> None:
    node = await bench.node()
    await node.queue(ThingRequested(1))

    [job] = await node.claim()

    [row] = await list_jobs(bench.db)
    assert (row["state"], row["node_id"], row["claim"]) == (RUNNING, node.node.id, 1)
    assert (job.claim, node.node.held) == (1, {job.job_id: 1})


async def test_two_nodes_never_claim_the_same_job(bench: EngineBench) -> None:
    finished, other = await bench.node(), await bench.node()
    await finished.queue(*[ThingRequested(number) for number in range(50)])

    first, second = await finished.claim(most=20), await other.claim(most=50)

    assert len(first) == 20
    assert len(second) == 30
    assert sorted(task_numbers(first) + task_numbers(second)) == list(range(50))


async def test_a_claim_skips_what_another_transaction_has_locked(bench: EngineBench) -> None:
    node = await bench.node()
    await node.queue(ThingRequested(1), ThingRequested(2))

    async with bench.db.transaction() as tx:
        await tx.execute(sql("SELECT id FROM job ORDER BY id LIMIT 1 FOR UPDATE"))
        claimed = await node.claim()

    assert task_numbers(claimed) == [2]


async def test_follow_ups_are_handed_off_through_memory_already_claimed(bench: EngineBench) -> None:
    node = await bench.node(
        MakeStage(follow=lambda finished: [finished.follow_up(ThingMade(finished.task.number))]),
        UseStage(),
    )
    await node.queue(ThingRequested(7))

    await node.settle(await node.claim())

    [row] = await list_jobs(bench.db)
    assert (row["stage"], row["state"], row["node_id"]) == (USE, RUNNING, node.node.id)
    jobs = node.take(USE)
    assert task_numbers(jobs) == [7]
    assert node.node.held == {jobs[0].job_id: 1}


async def test_follow_ups_without_a_free_slot_are_queued_in_the_database(
    bench: EngineBench,
) -> None:
    many = [ThingMade(number) for number in range(100)]
    node = await bench.node(
        MakeStage(follow=lambda finished: [finished.follow_up(made) for made in many]), UseStage()
    )
    await node.queue(ThingRequested(0))
    capacity = node.runner(USE).channel.capacity

    await node.settle(await node.claim())

    states = [row["state"] for row in await list_jobs(bench.db)]
    assert states.count(RUNNING) == len(node.take(USE)) == capacity
    assert states.count(QUEUED) == 100 - capacity


async def test_hand_offs_take_half_of_the_slots_while_a_backlog_waits(bench: EngineBench) -> None:
    node = await bench.node()
    channel = node.runner().channel
    channel.has_backlog = True

    await node.publish(*[ThingRequested(number) for number in range(100)])

    assert len(node.take()) == channel.capacity // 2


async def test_a_fetcher_that_filled_its_claim_reports_a_backlog(bench: EngineBench) -> None:
    node = await bench.node()
    await node.queue(*[ThingRequested(number) for number in range(33)])

    await node.claim(most=32)

    assert node.runner().channel.has_backlog
    await node.claim(most=32)
    assert not node.runner().channel.has_backlog


async def test_a_paused_or_stopping_stage_takes_no_hand_off(bench: EngineBench) -> None:
    node = await bench.node()

    node.runner().apply_pause(is_paused=True)
    await node.publish(ThingRequested(1))
    node.runner().apply_pause(is_paused=False)
    node.runner().stop_claiming()
    await node.publish(ThingRequested(2))

    assert not node.take()
    assert [row["state"] for row in await list_jobs(bench.db)] == [QUEUED, QUEUED]


async def test_slots_of_a_transaction_that_rolled_back_are_free_again(bench: EngineBench) -> None:
    node = await bench.node()
    channel = node.runner().channel

    async def publish_and_fail() -> None:
        async with node.engine.publisher.transaction() as publication:
            await publication.publish([ThingRequested(number) for number in range(10)])
            await publication.tx.execute(sql("SELECT 1", "missing"))

    with pytest.raises(TypeError):
        await publish_and_fail()

    assert (channel.reserved, len(channel)) == (0, 0)
    assert not await list_jobs(bench.db)


async def test_claims_unknown_to_memory_go_back_uncounted(bench: EngineBench) -> None:
    node = await bench.node()
    await node.queue(ThingRequested(1), ThingRequested(2))
    lost, alive = await node.claim()
    del node.node.held[lost.job_id]

    given_back = await node.engine.reconciler.reconcile()

    assert given_back == 1
    rows = {row["id"]: row for row in await list_jobs(bench.db)}
    assert (rows[lost.job_id]["state"], rows[lost.job_id]["losses"]) == (QUEUED, 0)
    assert rows[alive.job_id]["state"] == RUNNING


async def test_a_claim_that_another_node_has_by_now_is_not_given_back(bench: EngineBench) -> None:
    node = await bench.node()
    await node.queue(ThingRequested(1))
    [job] = await node.claim()
    await bench.db.execute(sql("UPDATE job SET node_id = 999, claim = 2"))
    node.node.held.clear()

    given_back = await Reconciler(
        bench.db, node.node, node.engine.wakeups, node.engine.parts.settings.maintenance
    ).reconcile()

    assert given_back == 0
    assert [row["claim"] for row in await list_jobs(bench.db)] == [job.claim + 1]


@pytest.mark.parametrize(
    "change", ["UPDATE job SET node_id = 999", "UPDATE job SET claim = claim + 1"]
)
async def test_a_claim_that_moved_on_is_not_given_back_by_its_number_or_node(
    bench: EngineBench, change: str
) -> None:
    node = await bench.node()
    await node.queue(ThingRequested(1))
    await node.runner().fetcher._claim()
    await bench.db.execute(sql(change))

    assert await node.runner().release_unstarted() == 0

    assert [row["state"] for row in await list_jobs(bench.db)] == [RUNNING]


async def test_a_stage_that_begins_asks_for_claims_that_nobody_has_in_hand(
    bench: EngineBench,
) -> None:
    node = await bench.node()

    async with anyio.create_task_group() as group:
        group.start_soon(node.runner().supervisor().run)
        await wait_until(node.node.wants_reconcile.is_set)
        group.cancel_scope.cancel()


async def test_the_channel_and_memory_stay_bounded_while_many_wait(bench: EngineBench) -> None:
    node = await bench.node()
    await node.queue(*[ThingRequested(number) for number in range(3_000)])

    await node.runner().fetcher._claim()
    await node.runner().fetcher._claim()
    await node.publish(*[ThingRequested(number) for number in range(500)])

    capacity = node.runner().channel.capacity
    assert len(node.runner().channel) <= capacity
    assert len(node.node.held) <= capacity


async def test_nothing_is_claimed_while_the_committer_is_far_behind(bench: EngineBench) -> None:
    node = await bench.node()
    line = node.runner()
    await node.queue(*[ThingRequested(number) for number in range(32)])
    jobs = await node.claim()

    for _ in range(200):
        for job in jobs:
            line.committer.add(job)

    assert not line._may_claim()
    await node.publish(ThingRequested(99))
    assert not node.take()


async def test_a_task_that_cannot_be_read_ends_as_a_dead_letter_alone(bench: EngineBench) -> None:
    node = await bench.node()
    await node.queue(ThingRequested(1), ThingRequested(2), ThingRequested(3))
    await bench.db.execute(
        sql('UPDATE job SET payload = \'{"type":"old"}\' WHERE payload LIKE \'%"number":2%\'')
    )

    await node.settle(await node.claim())

    [letter] = await list_dead_letters(bench.db)
    assert letter["error_code"] == "engine.task.unreadable"
    assert letter["payload"] == '{"type":"old"}'
    assert await list_toys(bench.db) == [(1, "Done"), (3, "Done")]
    assert sorted(row["state"] for row in await list_history(bench.db)) == [3, 3, 4]


async def test_a_run_of_ten_begun_inside_a_long_one_is_served_beside_it(bench: EngineBench) -> None:
    """Fairness: by the order of claims, the small run ends after about as many of the long one."""

    def fan_out(finished: FinishedTask[ThingRequested, ThingRequested]) -> list[FollowUp]:
        return [
            finished.follow_up(ThingMade(finished.task.number + at))
            for at in range(finished.task.number % 1_000_000)
        ]

    node = await bench.node(MakeStage(follow=fan_out), UseStage(Policy(concurrency=1)))
    node.runner(USE).channel.is_open = False
    await node.queue(ThingRequested(1_000))
    await node.settle(await node.claim())
    for _ in range(20):
        for job in await node.claim(USE, most=10):
            job.outcome = Done(None)
            await node.settle([job], USE)

    await node.queue(ThingRequested(10))
    await node.settle(await node.claim())
    order: list[int] = []
    while len(order) < 100:
        node.runner(USE).fetcher._place = repository.START
        order += task_numbers(await node.claim(USE, most=10))

    places = [at for at, number in enumerate(order) if number < 20]
    assert len(places) == 10
    assert places[-1] < 30


async def test_a_new_run_enters_at_the_smallest_turn_that_waits(bench: EngineBench) -> None:
    node = await bench.node()
    await node.queue(ThingRequested(1))
    await bench.db.execute(sql("UPDATE job SET turn = 500"))

    await node.queue(ThingRequested(2))

    assert [row["turn"] for row in await list_jobs(bench.db)] == [500, 500]


async def test_a_follow_up_takes_its_parents_turn_plus_its_position(bench: EngineBench) -> None:
    many = [ThingMade(number) for number in range(3)]
    node = await bench.node(
        MakeStage(follow=lambda finished: [finished.follow_up(made) for made in many]), UseStage()
    )
    node.runner(USE).channel.is_open = False
    await node.queue(ThingRequested(0))
    await bench.db.execute(sql("UPDATE job SET turn = 40, priority = 2"))

    await node.settle(await node.claim())

    rows = await list_jobs(bench.db)
    assert [(row["priority"], row["turn"]) for row in rows] == [(2, 40), (2, 41), (2, 42)]


async def test_a_claim_behind_the_last_place_finds_earlier_work_when_woken(
    bench: EngineBench,
) -> None:
    node = await bench.node()
    await node.queue(*[ThingRequested(number) for number in range(40)])
    await bench.db.execute(sql("UPDATE job SET turn = 7"))
    await node.claim(most=10)
    await bench.db.execute(
        sql("UPDATE job SET turn = 1 WHERE state = 0 AND payload LIKE '%\"number\":39%'")
    )
    node.runner().fetcher._rescan_at = 0.0

    jobs = await node.claim(most=1)

    assert task_numbers(jobs) == [39]


async def test_only_the_named_runs_are_claimed_by_a_node_of_its_own(bench: EngineBench) -> None:
    node = await bench.node()
    own_run, other_run = await node.open_run(), await node.open_run()
    await node.queue(ThingRequested(1), run_id=other_run)
    await node.queue(ThingRequested(2), run_id=own_run)
    helper = await bench.node(only_runs=(own_run,))

    claimed = await helper.claim()

    assert task_numbers(claimed) == [2]
    assert [row["stage"] for row in await list_jobs(bench.db)] == [MAKE, MAKE]


async def test_jobs_and_their_follow_ups_carry_the_request_and_the_span_that_began_them(
    bench: EngineBench,
) -> None:
    origin = {"request_id": "r-1", "trace_parent": f"00-{'4b' * 16}-{'0f' * 8}-01"}
    node = await bench.node(
        MakeStage(follow=lambda finished: [finished.follow_up(ThingMade(finished.task.number))]),
        UseStage(),
    )
    await node.queue(ThingRequested(1), **origin)
    await node.queue(ThingRequested(2, key="k"), **origin)
    await node.queue(ThingRequested(3), run_at=bench.clock.now(), **origin)
    await bench.db.execute(sql("UPDATE job SET state = 0, run_at = NULL WHERE state = 2"))

    claimed = await node.claim()
    await node.settle(claimed)
    handed_off = node.take(USE)

    jobs = [*claimed, *handed_off]
    assert len(jobs) == 6
    assert {(job.request_id, job.trace_parent) for job in jobs} == {tuple(origin.values())}


async def test_a_flood_of_runs_of_one_source_leaves_a_long_run_half_of_the_workers(
    bench: EngineBench,
) -> None:
    node = await bench.node()
    long_run = await open_run_of(node, "ann")
    await node.queue(*[ThingRequested(number) for number in range(100)], run_id=long_run)
    served: list[int] = []

    for _ in range(10):
        for number in range(20):
            await node.queue(ThingRequested(1_000 + number), run_id=await open_run_of(node, "bob"))
        served += task_numbers(await node.claim(most=10))

    assert 40 <= sum(number < 1_000 for number in served) <= 60


async def test_a_source_that_was_served_begins_anew(bench: EngineBench) -> None:
    node = await bench.node()
    for number in range(5):
        await node.queue(ThingRequested(number), run_id=await open_run_of(node, "bob"))
    await node.claim(most=5)

    await node.queue(ThingRequested(9), run_id=await open_run_of(node, "bob"))

    assert [row["turn"] for row in await list_jobs(bench.db) if row["number"] == "9"] == [0]


async def open_run_of(node: SteppedNode, user: str) -> UUID:
    parts = node.engine.parts
    new = runs.NewRun(id=parts.ids.new(), kind="lead", opened_by=user)
    return await runs.create(node.db, new, parts.clock.now())


async def test_a_stage_that_goes_on_claims_what_came_meanwhile_at_once(
    bench: EngineBench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fetcher, "POLL_SECONDS", 60.0)
    node, producer = await bench.node(), await bench.node()
    runner = node.runner()
    async with anyio.create_task_group() as group:
        group.start_soon(runner.fetcher.run)
        await wait_until(lambda: not runner.fetcher._woken.is_set())
        runner.apply_pause(is_paused=True)
        await producer.queue(ThingRequested(1))
        runner.apply_pause(is_paused=False)

        await wait_until(lambda: len(runner.channel) == 1, 3.0)
        group.cancel_scope.cancel()


async def test_a_fetcher_that_may_not_claim_looks_again_soon(
    bench: EngineBench, monkeypatch: pytest.MonkeyPatch
) -> None:
    node, producer = await bench.node(), await bench.node()
    runner = node.runner()
    await node.claim()
    await producer.queue(ThingRequested(1))
    runner.pool.quiet_until = REAL_TIME.monotonic() + 0.3
    monkeypatch.setattr(fetcher, "POLL_SECONDS", 0.05)
    async with anyio.create_task_group() as group:
        group.start_soon(runner.fetcher.run)
        await REAL_TIME.sleep(0.15)
        monkeypatch.setattr(fetcher, "POLL_SECONDS", 60.0)

        await wait_until(lambda: len(runner.channel) == 1, 3.0)
        group.cancel_scope.cancel()


async def test_claims_of_mixed_turns_are_worked_on_in_the_order_of_the_queue(
    bench: EngineBench,
) -> None:
    node = await bench.node()
    for number in range(40):
        await node.queue(ThingRequested(number))
    await bench.db.execute(sql("UPDATE job SET turn = 100 - turn, priority = turn % 2"))

    jobs = await node.claim()

    places = [(job.priority, job.turn) for job in jobs]
    assert places == sorted(places)
    assert len(set(places)) > 2


async def test_a_claim_whose_reply_was_lost_is_looked_for(
    bench: EngineBench, monkeypatch: pytest.MonkeyPatch
) -> None:
    node = await bench.node()

    async def fail(*_: object) -> None:
        raise asyncpg.ConnectionDoesNotExistError("the reply was lost")

    monkeypatch.setattr(node.runner().fetcher, "_fetch", fail)
    async with anyio.create_task_group() as group:
        group.start_soon(node.runner().fetcher.run)
        with anyio.fail_after(3.0):
            await node.node.wants_reconcile.wait()
        group.cancel_scope.cancel()
