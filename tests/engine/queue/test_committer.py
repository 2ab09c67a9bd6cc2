"""Group commit, the fence, poisoned batches, retries, a database that is away."""

import errno
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

import anyio
import anyio.lowlevel
import asyncpg
import pytest
from leadflood.engine.clock import REAL_TIME
from leadflood.engine.db.tx import Tx
from leadflood.engine.errors import (
    Bug,
    Conflict,
    LeadfloodError,
    Permanent,
    Throttled,
    Transient,
    Unsure,
)
from leadflood.engine.queue import committer, repository
from leadflood.engine.queue.job import QUEUED, RUNNING, SCHEDULED
from leadflood.engine.queue.outcome import Discard, Done, Retry, Snooze
from leadflood.engine.queue.stage import FinishedTask, Policy
from leadflood.engine.queue.worker_pool import outcome_of
from tests.support.engine import (
    USE,
    EngineBench,
    MakeStage,
    ThingLogged,
    ThingMade,
    ThingRequested,
    ThingRouted,
    UseStage,
    crash_at,
    list_dead_letters,
    list_events,
    list_history,
    list_jobs,
    list_toys,
    task_numbers,
    wait_until,
)
from tests.support.statements import sql


@pytest.fixture(autouse=True)
def _short_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(committer, "LONGEST_PAUSE_SECONDS", 0.05)


Refusal = Callable[[Tx], Awaitable[object]]


class ProviderGone(Permanent):
    code = "toy.changed"
    retries = 1


def refuse(*culprits: int, by: Refusal, also_failures: bool = False) -> Any:
    """Make a commit that the database (or its own code) refuses for some numbers."""

    async def spoil(tx: Tx, finished: Sequence[FinishedTask[Any, Any]]) -> None:
        for task in finished:
            is_failure = isinstance(task.outcome, Discard)
            if task.task.number in culprits and (also_failures or not is_failure):
                await by(tx)

    return spoil


async def break_check(tx: Tx) -> None:
    await tx.execute(sql("INSERT INTO toy (number) VALUES (1000000)"))


async def divide_by_zero(tx: Tx) -> None:
    await tx.execute(sql("SELECT 1 / 0"))


async def raise_in_trigger(tx: Tx) -> None:
    await tx.execute(sql("DO 'BEGIN RAISE EXCEPTION ''no''; END'"))


async def crash(tx: Tx) -> None:
    raise KeyError(str(tx))


async def time_out(tx: Tx) -> None:
    await tx.execute(sql("SET LOCAL statement_timeout = 20"))
    await tx.execute(sql("SELECT pg_sleep(5)"))


async def lose_subject(tx: Tx) -> None:
    await tx.execute(sql("CREATE TABLE IF NOT EXISTS toy_subject (id int PRIMARY KEY)"))
    await tx.execute(sql("CREATE TABLE toy_child (id int REFERENCES toy_subject)"))
    await tx.execute(sql("INSERT INTO toy_child VALUES (7)"))


async def test_everything_of_a_batch_is_written_in_one_transaction(bench: EngineBench) -> None:
    stage = MakeStage(
        follow=lambda finished: [
            finished.follow_up(ThingMade(finished.task.number)),
            finished.follow_up(ThingLogged(1)),
        ]
    )
    node = await bench.node(stage, UseStage())
    await node.queue(*[ThingRequested(number) for number in range(20)])

    await node.settle(await node.claim())

    assert stage.batches == [20]
    rows = await list_events(bench.db)
    rows_made = [row for row in rows if row["type"] == "toy.thing.made"]
    assert len({row["xid"] for row in rows_made}) == 1
    assert len(rows_made) == 20
    assert [row["state"] for row in await list_history(bench.db)] == [3] * 20
    assert {row["stage"] for row in await list_jobs(bench.db)} == {USE}


async def test_an_internal_event_is_routed_but_not_logged(bench: EngineBench) -> None:
    node = await bench.node(
        MakeStage(follow=lambda finished: [finished.follow_up(ThingRouted(4))]), UseStage()
    )
    await node.queue(ThingRequested(1))

    await node.settle(await node.claim())

    assert task_numbers(node.take(USE)) == [4]
    assert [row["type"] for row in await list_events(bench.db)] == ["toy.thing.wanted"]


