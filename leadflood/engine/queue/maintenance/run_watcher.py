"""The run watcher: completes runs that no live job carries, and sweeps those of cancelled ones."""

import asyncio
from collections.abc import Mapping, Sequence
from uuid import UUID

from typing_extensions import override

from leadflood.engine.clock import REAL_TIME
from leadflood.engine.db.tx import Row
from leadflood.engine.queue.event import Event
from leadflood.engine.queue.fetcher import job_of
from leadflood.engine.queue.maintenance.loop import repeat
from leadflood.engine.queue.maintenance.settings import Settings
from leadflood.engine.queue.outcome import Cancelled
from leadflood.engine.queue.parts import QueueParts
from leadflood.engine.queue.publisher import Publisher
from leadflood.engine.queue.repository import SQL
from leadflood.engine.queue.stage import FollowUp
from leadflood.engine.queue.stage_runner import StageRunner

MAX_SWEPT, MAX_CHECKED, MAX_SWEEPING = 1_000, 1_000, 5_000
SWEEP_PAUSE_SECONDS = 0.02


class RunCompleted(Event, frozen=True, tag="run.completed"):
    """No live job carries the run any more; written once, and once more where it went on."""

    run_id: UUID

    @override
    def subject(self) -> UUID:
        """The run."""
        return self.run_id


class RunWatcher:
    """Ends runs that no live job carries, once, and sweeps the jobs of cancelled ones."""

    def __init__(
        self,
        parts: QueueParts,
        publisher: Publisher,
        runners: Mapping[str, StageRunner],
        settings: Settings,
    ) -> None:
        self._db = parts.db
        self._clock = parts.clock
        self._node = parts.node
        self._publisher = publisher
        self._runners = runners
        self._settings = settings
        self.ended = asyncio.Event()

    async def run(self) -> None:
        """Watch for ever."""
        await repeat(self._settings.runs_seconds, self.poll, "runs")

    async def poll(self) -> None:
        """Sweep cancelled runs, and complete the runs that have ended."""
        await self._sweep()
        while await self._complete() == MAX_CHECKED:
            continue

    async def _complete(self) -> int:
        """Look at some runs that may have ended; return how many checks there were.

        A run is locked before its jobs are counted, so that what is put into it meanwhile is seen.
        """
        async with self._publisher.transaction() as publication:
            tx = publication.tx
            checks = await tx.fetch(SQL.take_run_checks, limit=MAX_CHECKED)
            run_ids = {row["run_id"] for row in checks}
            if not run_ids:
                return 0
            locked = {row["id"] for row in await tx.fetch(SQL.lock_ending_runs, ids=list(run_ids))}
            if others := list(run_ids - locked):
                await tx.execute(SQL.check_again, ids=others)
            rows = await tx.fetch(SQL.complete_runs, ids=list(locked), now=self._clock.now())
            await publication.publish_each(
                [FollowUp(None, RunCompleted(row["id"]), run_id=row["id"]) for row in rows]
            )
        if rows:
            self.ended.set()
        return len(checks)

    async def _sweep(self) -> None:
        rows = await self._db.fetch(SQL.list_sweeping_runs, limit=MAX_SWEEPING)
        if rows:
            rows = await self._end_sweeping([row["id"] for row in rows])
        self._node.cancelled_runs = frozenset(row["id"] for row in rows)
        while rows and await self._sweep_jobs() == MAX_SWEPT:
            while any(
                runner.committer.unsettled() > MAX_SWEPT for runner in self._runners.values()
            ):
                await REAL_TIME.sleep(SWEEP_PAUSE_SECONDS)

    async def _end_sweeping(self, run_ids: Sequence[UUID]) -> Sequence[Row]:
        """End the sweeping of runs without a job; return those that go on."""
        async with self._db.transaction() as tx:
            swept = await tx.fetch(SQL.lock_swept_runs, ids=list(run_ids))
            if swept:
                await tx.execute(SQL.end_sweeping, ids=[row["id"] for row in swept])
            return await tx.fetch(SQL.list_sweeping_runs, limit=MAX_SWEEPING)

    async def _sweep_jobs(self) -> int:
        """Claim what waits and hand it to its stages' commits; return how many."""
        with self._node.claiming():
            rows = await self._db.fetch(
                SQL.claim_cancelled_jobs,
                node_id=self._node.id,
                run_ids=list(self._node.cancelled_runs),
                stages=list(self._runners),
                limit=MAX_SWEPT,
            )
            for row in rows:
                runner = self._runners[row["stage"]]
                job = job_of(row, runner.stage.name, runner.decode)
                self._node.held[job.job_id] = job.claim
                runner.committer.discard(job, Cancelled("its run was cancelled"))
        return len(rows)
