"""A stage: one step of the pipeline, as a slice writes it.

    load(db, tasks)     what the tasks need to know, read for a batch at once
    work(input)         waits on the outside through the gate, or computes; writes nothing
    commit(tx, tasks)   the only place that writes; returns the events that follow
    authorize(tx, jobs) effects only: the last word before the outside is called

The task is the event that started it, so `work` never learns which stage comes next.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, ClassVar, Generic, Self, TypeVar
from uuid import UUID

import msgspec

from leadflood.engine.context import JobContext, SendDecision
from leadflood.engine.db.tx import Reader, Tx
from leadflood.engine.errors import code_of
from leadflood.engine.queue.event import Event
from leadflood.engine.queue.outcome import Cancelled, Discard, Done, Outcome

TaskT = TypeVar("TaskT", bound=msgspec.Struct)
InputT = TypeVar("InputT")
ResultT = TypeVar("ResultT")


class Policy(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How a stage runs. Times in seconds. Each stage's default stands on its class.

    `concurrency` workers wait at once; `batch` tasks at most are loaded or committed together;
    `attempts` tries at most; `backoff_base_seconds` doubles with each, up to the cap.
    """

    concurrency: int = 64
    batch: int = 500
    timeout_seconds: float = 60.0
    attempts: int = 8
    backoff_base_seconds: float = 1.0
    backoff_cap_seconds: float = 900.0
    keeps_history: bool = True


class ClaimedTask(JobContext, Generic[TaskT]):
    """A task this node holds, with how often it was tried and when its job was created."""

    __slots__ = ("attempts", "created_at", "task")

    def __init__(
        self,
        task: TaskT,
        job_id: UUID,
        claim: int,
        run_id: UUID | None,
        attempts: int,
        created_at: datetime,
    ) -> None:
        super().__init__("", job_id, claim, run_id)
        self.task = task
        self.attempts = attempts
        self.created_at = created_at


class FollowUp(msgspec.Struct, frozen=True):
    """An event on its way to the stages that listen to it.

    `cause` is the job whose task caused it; its follow-ups inherit run, turn, priority and trace.
    `event` is what happened, and the task of the follow-up.
    `run_at` is when the follow-up may start; None: at once.
    `run_id`, `priority`, `request_id` and `trace_parent` are for events without a cause.
    """

    cause: UUID | None
    event: Event
    run_at: datetime | None = None
    run_id: UUID | None = None
    priority: int = 0
    request_id: str | None = None
    trace_parent: str | None = None


class FinishedTask(Generic[TaskT, ResultT]):
    """A task that ends here, with its outcome. `input` is None when `load` found nothing."""

    __slots__ = ("claimed", "input", "outcome")

    def __init__(
        self, claimed: ClaimedTask[TaskT], outcome: Done[ResultT] | Discard, loaded: Any = None
    ) -> None:
        self.claimed = claimed
        self.outcome = outcome
        self.input = loaded

    @property
    def task(self) -> TaskT:
        """The task."""
        return self.claimed.task

    @property
    def run_id(self) -> UUID | None:
        """The run it belongs to."""
        return self.claimed.run_id

    @property
    def is_cancelled(self) -> bool:
        """Whether it ended because its run was cancelled, or its subject deleted."""
        return isinstance(self.outcome, Discard) and isinstance(self.outcome.error, Cancelled)

    @property
    def failure_code(self) -> str | None:
        """The code of the error that ended it; None where it is done or was cancelled."""
        if self.is_cancelled or not isinstance(self.outcome, Discard):
            return None
        return code_of(self.outcome.error)

    def follow_up(self, event: Event, run_at: datetime | None = None) -> FollowUp:
        """Name an event that this task caused; its follow-up inherits the run and the turn."""
        return FollowUp(self.claimed.job_id, event, run_at)


def group_failures(
    finished: Sequence[FinishedTask[TaskT, ResultT]],
) -> Sequence[tuple[str, Sequence[TaskT]]]:
    """Return the tasks that failed by the code of their error, in its order."""
    tasks: dict[str, list[TaskT]] = {}
    for item in finished:
        if item.failure_code is not None:
            tasks.setdefault(item.failure_code, []).append(item.task)
    return sorted(tasks.items(), key=lambda group: group[0])


def list_results(
    finished: Sequence[FinishedTask[TaskT, ResultT]],
) -> Sequence[tuple[FinishedTask[TaskT, ResultT], ResultT]]:
    """Return the tasks that are done, each with its result."""
    return [(item, item.outcome.result) for item in finished if isinstance(item.outcome, Done)]


class Stage(Generic[TaskT, InputT, ResultT]):
    """One step; subclasses set `name`, `task` (a struct or a union of tagged ones) and methods.

    `default_policy` is how it runs where the settings say nothing else.
    """

    name: ClassVar[str]
    task: ClassVar[Any]
    default_policy: ClassVar[Policy] = Policy()
    effect: ClassVar[bool] = False
    in_batches: ClassVar[bool] = False

    def __init__(self, policy: Policy) -> None:
        self.policy = policy

    @classmethod
    def build(cls, policy: Policy, parts: Any) -> Self:
        """Build the stage from the parts of a process; one that needs any overrides this."""
        del parts
        return cls(policy)

    async def load(
        self, db: Reader, tasks: Sequence[ClaimedTask[TaskT]]
    ) -> Sequence[InputT | Outcome[ResultT]]:
        """Read what a batch of tasks needs, in their order.

        An outcome in place of an input ends that task without work (its subject is gone, say).
        Without an override `work` gets the task itself.
        """
        del db
        return list(tasks)  # type: ignore[arg-type]

    async def work(self, item: InputT) -> Outcome[ResultT]:
        """Ask the outside or compute; raise from the error tree or return an outcome."""
        raise NotImplementedError

    async def work_batch(self, items: Sequence[InputT]) -> Sequence[Outcome[ResultT]]:
        """Do a whole batch at once, in order; used instead of `work` when `in_batches`."""
        raise NotImplementedError

    async def commit(
        self, tx: Tx, tasks: Sequence[FinishedTask[TaskT, ResultT]]
    ) -> Sequence[FollowUp]:
        """Write what ended, set-based, and return the events that follow."""
        del tx, tasks
        return ()

    async def authorize(self, tx: Tx, jobs: Sequence[JobContext]) -> Sequence[SendDecision]:
        """Effects only: the last word for each job (`job.input` is what `load` gave), in order."""
        raise NotImplementedError

    async def record(
        self, tx: Tx, job: JobContext, error: BaseException | None, reply: Any
    ) -> None:
        """Effects only: write what the outside did, in the gate's own transaction, fence or not.

        `error` is what the call raised (Unsure, ProviderRefused, …) or None; `reply` its Reply.
        """
        raise NotImplementedError

    async def record_many(
        self, tx: Tx, tasks: Sequence[tuple[JobContext, BaseException | None, Any]]
    ) -> None:
        """Write for many calls at once, as `record` does for each (job, error, reply)."""
        for job, error, reply in tasks:
            await self.record(tx, job, error, reply)