async def test_a_rolled_back_batch_leaves_nothing_behind(bench: EngineBench) -> None:
    crash_point = crash_at("commit.before", KeyboardInterrupt())
    node = await bench.node(crash_point=crash_point)
    await node.queue(ThingRequested(1))
    jobs = await node.claim()

    with pytest.raises(KeyboardInterrupt):
        await node.settle(jobs)

    assert not await list_toys(bench.db)
    assert not await list_history(bench.db)
    assert len(await list_jobs(bench.db)) == 1


@pytest.mark.parametrize("by", [break_check, divide_by_zero, raise_in_trigger, crash])
async def test_two_faulty_jobs_in_a_batch_of_a_hundred_fail_alone(
    bench: EngineBench, by: Refusal
) -> None:
    node = await bench.node(MakeStage(before_commit=refuse(13, 77, by=by)), UseStage())
    await node.queue(*[ThingRequested(number) for number in range(100)])

    await node.settle(await node.claim(most=100))

    toys = await list_toys(bench.db)
    assert sorted(toys) == sorted(
        (number, "Discard" if number in {13, 77} else "Done") for number in range(100)
    )
    states = [row["state"] for row in await list_history(bench.db)]
    assert (states.count(3), states.count(4)) == (98, 2)
    assert len(await list_dead_letters(bench.db)) == 2
    assert not await list_jobs(bench.db)
    assert not node.node.held


async def test_a_faulty_job_passes_through_commit_once_more_as_a_failure(
    bench: EngineBench,
) -> None:
    node = await bench.node(MakeStage(before_commit=refuse(1, by=break_check)), UseStage())
    await node.queue(ThingRequested(1))

    await node.settle(await node.claim())

    assert await list_toys(bench.db) == [(1, "Discard")]
    [letter] = await list_dead_letters(bench.db)
    assert letter["error_code"] == "engine.commit.23514"
    assert "CheckViolationError" in letter["chain"]


async def test_a_job_whose_failure_is_refused_too_is_settled_without_its_slice(
    bench: EngineBench,
) -> None:
    refusing = refuse(1, by=crash, also_failures=True)
    node = await bench.node(MakeStage(before_commit=refusing), UseStage())
    await node.queue(ThingRequested(1), ThingRequested(2))

    await node.settle(await node.claim())

    assert await list_toys(bench.db) == [(2, "Done")]
    assert len(await list_dead_letters(bench.db)) == 1
    assert not await list_jobs(bench.db)


async def test_a_subject_that_is_gone_discards_the_job(bench: EngineBench) -> None:
    node = await bench.node(MakeStage(before_commit=refuse(1, by=lose_subject)), UseStage())
    await node.queue(ThingRequested(1))

    await node.settle(await node.claim())

    [letter] = await list_dead_letters(bench.db)
    assert letter["error_code"] == "engine.subject_gone"


async def test_a_job_that_waits_too_long_in_the_database_comes_back_unattempted(
    bench: EngineBench,
) -> None:
    node = await bench.node(MakeStage(before_commit=refuse(2, by=time_out)), UseStage())
    await node.queue(ThingRequested(1), ThingRequested(2))

    await node.settle(await node.claim())

    assert await list_toys(bench.db) == [(1, "Done")]
    [row] = await list_jobs(bench.db)
    assert (row["state"], row["attempts"], row["number"]) == (SCHEDULED, 0, "2")


