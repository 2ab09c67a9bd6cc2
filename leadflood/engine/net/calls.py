"""The words of an outside call: what is asked, what it may cost, what came back."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, nullcontext
from datetime import datetime
from enum import StrEnum
from typing import Protocol
from uuid import UUID

import msgspec

from leadflood.engine.errors import Transient


class WindowKind(StrEnum):
    """How the other side counts: calendar-like windows, any window, or a leaking bucket."""

    FIXED = "fixed"
    SLIDING = "sliding"
    BUCKET = "bucket"


class Window(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A limit: `calls` per `seconds`; `capacity` is a bucket's burst (its refill is the pace)."""

    calls: int
    seconds: float
    kind: WindowKind = WindowKind.FIXED
    capacity: int | None = None


class Call(msgspec.Struct, frozen=True, kw_only=True):
    """One call as the gate sees it.

    `question` is the canonical request: equal questions share an answer and a call in flight.
    `name` is another name of the question, such as the person it is about: a hit is kept under it
    too, and found again by it though the question is put differently; empty: it has none.
    `max_cost_micros` is the most it can cost; `subjects` are opaque ids it is made for.
    `answer_seconds` and `miss_seconds` are how long an answer or a miss is kept; 0 keeps nothing.
    `limit` names the allowance it counts against (the vendor's endpoint group).
    """

    provider: str
    operation: str
    question: bytes
    limit: str
    max_cost_micros: int = 0
    name: bytes = b""
    subjects: tuple[str, ...] = ()
    answer_seconds: float = 0.0
    miss_seconds: float = 0.0
    timeout_seconds: float = 30.0
    effect: bool = False


class LimitHint(msgspec.Struct, frozen=True):
    """One window by an answer's headers; absent numbers were not sent.

    `window_seconds` says which window (60, 3600, 86400); `resets_in_seconds` when it ends.
    """

    window_seconds: float
    limit: int | None = None
    remaining: int | None = None
    resets_in_seconds: float | None = None


class Reply(msgspec.Struct, frozen=True, kw_only=True):
    """The answer of a call as the adapter read it: the raw body is what is cached and hashed.

    `found` False is a miss. `cost_micros` is what the provider charges for it. `is_priced` False:
    the answer does not say what was charged, and `cost_micros` is the most it can be; its line
    stays unresolved, the answer is kept.
    `names` are further questions that a hit answers, such as that for the id it gives.
    `cached` is set by the gate: this answer was already paid for; so is `observed_at`, the time
    at which a cached answer came in (None: just now).
    """

    body: bytes
    found: bool = True
    cost_micros: int = 0
    is_priced: bool = True
    names: tuple[bytes, ...] = ()
    hints: tuple[LimitHint, ...] = ()
    cached: bool = False
    observed_at: datetime | None = None


class BulkCallItem(msgspec.Struct, frozen=True):
    """One of the questions of a bulk call, with the subject it is asked for and its other name."""

    question: bytes
    subject: str
    name: bytes = b""


class BulkReply(msgspec.Struct, frozen=True, kw_only=True):
    """The answers of a bulk call in the order of the items asked; their costs sum to its cost."""

    items: tuple[Reply, ...]
    hints: tuple[LimitHint, ...] = ()


Send = Callable[[UUID], Awaitable[Reply]]
Prepare = Callable[[], AbstractAsyncContextManager[object]]
"""Gets as far as the other side allows without acting or charging: a connection, an envelope.

Entered before the call is paid and authorized, left when it has ended; whatever it raises proves
that nothing was done.
"""
SendBulk = Callable[[UUID, Sequence[BulkCallItem]], Awaitable[BulkReply]]


class Gate(Protocol):
    """The one path to the outside. The UUID given to `send` is our call reference.

    Raises: Throttled (wait, no attempt spent), Unfunded (a cap that renews), CapSpent (a run's or
    lead's cap), Denied (the run or a switch forbids it), and whatever `send` raises; for effects
    a possible arrival is raised as Unsure.
    """

    async def call(self, call: Call, send: Send, prepare: Prepare = nullcontext) -> Reply:
        """Ask once: from the cache, or by breaker, limit, `prepare`, money, `send`, ledger."""

    async def call_bulk(
        self, call: Call, items: Sequence[BulkCallItem], send: SendBulk
    ) -> Sequence[Reply]:
        """Ask for many at once; `send` gets only the items that no cached answer covers."""


_DOUBTFUL_REFUSALS = frozenset({408, 409})
"""A timeout, and a conflict with what may have been our own request."""


class HttpReply(msgspec.Struct, frozen=True):
    """An HTTP answer of any status; header names are lower case; the body is capped."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def is_refusal(self) -> bool:
        """Whether nothing was done or charged: true of a redirect and of nearly every 4xx.

        A 5xx proves nothing: the gateway that answers it does not know what was done behind it.
        """
        return 300 <= self.status < 500 and self.status not in _DOUBTFUL_REFUSALS  # noqa: PLR2004 - the borders of RFC 9110's classes


class Unreached(Transient):
    """The other side certainly did nothing: refused, or cut before the request was written."""

    code = "net.unreached"


class Cut(Transient):
    """The request was written but no whole answer came: the other side may have acted."""

    code = "net.cut"


class Oversized(Cut):
    """The answer was larger than the cap and was not read to its end."""

    code = "net.oversized"


class Http(Protocol):
    """The shared HTTP client. Follows no redirects.

    Raises: Unreached, Cut, Oversized; never for a status.
    """

    async def request(
        self,
        method: str,
        url: str,
        *,
        headers: Mapping[str, str] | None = None,
        params: Mapping[str, str] | None = None,
        body: bytes | None = None,
        timeout_seconds: float = 30.0,
    ) -> HttpReply:
        """Send one request and read the whole answer."""
