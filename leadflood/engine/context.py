"""The call context: what is known of the work at hand, carried beside it.

Two context variables, set by the worker and by a stage, read by the log and once at the gateway's
entrance (`current_call_context`): a stage calls its providers through ports that know neither the
job nor the cache, and what is bought depends on both. Past the gateway's entrance the context is
an ordinary argument.
"""

from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import datetime
from typing import Any
from uuid import UUID

import msgspec

from leadflood.engine.clock import REAL_TIME


class Allow:
    """`authorize` lets this input be sent now."""

    __slots__ = ()


class Defer:
    """`authorize` refuses for now (held): the job is put back for `retry_after_seconds`."""

    __slots__ = ("reason", "retry_after_seconds")

    def __init__(self, reason: str, retry_after_seconds: float) -> None:
        self.reason = reason
        self.retry_after_seconds = retry_after_seconds


class Deny:
    """`authorize` refuses for good; the slice has already written why."""

    __slots__ = ("code", "reason")

    def __init__(self, code: str, reason: str) -> None:
        self.code = code
        self.reason = reason


SendDecision = Allow | Defer | Deny
Authorize = Callable[[Any, Sequence["JobContext"]], Awaitable[Sequence[SendDecision]]]
Record = Callable[[Any, "JobContext", BaseException | None, Any], Awaitable[None]]
RecordMany = Callable[
    [Any, Sequence[tuple["JobContext", BaseException | None, Any]]], Awaitable[None]
]


class JobContext:
    """One claimed job at work.

    `(job_id, claim)` is the fence.
    `run_id` is the run the job belongs to; None: none.
    `turn` and `priority` are its place in the queue, kept by whoever waits for an allowance.
    `request_id` and `trace_parent` name the request that began it, and its span; None: none.
    `input` is what `load` gave.
    `authorize` and `record` are the stage's own, for effects: the last word before the outside is
    called, and what must be written after it whatever the fence says.
    `record_many` writes for all calls of a shared transaction at once, where the stage can.
    `queued_seconds` were spent waiting for an allowance, `queueing_since` is when it began to wait
    for one (monotonic; None: it does not): neither counts against the job's time.
    """

    __slots__ = (
        "authorize",
        "claim",
        "input",
        "job_id",
        "priority",
        "queued_seconds",
        "queueing_since",
        "record",
        "record_many",
        "request_id",
        "run_id",
        "stage",
        "trace_parent",
        "turn",
    )

    def __init__(
        self,
        stage: str,
        job_id: UUID,
        claim: int,
        run_id: UUID | None,
        authorize: Authorize | None = None,
    ) -> None:
        self.stage = stage
        self.job_id = job_id
        self.claim = claim
        self.run_id = run_id
        self.request_id: str | None = None
        self.trace_parent: str | None = None
        self.authorize = authorize
        self.record: Record | None = None
        self.record_many: RecordMany | None = None
        self.input: Any = None
        self.turn = 0
        self.priority = 0
        self.queued_seconds = 0.0
        self.queueing_since: float | None = None

    def seconds_queued(self, now: float) -> float:
        """Return how long it has waited for allowances by now."""
        since = self.queueing_since
        return self.queued_seconds + (0.0 if since is None else now - since)


@contextmanager
def queueing(job: JobContext | None) -> Iterator[None]:
    """Mark the block as waiting for an allowance, which takes nothing off the job's time."""
    if job is None or job.queueing_since is not None:  # another of its calls waits already
        yield
        return
    job.queueing_since = REAL_TIME.monotonic()
    try:
        yield
    finally:
        job.queued_seconds = job.seconds_queued(REAL_TIME.monotonic())
        job.queueing_since = None


CURRENT_JOB: ContextVar[JobContext | None] = ContextVar("current_job", default=None)
"""The job at work in this task; None: outside any."""

ANSWERS_SINCE: ContextVar[datetime | None] = ContextVar("answers_since", default=None)
"""Stored answers from before this time are not fresh enough for the job; None: all are."""


class CallContext(msgspec.Struct, frozen=True):
    """For which job a call is made, and how old a stored answer may be."""

    job: JobContext | None
    answers_since: datetime | None

    @property
    def run_id(self) -> UUID | None:
        """The run that pays; None: none."""
        return None if self.job is None else self.job.run_id

    @property
    def job_id(self) -> UUID | None:
        """The job that asks; None: none."""
        return None if self.job is None else self.job.job_id


def current_call_context() -> CallContext:
    """Read both context variables."""
    return CallContext(CURRENT_JOB.get(), ANSWERS_SINCE.get())