async def test_a_locked_row_is_waited_for_once_and_only_who_needs_it_comes_back(
    bench: EngineBench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(committer, "LOCK_WAITS_SECONDS", (0.2, 0.02, 0.001))
    await bench.db.execute(sql("CREATE TABLE subject AS SELECT id FROM generate_series(1, 60) id"))
    lock = sql("SELECT FROM subject WHERE id = ANY ($1::int[]) FOR UPDATE", "ids")

    async def lock_subjects(tx: Tx, finished: Sequence[FinishedTask[Any, Any]]) -> None:
        done = [task.task.number for task in finished if isinstance(task.outcome, Done)]
        await tx.fetch(lock, ids=done)

    node = await bench.node(MakeStage(before_commit=lock_subjects), UseStage())
    await node.queue(*[ThingRequested(number) for number in range(1, 61)])
    jobs = await node.claim(most=60)

    async with bench.db.transaction() as other:
        await other.fetch(lock, ids=list(range(1, 41)))
        began = REAL_TIME.monotonic()
        await node.settle(jobs)
        took_seconds = REAL_TIME.monotonic() - began

    assert [number for number, _ in await list_toys(bench.db)] == list(range(41, 61))
    rows = await list_jobs(bench.db)
    assert {(row["state"], row["attempts"]) for row in rows} == {(SCHEDULED, 0)}
    assert len(rows) == 40
    assert took_seconds < 3  # 40 jobs that each wait the session's lock_timeout take 400 s


async def test_a_lost_claim_is_left_out_before_commit_runs(bench: EngineBench) -> None:
    stage = MakeStage()
    node = await bench.node(stage, UseStage())
    await node.queue(ThingRequested(1), ThingRequested(2), ThingRequested(3))
    jobs = await node.claim()
    await bench.db.execute(
        sql("UPDATE job SET claim = claim + 1 WHERE id = $1", "id"), id=jobs[1].job_id
    )

    await node.settle(jobs)

    assert await list_toys(bench.db) == [(1, "Done"), (3, "Done")]
    assert [row["number"] for row in await list_jobs(bench.db)] == ["2"]
    assert node.runner().metrics.lost_claims == 1
    assert not node.node.held


async def test_a_claim_taken_back_and_queued_again_cannot_be_settled_by_the_old_holder(
    bench: EngineBench,
) -> None:
    node = await bench.node()
    await node.queue(ThingRequested(1))
    [job] = await node.claim()
    await node.die()
    await node.engine.rescuer.rescue()

    await node.settle([job])

    assert not await list_toys(bench.db)
    [row] = await list_jobs(bench.db)
    assert (row["state"], row["losses"]) == (QUEUED, 1)


async def test_a_lost_commit_reply_settles_nothing_twice(bench: EngineBench) -> None:
    stage = MakeStage(follow=lambda finished: [finished.follow_up(ThingMade(finished.task.number))])
    lost = asyncpg.ConnectionDoesNotExistError("the reply was lost")
    node = await bench.node(stage, UseStage(), crash_point=crash_at("commit.after", lost))
    await node.queue(ThingRequested(1), ThingRequested(2))
    jobs = await node.claim()

    await node.settle(jobs)

    assert await list_toys(bench.db) == [(1, "Done"), (2, "Done")]
    assert [row["state"] for row in await list_history(bench.db)] == [3, 3]
    assert not node.node.held
    assert node.runner().committer.stall_reason is None


async def test_hand_offs_of_a_lost_commit_reply_are_given_back(bench: EngineBench) -> None:
    stage = MakeStage(follow=lambda finished: [finished.follow_up(ThingMade(finished.task.number))])
    lost = asyncpg.ConnectionDoesNotExistError("the reply was lost")
    node = await bench.node(stage, UseStage(), crash_point=crash_at("commit.after", lost))
    await node.queue(ThingRequested(1))
    await node.settle(await node.claim())

    assert not node.take(USE)
    assert node.node.wants_reconcile.is_set()
    await node.engine.reconciler.reconcile()

    assert task_numbers(await node.claim(USE)) == [1]
    assert node.runner(USE).channel.reserved == 0


async def test_of_a_batch_only_the_claims_that_are_still_held_go_on(bench: EngineBench) -> None:
    node = await bench.node()
    await node.queue(ThingRequested(1), ThingRequested(2))
    held, lost = await node.claim()
    await bench.db.execute(
        sql("UPDATE job SET claim = claim + 1 WHERE id = $1", "id"), id=lost.job_id
    )

    held_ids = await repository.list_held(
        bench.db, [held.job_id, lost.job_id], [held.claim, lost.claim]
    )

    assert held_ids == {held.job_id}
    assert node.runner().committer._keep([held, lost], held_ids) == [held]


async def test_a_repeated_batch_leaves_out_what_others_have_by_now(bench: EngineBench) -> None:
    away = asyncpg.CannotConnectNowError("starting up")
    node = await bench.node(crash_point=crash_at("commit.before", away))
    await node.queue(ThingRequested(1), ThingRequested(2))
    jobs = await node.claim()
    await bench.db.execute(
        sql("UPDATE job SET claim = claim + 1 WHERE id = $1", "id"), id=jobs[0].job_id
    )

    await node.settle(jobs)

    assert await list_toys(bench.db) == [(2, "Done")]


async def test_a_database_that_is_away_stalls_the_stage_and_fails_no_job(
    bench: EngineBench,
) -> None:
    failures = 5

    async def full_disk(tx: Tx, finished: Sequence[FinishedTask[Any, Any]]) -> None:
        nonlocal failures
        del tx, finished
        if failures:
            failures -= 1
            reasons.append(node.runner().committer.stall_reason)
            may_claim.append(node.runner()._may_claim())
            raise asyncpg.DiskFullError("no space left on device")

    reasons: list[str | None] = []
    may_claim: list[bool] = []
    node = await bench.node(MakeStage(before_commit=full_disk), UseStage())
    await node.queue(ThingRequested(1))

    await node.settle(await node.claim())

    assert reasons[3] is None
    assert reasons[4] == "toy.make cannot commit: no space left on device"
    assert may_claim == [True, True, True, True, False]
    assert node.runner().committer.stall_reason is None
    assert node.runner()._may_claim()
    assert await list_toys(bench.db) == [(1, "Done")]
    assert [row["attempts"] for row in await list_history(bench.db)] == [0]


async def test_a_stall_ends_though_the_batch_has_gone_meanwhile(bench: EngineBench) -> None:
    async def away(tx: Tx, finished: Sequence[FinishedTask[Any, Any]]) -> None:
        del tx, finished
        raise asyncpg.DiskFullError("no space left on device")

    node = await bench.node(MakeStage(before_commit=away), UseStage())
    await node.queue(ThingRequested(1))
    jobs = await node.claim()

    async with anyio.create_task_group() as group:
        group.start_soon(node.settle, jobs)
        await wait_until(lambda: node.runner().committer.stall_reason)
        await bench.db.execute(sql("UPDATE job SET claim = claim + 1"))

    assert node.runner().committer.stall_reason is None
    assert not node.node.held


async def test_a_trigger_that_reports_a_full_disk_is_waited_for(bench: EngineBench) -> None:
    await bench.db.execute(
        sql(
            "CREATE FUNCTION full_disk() RETURNS trigger LANGUAGE plpgsql AS "
            "'BEGIN RAISE EXCEPTION ''disk full'' USING ERRCODE = ''53100''; END'"
        )
    )
    await bench.db.execute(
        sql(
            "CREATE TRIGGER full_disk BEFORE INSERT ON history "
            "FOR EACH ROW EXECUTE FUNCTION full_disk()"
        )
    )
    engine = await bench.run()
    async with engine.publisher.transaction() as publication:
        await publication.publish([ThingRequested(number) for number in range(30)])

    await wait_until(engine.why_not_ready)
    await bench.db.execute(sql("DROP TRIGGER full_disk ON history"))
    await wait_until(lambda: not engine.why_not_ready())

    async def are_done() -> bool:
        return len(await list_toys(bench.db)) == 30

    await wait_until(are_done)
    assert not await list_dead_letters(bench.db)


async def test_a_retry_spends_an_attempt_and_waits_its_backoff(bench: EngineBench) -> None:
    node = await bench.node(MakeStage(Policy(backoff_base_seconds=8.0)), UseStage())
    await node.queue(ThingRequested(1))
    [job] = await node.claim()
    job.outcome = Retry(Transient("busy\x00 \udc80"))

    await node.settle([job])

    [row] = await list_jobs(bench.db)
    assert (row["state"], row["attempts"]) == (SCHEDULED, 1)
    assert 0 <= (row["run_at"] - bench.clock.now()).total_seconds() <= 8
    assert row["last_error"] == "busy ?"


async def test_retry_after_is_honored(bench: EngineBench) -> None:
    node = await bench.node()
    await node.queue(ThingRequested(1))
    [job] = await node.claim()
    job.outcome = outcome_of(Transient("busy", retry_after_seconds=37.0))

    await node.settle([job])

    [row] = await list_jobs(bench.db)
    assert (row["run_at"] - bench.clock.now()).total_seconds() == 37


async def test_a_throttled_job_is_snoozed_without_spending_an_attempt(bench: EngineBench) -> None:
    node = await bench.node()
    await node.queue(ThingRequested(1))
    [job] = await node.claim()
    job.outcome = outcome_of(Throttled("too fast\x00", 5.0))

    await node.settle([job])

    [row] = await list_jobs(bench.db)
    assert (row["state"], row["attempts"]) == (SCHEDULED, 0)
    assert (row["run_at"] - bench.clock.now()).total_seconds() == 5


async def try_until_it_ends(bench: EngineBench, node: Any, error: Exception) -> int:
    """Fail a job with the same error until no row is left; tell how often it was tried."""
    tries = 0
    while await list_jobs(bench.db):
        await bench.db.execute(sql("UPDATE job SET state = 0, run_at = NULL WHERE state = 2"))
        [job] = await node.claim()
        job.outcome = outcome_of(error)
        await node.settle([job])
        tries += 1
    return tries


async def test_after_the_last_attempt_it_is_a_dead_letter_with_payload_and_chain(
    bench: EngineBench,
) -> None:
    node = await bench.node(MakeStage(Policy(attempts=3)), UseStage())
    await node.queue(ThingRequested(41))

    assert await try_until_it_ends(bench, node, Transient("still busy")) == 3

    [letter] = await list_dead_letters(bench.db)
    assert letter["attempts"] == 3
    assert letter["error_code"] == "engine.transient"
    assert '"number":41' in letter["payload"]
    assert "still busy" in letter["chain"]
    [settled] = await list_history(bench.db)
    assert (settled["state"], settled["error_code"], settled["attempts"]) == (
        4,
        "engine.transient",
        3,
    )
    assert await list_toys(bench.db) == [(41, "Discard")]


@pytest.mark.parametrize(
    ("error", "tries"),
    [
        (Permanent("no"), 1),
        (Conflict("taken"), 1),
        (ProviderGone("new shape"), 2),
        (Bug("ours"), 8),
        (ValueError("ours too"), 8),
    ],
)
async def test_each_error_is_tried_as_often_as_its_class_says(
    bench: EngineBench, error: Exception, tries: int
) -> None:
    node = await bench.node()
    await node.queue(ThingRequested(1))

    assert await try_until_it_ends(bench, node, error) == tries

    assert len(await list_dead_letters(bench.db)) == 1


async def test_an_unsure_effect_is_never_tried_again_and_is_no_dead_letter(
    bench: EngineBench,
) -> None:
    node = await bench.node()
    await node.queue(ThingRequested(1))

    assert await try_until_it_ends(bench, node, Unsure("perhaps sent")) == 1

    assert not await list_dead_letters(bench.db)
    assert await list_toys(bench.db) == [(1, "Discard")]


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (Throttled("x", 1.0), Snooze),
        (Transient("x"), Retry),
        (Permanent("x"), Discard),
        (Unsure("x"), Discard),
        (asyncpg.ConnectionDoesNotExistError("x"), Snooze),
        (asyncpg.DeadlockDetectedError("x"), Snooze),
        (asyncpg.LockNotAvailableError("x"), Snooze),
        (asyncpg.UniqueViolationError("x"), Retry),
        (ConnectionResetError("x"), Retry),
        (OSError(errno.EMFILE, "x"), Snooze),
        (TimeoutError("x"), Retry),
        (LeadfloodError("x"), Retry),
    ],
)
def test_each_class_of_error_has_its_outcome(error: Exception, expected: type) -> None:
    assert type(outcome_of(error)) is expected


