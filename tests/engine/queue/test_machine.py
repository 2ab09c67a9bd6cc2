"""The queue as a state machine: whatever happens, nothing is lost and nothing runs twice at once.

Two nodes are stepped by hand on one database. Jobs are published (plain, keyed, scheduled, in a
run), claimed, settled in all ways; nodes crash, are buried, come back and still hold old claims;
memory forgets; runs are cancelled and swept; dead letters are replayed; the clock moves.
"""

from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack
from datetime import timedelta
from typing import Any, ClassVar
from uuid import UUID

import msgspec
import pytest
from anyio.from_thread import BlockingPortal, start_blocking_portal
from hypothesis import HealthCheck, settings, strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)
from leadflood.engine.clock import ManualClock
from leadflood.engine.db.pool import Database, Settings, open_database
from leadflood.engine.db.tx import Row
from leadflood.engine.errors import Permanent, Transient
from leadflood.engine.queue import dead_letters, runs
from leadflood.engine.queue.dead_letters import Ending
from leadflood.engine.queue.job import QUEUED, RUNNING, Job
from leadflood.engine.queue.outcome import Discard, Done, Outcome, Retry, Snooze
from leadflood.engine.queue.repository import SQL
from leadflood.engine.queue.stage import Policy
from tests.support.db import TestServer, cloned_database
from tests.support.engine import (
    MakeStage,
    SteppedNode,
    ThingRequested,
    UseStage,
    enter_node,
    list_jobs,
    make_parts,
    make_toy_table,
)
from tests.support.statements import sql
from typing_extensions import override

CLEAN = sql("TRUNCATE job, history, dead_letter, event, run, node, toy CASCADE")
LIVE = sql(
    "SELECT id, run_id, state, claim, node_id, key, priority, turn, run_at, attempts, losses, "
    "(payload::jsonb->>'number')::int AS number, (again::jsonb->>'number')::int AS again FROM job"
)
ENDED = sql("SELECT job_id, number FROM toy")
COUNTS = sql("SELECT count(*) FROM history")
NODES = st.sampled_from([0, 1])
KEYS = st.sampled_from(["a", "b", None, None])
OUTCOMES = st.sampled_from(["done", "done", "done", "retry", "snooze", "discard"])


def outcome_called(name: str) -> Outcome[Any]:
    match name:
        case "retry":
            return Retry(Transient("busy"))
        case "snooze":
            return Snooze(3.0, "later")
        case "discard":
            return Discard(Permanent("no"))
        case _:
            return Done(None)


