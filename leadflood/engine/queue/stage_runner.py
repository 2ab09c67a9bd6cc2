"""The stage runner: one stage on one node, with its channel, fetcher, workers and committer."""

from collections.abc import Callable, Sequence
from typing import Any
from uuid import UUID

import msgspec

from leadflood.engine.actors.channel import JobChannel
from leadflood.engine.actors.supervisor import Child, Strategy, Supervisor
from leadflood.engine.clock import REAL_TIME
from leadflood.engine.obs.stage_metrics import StageMetrics
from leadflood.engine.queue.committer import Committer
from leadflood.engine.queue.fetcher import JobFetcher
from leadflood.engine.queue.job import Job
from leadflood.engine.queue.parts import QueueParts
from leadflood.engine.queue.repository import SQL
from leadflood.engine.queue.stage import Stage
from leadflood.engine.queue.worker_pool import WorkerPool

RESIZE_SECONDS = 0.25
MAX_UNSETTLED = 2_000


class StageStatus(msgspec.Struct, frozen=True):
    """A stage on this node as operators see it.

    `state` is running, paused or stalled; `stall_reason` says why, None while it is not stalled.
    `channel` of `capacity` claimed jobs wait in memory, `in_flight` of `concurrency` are at work.
    `completed`, `failed` and `postponed` count jobs since the node started.
    `per_second` is how many end in a second, smoothed.
    `last_error` is the newest failure; empty: none.
    """

    stage: str
    state: str
    channel: int
    capacity: int
    in_flight: int
    concurrency: int
    completed: int
    failed: int
    postponed: int
    per_second: float
    last_error: str
    stall_reason: str | None


class StageRunner:
    """A stage at work on this node."""

    def __init__(
        self,
        stage: Stage[Any, Any, Any],
        channel: JobChannel[Job],
        parts: QueueParts,
        only_runs: Sequence[UUID] = (),
    ) -> None:
        db, node = parts.db, parts.node
        self.stage = stage
        self.channel = channel
        self._db = db
        self._node = node
        self.metrics = StageMetrics(stage.name)
        self.committer = Committer(stage, parts, self.metrics)
        self.pool = WorkerPool(stage, channel, db, node, self.committer.add, self.metrics)
        self.fetcher = JobFetcher(stage, channel, db, node, self._may_claim, only_runs)
        self.is_paused = False
        self.is_stopping = False
        channel.is_behind = self._is_behind
        self.per_second = 0.0
        self.decode: Callable[[str], Any] = msgspec.json.Decoder(stage.task).decode
        parts.wakeups.register(stage.name, self.fetcher.wake)

    def _may_claim(self) -> bool:
        return (
            not self.is_paused
            and not self.is_stopping
            and self.committer.stall_reason is None
            and not self._is_behind()
            and REAL_TIME.monotonic() >= self.pool.quiet_until
        )

    def _is_behind(self) -> bool:
        """Whether work ends faster than it is settled: memory must stay flat."""
        return self.committer.unsettled() > max(MAX_UNSETTLED, self.channel.capacity)

    def apply_pause(self, *, is_paused: bool) -> None:
        """Stop or go on claiming; what is in flight is finished."""
        if self.is_paused and not is_paused:
            self.fetcher.wake()
        self.is_paused = is_paused
        self.channel.is_open = not (is_paused or self.is_stopping)

    def apply_scale(self, concurrency: int | None) -> None:
        """Change how many jobs are at work at once; None: what the policy says."""
        target = self.stage.policy.concurrency if concurrency is None else concurrency
        if target != self.pool.concurrency:
            self.pool.scale(target)

    def stop_claiming(self) -> None:
        """At shutdown: no claims, no hand-offs any more."""
        self.is_stopping = True
        self.channel.is_open = False

    async def release_unstarted(self) -> int:
        """Release the claims that wait in the channel; no attempt is counted."""
        jobs = [*self.channel.drain(), *self.pool.drain_loaded()]
        if not jobs:
            return 0
        for job in jobs:
            self._node.held.pop(job.job_id, None)
        return await self._db.execute(
            SQL.release_claims,
            ids=[job.job_id for job in jobs],
            claims=[job.claim for job in jobs],
            node_id=self._node.id,
        )

    def is_idle(self) -> bool:
        """Whether nothing of this stage is in flight."""
        return not self.channel.jobs and self.pool.is_idle() and self.committer.is_idle()

    async def _measure(self) -> None:
        """Size the channel to about a second's worth of work."""
        before = self.metrics.completed
        while True:
            await REAL_TIME.sleep(RESIZE_SECONDS)
            done = self.metrics.completed + self.metrics.failed + self.metrics.postponed
            rate = (done - before) / RESIZE_SECONDS
            before = done
            self.per_second += (rate - self.per_second) * (0.5 if rate > self.per_second else 0.1)
            self.channel.resize(self.per_second)

    def supervisor(self) -> Supervisor:
        """List its actors: they stand and fall together, the rows are the truth."""
        return Supervisor(
            f"stage {self.stage.name}",
            [
                Child(f"{self.stage.name} fetcher", self.fetcher.run),
                Child(f"{self.stage.name} pool", self.pool.run),
                Child(f"{self.stage.name} committer", self.committer.run),
                Child(f"{self.stage.name} measure", self._measure),
                Child(f"{self.stage.name} start", self._begin_clean, may_end=True),
            ],
            Strategy.ONE_FOR_ALL,
        )

    async def _begin_clean(self) -> None:
        """After a restart: what an actor had in flight is unknown now, so it goes back."""
        self._node.wants_reconcile.set()

    def status(self) -> StageStatus:
        """Return its state and counters."""
        if self.committer.stall_reason is not None:
            state = "stalled"
        else:
            state = "paused" if self.is_paused else "running"
        return StageStatus(
            stage=self.stage.name,
            state=state,
            channel=len(self.channel),
            capacity=self.channel.capacity,
            in_flight=self.pool.in_flight(),
            concurrency=self.pool.concurrency,
            completed=self.metrics.completed,
            failed=self.metrics.failed,
            postponed=self.metrics.postponed,
            per_second=round(self.per_second, 1),
            last_error=self.metrics.last_error,
            stall_reason=self.committer.stall_reason,
        )