async def test_work_that_ends_without_an_outcome_is_a_bug_of_the_stage(bench: EngineBench) -> None:
    async def forget(item: Any) -> Any:
        del item

    stage = MakeStage(Policy(attempts=1), do=forget)
    engine = await bench.run(stage, UseStage())
    async with engine.publisher.transaction() as publication:
        await publication.publish([ThingRequested(1)])

    async def has_letter() -> bool:
        return bool(await list_dead_letters(bench.db))

    await wait_until(has_letter)
    assert (await list_dead_letters(bench.db))[0]["error_code"] == "engine.bug"


async def test_a_stage_that_keeps_no_history_leaves_none(bench: EngineBench) -> None:
    node = await bench.node(MakeStage(Policy(keeps_history=False)), UseStage())
    await node.queue(ThingRequested(1), ThingRequested(2))
    first, second = await node.claim()
    second.outcome = Discard(Permanent("no"))

    await node.settle([first, second])

    assert not await list_history(bench.db)
    assert len(await list_toys(bench.db)) == 2


async def test_outcomes_of_all_kinds_settle_in_one_batch(bench: EngineBench) -> None:
    node = await bench.node()
    await node.queue(*[ThingRequested(number) for number in range(4)])
    jobs = await node.claim()
    jobs[0].outcome = Done(None)
    jobs[1].outcome = Retry(Transient("busy"))
    jobs[2].outcome = Snooze(9.0, "later")
    jobs[3].outcome = Discard(Permanent("no"))

    await node.settle(jobs)

    assert await list_toys(bench.db) == [(0, "Done"), (3, "Discard")]
    assert {row["number"]: row["attempts"] for row in await list_jobs(bench.db)} == {"1": 1, "2": 0}
    metrics = node.runner().metrics
    assert (metrics.completed, metrics.failed, metrics.postponed) == (1, 1, 2)


