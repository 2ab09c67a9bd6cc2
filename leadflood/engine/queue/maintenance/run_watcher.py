"""The run watcher: completes runs that no live job carries, and sweeps those of cancelled ones."""

import asyncio
from collections.abc import Mapping
from uuid import UUID

from typing_extensions import override

from leadflood.engine.clock import REAL_TIME
from leadflood.engine.queue.event import Event
from leadflood.engine.queue.fetcher import job_of
from leadflood.engine.queue.maintenance.loop import repeat
from leadflood.engine.queue.maintenance.settings import Settings
from leadflood.engine.queue.outcome import Cancelled
from leadflood.engine.queue.parts import QueueParts
from leadflood.engine.queue.publisher import Publisher
from leadflood.engine.queue.repository import SQL
from leadflood.engine.queue.stage_runner import StageRunner

MAX_SWEPT = 1_000
SWEEP_PAUSE_SECONDS = 0.02


class RunCompleted(Event, frozen=True, tag="run.completed"):
    """No live job carries the run any more; written once."""

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
        async with self._publisher.transaction() as publication:
            rows = await publication.tx.fetch(SQL.complete_runs, now=self._clock.now())
            for row in rows:
                await publication.publish([RunCompleted(run_id=row["id"])], run_id=row["id"])
        if rows:
            self.ended.set()

    async def _sweep(self) -> None:
        rows = await self._db.fetch(SQL.list_cancelled_runs)
        self._node.cancelled_runs = frozenset(row["id"] for row in rows)
        while rows and await self._sweep_jobs() == MAX_SWEPT:
            while any(
                runner.committer.unsettled() > MAX_SWEPT for runner in self._runners.values()
            ):
                await REAL_TIME.sleep(SWEEP_PAUSE_SECONDS)

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
