"""What is known about the work at hand, carried beside it: for logs, the gate and the fence."""

from collections.abc import Awaitable, Callable, Sequence
from contextvars import ContextVar
from datetime import datetime
from typing import Any
from uuid import UUID


class Allow:
    """`authorize` lets this input be sent now."""

    __slots__ = ()


class Defer:
    """`authorize` refuses for now (held): the job is put back until `retry_after_seconds`."""

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
    """One claimed job at work. `(job_id, claim)` is the fence; `run_id` None means no run.

    `authorize` and `record` are the running stage's own, for effects: the last word before the
    outside is called, and what must be written after it whatever the fence says. `record_many`
    writes for all calls of a shared transaction at once, where the stage can.
    """

    __slots__ = (
        "authorize",
        "claim",
        "input",
        "job_id",
        "priority",
        "record",
        "record_many",
        "request_id",
        "run_id",
        "stage",
        "turn",
    )

    def __init__(
        self,
        stage: str,
        job_id: UUID,
        claim: int,
        run_id: UUID | None,
        request_id: str | None = None,
        authorize: Authorize | None = None,
    ) -> None:
        self.stage = stage
        self.job_id = job_id
        self.claim = claim
        self.run_id = run_id
        self.request_id = request_id
        self.authorize = authorize
        self.record: Record | None = None
        self.record_many: RecordMany | None = None
        self.input: Any = None
        self.turn = 0
        self.priority = 0


CURRENT_JOB: ContextVar[JobContext | None] = ContextVar("current_job", default=None)
ANSWERS_SINCE: ContextVar[datetime | None] = ContextVar("answers_since", default=None)
"""Kept answers from before this time are not fresh enough for the work at hand; None: all are."""