async def test_an_idle_committer_settles_a_single_job_at_once_and_a_busy_one_in_batches(
    bench: EngineBench,
) -> None:
    stage = MakeStage(Policy(concurrency=64))
    engine = await bench.run(stage, UseStage())

    async with engine.publisher.transaction() as publication:
        await publication.publish([ThingRequested(0)])
    await wait_until(lambda: stage.batches == [1])
    async with engine.publisher.transaction() as publication:
        await publication.publish([ThingRequested(number) for number in range(1, 1001)])
    await wait_until(lambda: sum(stage.batches) == 1001)

    assert len(stage.batches) < 200


async def test_a_cancelled_committer_gives_its_batch_back(bench: EngineBench) -> None:
    """A stage actor that is restarted in the middle of a transaction loses no claim."""
    failures = [ValueError("the committer itself fails")]
    engine = await bench.run()
    failing = engine.runners["toy.make"].committer
    settle = failing._settle

    async def fail_once(batch: Any) -> None:
        if failures and batch:
            raise failures.pop()
        await settle(batch)

    failing._settle = fail_once  # type: ignore[method-assign]
    async with engine.publisher.transaction() as publication:
        await publication.publish([ThingRequested(number) for number in range(10)])

    async def are_done() -> bool:
        return len(await list_toys(bench.db)) == 10

    await wait_until(are_done)
    assert sorted(number for number, _ in await list_toys(bench.db)) == list(range(10))