class QueueMachine(RuleBasedStateMachine):
    portal: ClassVar[BlockingPortal]
    database: ClassVar[Database]
    database_settings: ClassVar[Settings]

    def __init__(self) -> None:
        super().__init__()
        self.clock = ManualClock()
        self.nodes: list[SteppedNode] = []
        self.hands: list[list[Job]] = [[], []]
        self.ghosts: list[tuple[SteppedNode, list[Job]]] = []
        self.runs: list[UUID] = []
        self.expected: set[int] = set()
        self.replays: Counter[int] = Counter()
        self.number = 0
        self.has_failed = False

    # what a step needs

    def call(self, function: Any, *args: Any, **kwargs: Any) -> Any:
        return self.portal.call(lambda: function(*args, **kwargs))

    def live(self) -> list[Row]:
        return list(self.call(self.database.fetch, LIVE))

    def enter(self) -> SteppedNode:
        parts = make_parts(self.database, self.database_settings, self.clock)
        stages = MakeStage(Policy(attempts=3, backoff_base_seconds=2.0)), UseStage()
        return self.call(enter_node, parts, *stages)  # type: ignore[no-any-return]

    def new(self, key: str | None) -> ThingRequested:
        self.number += 1
        return ThingRequested(self.number, key=key)

    def expect(self, task: ThingRequested, run_id: UUID | None, rows: list[Row]) -> None:
        """Note what must not be lost: a joined job is its key's, a later `again` the only one."""
        key = f"toy.make:{run_id}:{task.key}" if task.key is not None else None
        matches = [row for row in rows if key is not None and row["key"] == key]
        if matches and matches[0]["state"] != RUNNING:
            return
        if matches and matches[0]["again"] is not None:
            self.expected.discard(matches[0]["again"])
        self.expected.add(task.number)

    @initialize()
    def begin(self) -> None:
        self.call(self.database.execute, CLEAN)
        self.nodes = [self.enter(), self.enter()]

    # rules

    @rule(
        at=NODES,
        key=KEYS,
        priority=st.sampled_from([0, 0, 1]),
        run=st.integers(0, 3),
        far=st.sampled_from([None, None, 0.5, 5.0]),
        by_hand=st.booleans(),
    )
    def publish(
        self, at: int, key: str | None, priority: int, run: int, far: float | None, *, by_hand: bool
    ) -> None:
        node, run_id = self.nodes[at], self.runs[run] if run < len(self.runs) else None
        task, before = self.new(key), self.live()
        self.expect(task, run_id, before)
        run_at = self.clock.now() + timedelta(seconds=far) if far is not None else None
        publish = node.publish if by_hand else node.queue
        turns = dict(node.engine.dispatcher._turns._next)

        self.call(publish, task, run_id=run_id, priority=priority, run_at=run_at)

        self.hands[at] += node.take()
        queued = sorted(
            (row["priority"], row["turn"], row["id"]) for row in before if row["state"] == QUEUED
        )
        entry = [row for row in self.live() if row["number"] == task.number]
        smallest = queued[0][1] if queued else 0
        own = turns.get("" if run_id is None else "toy:", 0) if queued else 0
        assert all(row["turn"] == max(smallest, own) for row in entry)

    @rule(at=NODES, priorities=st.lists(st.integers(0, 2), min_size=2, max_size=4))
    def queue_many(self, at: int, priorities: list[int]) -> None:
        for priority in priorities:
            self.publish(at, None, priority, 9, None, by_hand=False)

    @rule(at=NODES, most=st.integers(1, 5))
    def claim(self, at: int, most: int) -> None:
        node = self.nodes[at]
        waiting = sorted(
            (row["priority"], row["turn"], row["id"])
            for row in self.live()
            if row["state"] == QUEUED
        )
        node.runner().fetcher._rescan_at = 0.0

        claimed = self.call(node.claim, most=most)

        assert {job.job_id for job in claimed} == {entry[2] for entry in waiting[:most]}
        self.hands[at] += claimed

    @precondition(lambda self: any(job.key for hand in self.hands for job in hand))
    @rule(at=NODES)
    def want_again(self, at: int) -> None:
        """Publish with the key of a job that runs."""
        job = next(job for hand in self.hands for job in hand if job.key)
        task, rows = self.new(job.task.key), self.live()
        self.expect(task, job.run_id, rows)

        self.call(self.nodes[at].publish, task, run_id=job.run_id)

    @precondition(lambda self: any(self.hands))
    @rule(outcome=OUTCOMES, count=st.integers(1, 3))
    def settle(self, outcome: str, count: int) -> None:
        at = 0 if self.hands[0] else 1
        jobs, self.hands[at] = self.hands[at][:count], self.hands[at][count:]
        for job in jobs:
            job.outcome = outcome_called(outcome)
        self.settle_jobs(self.nodes[at], jobs)

    def settle_jobs(self, node: SteppedNode, jobs: list[Job]) -> None:
        self.has_failed |= any(isinstance(job.outcome, Discard) for job in jobs)
        rows = {row["id"]: row for row in self.live()}
        ours = [job for job in jobs if self.is_ours(rows.get(job.job_id), job)]
        before = self.call(self.database.fetch_one, COUNTS)[0]

        self.call(node.settle, jobs)

        after = self.call(self.database.fetch_one, COUNTS)[0]
        finished = [job for job in ours if isinstance(job.outcome, Done | Discard)]
        assert after - before == len(finished)
        for job in jobs:
            assert node.node.held.get(job.job_id) != job.claim

    @staticmethod
    def is_ours(row: Row | None, job: Job) -> bool:
        return row is not None and row["state"] == RUNNING and row["claim"] == job.claim

    @precondition(lambda self: any(self.hands))
    @rule(is_noticed=st.booleans())
    def crash(self, *, is_noticed: bool) -> None:
        """Bury a node; it does not know yet and keeps what it has in hand."""
        at = 0 if self.hands[0] else 1
        self.call(self.nodes[at].die)
        self.ghosts.append((self.nodes[at], self.hands[at]))
        self.hands[at] = []
        self.nodes[at] = self.enter()
        if is_noticed:
            self.rescue(at)

    @rule(at=NODES)
    def rescue(self, at: int) -> None:
        self.call(self.nodes[at].engine.rescuer.rescue)

        alive = {node.node.id for node in self.nodes}
        assert all(row["node_id"] in alive for row in self.live() if row["state"] == RUNNING)

    @precondition(lambda self: any(jobs for _, jobs in self.ghosts))
    @rule(outcome=OUTCOMES)
    def settle_from_the_grave(self, outcome: str) -> None:
        node, jobs = self.ghosts.pop(next(at for at, ghost in enumerate(self.ghosts) if ghost[1]))
        for job in jobs:
            job.outcome = outcome_called(outcome)
        self.settle_jobs(node, jobs)

    @precondition(lambda self: any(self.hands))
    @rule()
    def forget_and_reconcile(self) -> None:
        """Lose a claim from memory, as a cancelled transaction does; it goes back uncounted."""
        at = 0 if self.hands[0] else 1
        node, job = self.nodes[at], self.hands[at].pop(0)
        losses = {row["id"]: row["losses"] for row in self.live()}
        node.node.held.pop(job.job_id, None)

        self.call(node.engine.reconciler.reconcile)

        [row] = [row for row in self.live() if row["id"] == job.job_id]
        assert (row["state"], row["losses"]) == (QUEUED, losses[job.job_id])

    @rule(seconds=st.sampled_from([0.5, 3.0, 10.0]))
    def advance(self, seconds: float) -> None:
        self.clock.advance(seconds)

        self.call(self.database.fetch, SQL.wake_scheduled, now=self.clock.now(), limit=1_000)

        assert not [
            row for row in self.live() if (row["run_at"] or self.clock.now()) < self.clock.now()
        ]

    @precondition(lambda self: len(self.runs) < 4)
    @rule()
    def open_run(self) -> None:
        run_id = self.call(self.nodes[0].open_run, None)
        self.runs.append(run_id)
        task = self.new(None)
        self.expected.add(task.number)
        self.call(self.nodes[0].queue, task, run_id=run_id)

    @precondition(lambda self: self.runs)
    @rule(at=st.integers(0, 3), sweeper=NODES)
    def cancel_and_sweep(self, at: int, sweeper: int) -> None:
        run_id = self.runs.pop(at % len(self.runs))
        self.call(runs.cancel, self.database, run_id, "a person", self.clock.now())

        for _ in range(2):  # a key asked again comes back once more
            self.look(sweeper)

        remaining = [row for row in self.live() if row["run_id"] == run_id]
        assert all(row["state"] == RUNNING for row in remaining)

    @rule(at=NODES)
    def look(self, at: int) -> None:
        """Watch the runs: end those that are done, sweep those that are cancelled."""
        node = self.nodes[at]

        self.call(node.engine.run_watcher.poll)
        committer = node.runner().committer
        swept = list(committer._finished)
        committer._finished.clear()
        if swept:
            self.settle_jobs(node, swept)

        carried = {row["run_id"] for row in self.live()}
        states = self.call(runs.find, self.database, self.runs)
        for run_id, run in states.items():
            assert (run.state == "running") or run_id not in carried or self.replays
        self.runs = [run_id for run_id, run in states.items() if run.state == "running"]

    @precondition(lambda self: self.has_failed)
    @rule()
    def replay(self) -> None:
        letters = self.call(
            dead_letters.list_letters, self.database, dead_letters.DeadLetterFilter()
        )
        if not letters:
            return
        number = msgspec.json.decode(letters[0].payload, type=ThingRequested).number

        ending = self.call(self.replay_one, letters[0].id)

        if ending is Ending.QUEUED:
            self.replays[number] += 1
            self.expected.add(number)

    async def replay_one(self, letter_id: UUID) -> Ending:
        async with self.database.transaction() as tx:
            [replayed] = await dead_letters.replay(
                tx, [letter_id], self.nodes[0].engine.parts.ids, self.clock.now()
            )
        return replayed.ending

    # what always holds

    @invariant()
    def nothing_is_lost_and_nothing_runs_twice(self) -> None:
        if not self.nodes:
            return
        rows = self.live()
        live = {row["number"] for row in rows} | {row["again"] for row in rows}
        toys = self.call(self.database.fetch, ENDED)
        counts = Counter(row["number"] for row in toys)
        assert self.expected <= live | set(counts)
        assert all(count <= 1 + self.replays[number] for number, count in counts.items())

        keys = Counter(row["key"] for row in rows if row["key"] is not None)
        assert all(count == 1 for count in keys.values())

        claims = Counter(job.job_id for hand in self.hands for job in hand)
        assert all(count == 1 for count in claims.values())
        by_id = {row["id"]: row for row in rows}
        for at, hand in enumerate(self.hands):
            for job in hand:
                assert self.is_ours(by_id.get(job.job_id), job)
                assert by_id[job.job_id]["node_id"] == self.nodes[at].node.id

        assert len({row["job_id"] for row in toys}) == len(toys)
        assert self.call(self.database.fetch_one, COUNTS)[0] == len(toys)

    @override
    def teardown(self) -> None:
        """In the end everything that was to be done is done."""
        if not self.nodes:
            return
        for at in (0, 1):
            for job in self.hands[at]:
                job.outcome = Done(None)
            self.call(self.nodes[at].settle, self.hands[at])
        self.hands = [[], []]
        self.call(self.finish)
        numbers = {row["number"] for row in self.call(self.database.fetch, ENDED)}
        assert self.expected <= numbers

    async def finish(self) -> None:
        node = self.nodes[0]
        while await list_jobs(self.database):
            await node.engine.rescuer.rescue()
            self.clock.advance(100)
            await self.database.fetch(SQL.wake_scheduled, now=self.clock.now(), limit=1_000)
            await node.settle(await node.claim(most=50))


@pytest.fixture
def _on_a_database(database_server: TestServer) -> Iterator[None]:
    with ExitStack() as stack:
        portal = stack.enter_context(start_blocking_portal())
        opened = stack.enter_context(
            portal.wrap_async_context_manager(cloned_database(database_server))
        )
        database = stack.enter_context(portal.wrap_async_context_manager(open_database(opened)))
        portal.call(make_toy_table, database)
        QueueMachine.portal = portal
        QueueMachine.database = database
        QueueMachine.database_settings = opened
        yield


@pytest.mark.pg
@pytest.mark.usefixtures("_on_a_database")
def test_whatever_happens_nothing_is_lost_and_nothing_runs_twice_at_once() -> None:
    run_state_machine_as_test(
        QueueMachine,
        settings=settings(
            max_examples=22,
            stateful_step_count=40,
            deadline=None,
            suppress_health_check=list(HealthCheck),
        ),
    )
