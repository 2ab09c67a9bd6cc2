"""A job in this node's memory: the row it stands for, its task, and how it ended."""

from datetime import datetime
from typing import Any
from uuid import UUID

from leadflood.engine.queue.outcome import Outcome
from leadflood.engine.queue.stage import ClaimedTask

QUEUED, RUNNING, SCHEDULED, COMPLETED, FAILED, CANCELLED = range(6)

STATE_NAMES = {
    QUEUED: "queued",
    SCHEDULED: "queued",
    RUNNING: "running",
    COMPLETED: "completed",
    FAILED: "failed",
    CANCELLED: "cancelled",
}


class Job(ClaimedTask[Any]):
    """One claim of this node. `payload` is kept only where the task could not be read."""

    __slots__ = ("key", "losses", "outcome", "payload")

    def __init__(  # noqa: PLR0913, PLR0917 - one slot each; built a hundred thousand times a second
        self,
        task: Any,
        stage: str,
        job_id: UUID,
        claim: int,
        run_id: UUID | None,
        turn: int,
        priority: int,
        attempts: int,
        losses: int,
        key: str | None,
        request_id: str | None,
        trace_parent: str | None,
        created_at: datetime,
    ) -> None:
        self.task = task
        self.stage = stage
        self.job_id = job_id
        self.claim = claim
        self.run_id = run_id
        self.turn = turn
        self.priority = priority
        self.attempts = attempts
        self.losses = losses
        self.key = key
        self.request_id = request_id
        self.trace_parent = trace_parent
        self.created_at = created_at
        self.authorize = None
        self.record = None
        self.record_many = None
        self.queued_seconds = 0.0
        self.queueing_since = None
        self.input = task
        self.outcome: Outcome[Any] | None = None
        self.payload: str | None = None
