"""Every error the product raises on purpose, as one tree.

    LeadfloodError
    ├── Permanent            refused for good; the job is discarded
    │   ├── Invalid          the input breaks a rule; carries the fields
    │   ├── NotFound · Conflict · PreconditionFailed · Denied · Unauthenticated
    │   ├── NotConfigured    a setting is missing; the text names it
    │   └── CapSpent         a run's or a lead's money is spent; the paid part ends
    ├── Throttled            come back later; no attempt is spent
    │   └── Unfunded         money or credits renew later
    ├── Transient            certainly nothing happened, or trying again is harmless
    │   └── NodeFenced       this node was evicted; the claim goes back uncounted
    ├── Unsure               an effect may have happened; never tried again
    └── Bug                  our own mistake

`contracts/errors.py` continues the tree for providers. An error's text says what to do next.
"""

from collections.abc import Iterable, Iterator
from typing import ClassVar, Self

import msgspec


class FieldProblem(msgspec.Struct, frozen=True):
    """One field that breaks a rule: its path (`rules[2].value`) and what to write instead."""

    path: str
    problem: str


class LeadfloodError(Exception):
    """Root of the tree. `code` is stable and may be matched on; the text is for people.

    `may_have_acted`: the other side answered so, yet may have done and charged what was asked.
    """

    code: ClassVar[str] = "engine.error"
    may_have_acted: bool = False

    def __init__(self, detail: str, *, code: str | None = None) -> None:
        super().__init__(detail)
        self.detail = detail
        self.error_code = code or self.code


class Permanent(LeadfloodError):
    """Refused for good: trying again cannot help, but for `retries` more tries a class asks for."""

    code = "engine.permanent"
    retries: ClassVar[int] = 0


class Invalid(Permanent):
    """The input breaks a rule; `fields` says which and how to mend each."""

    code = "engine.invalid"

    def __init__(
        self, detail: str, fields: tuple[FieldProblem, ...] = (), *, code: str | None = None
    ) -> None:
        super().__init__(detail, code=code)
        self.fields = fields

    @classmethod
    def field(
        cls, path: str, problem: str, *, detail: str | None = None, code: str | None = None
    ) -> Self:
        """Refuse one field; the text is its path and problem, unless `detail` says more."""
        text = f"{path}: {problem}" if detail is None else detail
        return cls(text, (FieldProblem(path, problem),), code=code)

    @classmethod
    def of(
        cls,
        problems: Iterable[FieldProblem],
        *,
        prefix: str = "",
        most_named: int | None = None,
        code: str | None = None,
    ) -> Self:
        """Refuse several fields; the text names them (`most_named` of them) after the prefix."""
        fields = tuple(problems)
        text = "; ".join(f"{field.path}: {field.problem}" for field in fields[:most_named])
        return cls(f"{prefix}: {text}" if prefix else text, fields, code=code)


class NotFound(Permanent):
    """The thing named does not exist (any more)."""

    code = "engine.not_found"


class Conflict(Permanent):
    """The thing exists already, or was changed meanwhile."""

    code = "engine.conflict"


class PreconditionFailed(Permanent):
    """The caller named the version they change, and it is not the present one."""

    code = "engine.precondition_failed"


class Denied(Permanent):
    """Known, but not allowed."""

    code = "engine.denied"


class Unauthenticated(Permanent):
    """Not known: no credentials, or wrong ones."""

    code = "engine.unauthenticated"


class NotConfigured(Permanent):
    """A setting is missing; the text names it."""

    code = "provider.not_configured"


class CapSpent(Permanent):
    """A run's or a lead's money is spent: go on with what is there, without paid calls.

    `scope` is whose cap it is, `needed_micros` what the call might have cost.
    """

    code = "budget.exhausted"

    def __init__(self, detail: str, *, scope: str = "", needed_micros: int = 0) -> None:
        super().__init__(detail)
        self.scope = scope
        self.needed_micros = needed_micros


class Throttled(LeadfloodError):
    """Come back after `retry_after_seconds`; no attempt is spent."""

    code = "engine.throttled"

    def __init__(self, detail: str, retry_after_seconds: float, *, code: str | None = None) -> None:
        super().__init__(detail, code=code)
        self.retry_after_seconds = retry_after_seconds


class Unfunded(Throttled):
    """A cap that renews (day, month, provider) is spent until then."""

    code = "budget.unfunded"


class Transient(LeadfloodError):
    """Certainly nothing happened, or trying again is harmless: try again later.

    `retry_after_seconds` is what the other side asked for; None leaves it to the backoff.
    """

    code = "engine.transient"

    def __init__(
        self, detail: str, retry_after_seconds: float | None = None, *, code: str | None = None
    ) -> None:
        super().__init__(detail, code=code)
        self.retry_after_seconds = retry_after_seconds


class NodeFenced(Transient):
    """This node was evicted: under its old id it may neither buy, nor send, nor commit."""

    code = "engine.node_evicted"


class Unsure(LeadfloodError):
    """An effect may have happened on the other side: never tried again by itself."""

    code = "effect.unsure"


class Bug(LeadfloodError):
    """Our own mistake: kept with its trace, tried to the limit."""

    code = "engine.bug"


def causes_of(error: BaseException) -> Iterator[BaseException]:
    """Yield an error and what it came from, the errors of a group one after the other."""
    yield error
    if isinstance(error, BaseExceptionGroup):
        for inner in error.exceptions:
            yield from causes_of(inner)
    elif error.__cause__ is not None:
        yield from causes_of(error.__cause__)


def code_of(error: BaseException) -> str:
    """Name an error by its stable code; anything foreign is `engine.bug`."""
    return error.error_code if isinstance(error, LeadfloodError) else Bug.code
