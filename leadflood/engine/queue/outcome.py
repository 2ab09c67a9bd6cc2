"""Outcomes of tasks: values, matched exhaustively."""

from typing import Generic, TypeVar

from leadflood.engine.errors import LeadfloodError

ResultT = TypeVar("ResultT")


class Done(Generic[ResultT]):
    """It worked; `commit` writes the result."""

    __slots__ = ("result",)

    def __init__(self, result: ResultT) -> None:
        self.result = result


class Retry:
    """Try again: spends an attempt; after the last one it becomes a `Discard`."""

    __slots__ = ("after_seconds", "error")

    def __init__(self, error: Exception, after_seconds: float | None = None) -> None:
        self.error = error
        self.after_seconds = after_seconds


class Snooze:
    """Come back later: spends no attempt, gives the slot back. `reason` is for people."""

    __slots__ = ("after_seconds", "reason")

    def __init__(self, after_seconds: float, reason: str) -> None:
        self.after_seconds = after_seconds
        self.reason = reason


class Discard:
    """Never again: refused, cancelled or out of attempts; `commit` writes the failure."""

    __slots__ = ("error",)

    def __init__(self, error: Exception) -> None:
        self.error = error


class Cancelled(LeadfloodError):
    """The job's run was cancelled; a `Discard` of this leaves no dead letter."""

    code = "run.cancelled"


Outcome = Done[ResultT] | Retry | Snooze | Discard
