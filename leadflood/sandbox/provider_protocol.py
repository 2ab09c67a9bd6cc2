"""Provider protocol: what the request handler asks of every pretend provider."""

from collections.abc import Mapping, Sequence
from decimal import Decimal
from enum import StrEnum
from typing import Any, Protocol

import msgspec

from leadflood.contracts.values import Micros
from leadflood.sandbox.faults import Fault
from leadflood.sandbox.journal import Delivery
from leadflood.sandbox.quota import WindowUsage

JSON = "application/json"
_NO_CREDITS = Decimal(0)


class Operation(msgspec.Struct, frozen=True):
    """The operation of a request; `group` names its windows, `arguments` come out of the path.

    `is_shared`: all operations of the group count in the same windows.
    """

    name: str
    group: str
    arguments: tuple[str, ...] = ()
    is_shared: bool = False


class RequestRefusal(StrEnum):
    """The refusal of a request, whatever the provider calls it."""

    UNAUTHORIZED = "unauthorized"
    THROTTLED = "throttled"
    OUT_OF_CREDITS = "out_of_credits"
    SERVER_ERROR = "server_error"
    NOT_FOUND = "not_found"


class ProviderRequest(msgspec.Struct, frozen=True, kw_only=True):
    """A request that was admitted.

    Attributes:
        operation: What it is for.
        query: The query string; repeated names are kept.
        body: The raw body.
        fault: The fault to show in the response, if any.
        credits_used: Credits the provider has charged so far.
        credits_limit: Credits of the plan; None where they are not counted.
        now: Epoch seconds.
        number: How many requests this provider has had before.
    """

    operation: Operation
    query: Mapping[str, Sequence[str]]
    body: bytes
    fault: Fault | None
    credits_used: Decimal
    credits_limit: Decimal | None
    now: float
    number: int


class ProviderResponse(msgspec.Struct, frozen=True, kw_only=True):
    """A response and what it costs. Nothing has happened until the journal holds it.

    Attributes:
        body: The raw body.
        status: The HTTP (or SMTP) status.
        content_type: The media type of the body.
        headers: Headers beside the rate headers.
        credits: Credits charged.
        amount_micros: Money charged.
        subjects: What a bulk call is charged for, one by one.
        delivery: The message that is accepted, if any.
    """

    body: bytes
    status: int = 200
    content_type: str = JSON
    headers: dict[str, str] = {}
    credits: Decimal = _NO_CREDITS
    amount_micros: Micros = 0
    subjects: tuple[str, ...] = ()
    delivery: Delivery | None = None


class PretendProvider(Protocol):
    """One pretend provider. Responses are computed without waiting and change nothing."""

    name: str

    def find_operation(self, method: str, path: str) -> Operation | None:
        """Return the operation of a path; None for a path that does not exist."""

    def accepts_key(self, headers: Mapping[str, str], query: Mapping[str, Sequence[str]]) -> bool:
        """Whether the request carries the right key."""

    def refuse(
        self, refusal: RequestRefusal, operation: Operation | None, usage: WindowUsage | None
    ) -> ProviderResponse:
        """Return a refusal in the provider's own words; `usage` is the window that is full."""

    def rate_headers(self, usages: Sequence[WindowUsage], now: float) -> dict[str, str]:
        """Return the headers by which this provider reports its windows; empty if it has none."""

    def respond(self, request: ProviderRequest) -> ProviderResponse:
        """Return the response to one request, and what it costs."""


_encoder = msgspec.json.Encoder()


def json_response(value: Any, status: int = 200) -> ProviderResponse:
    """Return a JSON response that costs nothing."""
    return ProviderResponse(body=_encoder.encode(value), status=status)


def read_json_object(body: bytes) -> dict[str, Any] | None:
    """Read a JSON object; an empty body is an empty object, anything else is None."""
    if not body:
        return {}
    try:
        value = msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return None
    return value if isinstance(value, dict) else None


def text_of(value: Any) -> str:
    """Return a parameter as text, the first of several; empty for anything else."""
    if isinstance(value, (list, tuple)):
        value = value[0] if value else ""
    return value if isinstance(value, str) else ""
