"""The words between the door, which is the same for all, and the pretend providers behind it."""

from collections.abc import Mapping, Sequence
from decimal import Decimal
from enum import StrEnum
from typing import Any, Protocol

import msgspec

from leadflood.contracts.values import Micros
from leadflood.sandbox.books import Delivery
from leadflood.sandbox.faults import Fault
from leadflood.sandbox.quota import Usage

JSON = "application/json"
_NO_CREDITS = Decimal(0)


class Operation(msgspec.Struct, frozen=True):
    """What a request asks for; `group` names its windows, `arguments` come out of the path.

    `is_shared`: all operations of the group count in the same windows.
    """

    name: str
    group: str
    arguments: tuple[str, ...] = ()
    is_shared: bool = False


class Refusal(StrEnum):
    """Why there is no answer, whatever the provider calls it."""

    UNAUTHORIZED = "unauthorized"
    THROTTLED = "throttled"
    OUT_OF_CREDITS = "out_of_credits"
    SERVER_ERROR = "server_error"
    NOT_FOUND = "not_found"


class Question(msgspec.Struct, frozen=True, kw_only=True):
    """A request that came through the door. `query` keeps repeated names."""

    operation: Operation
    query: Mapping[str, Sequence[str]]
    body: bytes
    fault: Fault | None
    credits_used: Decimal
    credits_limit: Decimal | None
    now: float
    """Epoch seconds."""
    number: int
    """How many requests this provider has had before."""


class Answer(msgspec.Struct, frozen=True, kw_only=True):
    """A reply and what it costs. Nothing has happened until the door writes it down."""

    body: bytes
    status: int = 200
    content_type: str = JSON
    headers: dict[str, str] = {}
    credits: Decimal = _NO_CREDITS
    amount_micros: Micros = 0
    subjects: tuple[str, ...] = ()
    delivery: Delivery | None = None


class Shop(Protocol):
    """One pretend provider. Answers are computed without waiting and change nothing."""

    name: str

    def find_operation(self, method: str, path: str) -> Operation | None:
        """Tell what a path means; None for a path that does not exist."""

    def may_enter(self, headers: Mapping[str, str], query: Mapping[str, Sequence[str]]) -> bool:
        """Look at the key."""

    def refuse(self, refusal: Refusal, operation: Operation | None, usage: Usage | None) -> Answer:
        """Say no in the provider's own words; `usage` is the window that is full."""

    def rate_headers(self, usages: Sequence[Usage], now: float) -> dict[str, str]:
        """Tell the state of the windows as this provider does, if it does."""

    def answer(self, question: Question) -> Answer:
        """Answer."""


_encoder = msgspec.json.Encoder()


def say(value: Any, status: int = 200) -> Answer:
    """Make a JSON answer that costs nothing."""
    return Answer(body=_encoder.encode(value), status=status)


def read_object(body: bytes) -> dict[str, Any] | None:
    """Read a JSON object; an empty body is an empty object, anything else is None."""
    if not body:
        return {}
    try:
        value = msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return None
    return value if isinstance(value, dict) else None


def text_of(value: Any) -> str:
    """Take a parameter as text, the first of several; what is no text is empty."""
    if isinstance(value, (list, tuple)):
        value = value[0] if value else ""
    return value if isinstance(value, str) else ""