async def test_an_evicted_node_commits_nothing_and_hands_nothing_off(bench: EngineBench) -> None:
    node = await bench.node()
    await node.queue(ThingRequested(1))
    jobs = await node.claim()
    node.node.evicted.set()

    await node.settle(jobs)
    await node.publish(ThingRequested(2))

    assert not await list_toys(bench.db)
    assert not node.take()
    states = {row["number"]: row["state"] for row in await list_jobs(bench.db)}
    assert states == {"1": RUNNING, "2": QUEUED}
    assert not node.node.held


async def test_an_idle_committer_waits_for_nobody(bench: EngineBench) -> None:
    node = await bench.node()
    await node.queue(*[ThingRequested(number) for number in range(20)])
    committer = node.runner().committer
    seconds = []

    async with anyio.create_task_group() as group:
        group.start_soon(committer.run)
        for job in await node.claim():
            job.outcome = Done(job.task)
            began_at = REAL_TIME.monotonic()
            committer.add(job)
            while not committer.is_idle():
                await anyio.lowlevel.checkpoint()
            seconds.append(REAL_TIME.monotonic() - began_at)
        group.cancel_scope.cancel()

    assert min(seconds) < 0.03


@pytest.mark.parametrize(
    "outcome", [Retry(Transient("busy")), Snooze(9.0, "later"), Discard(Permanent("no"))]
)
async def test_a_claim_that_another_node_has_by_now_is_not_put_back_by_the_old_holder(
    bench: EngineBench, outcome: Any
) -> None:
    first, second = await bench.node(), await bench.node()
    await first.queue(ThingRequested(1))
    [job] = await first.claim()
    await first.die()
    await second.engine.rescuer.rescue()
    [later] = await second.claim()
    job.outcome = outcome

    await first.settle([job])

    [row] = await list_jobs(bench.db)
    assert (row["state"], row["claim"], row["attempts"]) == (RUNNING, later.claim, 0)
    assert not await list_dead_letters(bench.db)
    assert row["node_id"] == second.node.id


async def test_a_committer_that_fails_and_a_publication_that_fails_are_looked_after(
    bench: EngineBench, monkeypatch: pytest.MonkeyPatch
) -> None:
    node = await bench.node()
    committer_of = node.runner().committer

    async def fail(_: object) -> None:
        raise ZeroDivisionError

    async def publish_and_fail() -> None:
        async with node.engine.publisher.transaction() as publication:
            await publication.publish([ThingRequested(1)])
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await publish_and_fail()
    after_publication = node.node.wants_reconcile.is_set()
    node.node.wants_reconcile.clear()
    await node.queue(ThingRequested(2))
    [job] = await node.claim()
    committer_of.add(job)
    monkeypatch.setattr(committer_of, "_settle", fail)
    with pytest.raises(ZeroDivisionError):
        await committer_of.run()

    assert (after_publication, node.node.wants_reconcile.is_set()) == (True, True)
    assert not node.node.held
