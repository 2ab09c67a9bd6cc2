"""Vendor HTTP: how a vendor is called, and what its statuses mean, as one table.

A vendor's own meanings (`Vendor.errors`) come first, then those of single statuses, then those of
RFC 9110's classes. Whether an answer may have cost something is no vendor's to say: the status of
the reply decides it (`HttpReply.is_refusal`), for all of them.
"""

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import TypeVar

import msgspec

from leadflood.contracts.errors import (
    ProviderChanged,
    ProviderDown,
    ProviderKeyRefused,
    ProviderRefused,
    ProviderThrottled,
    ProviderUnfunded,
)
from leadflood.contracts.provider_spec import ProviderSpec
from leadflood.contracts.text_cleaning import single_line
from leadflood.engine.errors import LeadfloodError
from leadflood.engine.net.calls import HttpReply, LimitHint

DEFAULT_WAIT_SECONDS = 5.0
"""The wait after a "too many" without a Retry-After: the next refusal is free."""

UNFUNDED_SECONDS = 3_600.0
"""The wait after spent credits, where the vendor does not say when they renew."""

_LEAST_WAIT_SECONDS = 0.5
_MOST_DETAIL_BYTES = 2_000
_MOST_DETAIL_CHARS = 300


def wait_seconds(
    headers: Mapping[str, str], now: datetime, otherwise: float = DEFAULT_WAIT_SECONDS
) -> float:
    """Return Retry-After (seconds or an HTTP date), at least half a second."""
    text = headers.get("retry-after", "").strip()
    try:
        return max(_LEAST_WAIT_SECONDS, float(text))
    except ValueError:
        pass
    try:
        until = parsedate_to_datetime(text).astimezone(UTC)
    except (ValueError, TypeError):
        return otherwise
    return max(_LEAST_WAIT_SECONDS, (until - now).total_seconds())


def _read_wait(reply: HttpReply, now: datetime) -> float:
    return wait_seconds(reply.headers, now)


def _read_no_hints(_reply: HttpReply, _now: datetime) -> tuple[LimitHint, ...]:
    return ()


class Vendor(msgspec.Struct, frozen=True, kw_only=True):
    """How one vendor's HTTP differs from the usual.

    Attributes:
        spec: The provider's card.
        label: What error texts call it; empty means the name of the card.
        key_header: The header that carries the key.
        key_prefix: What stands before the key there (`Bearer `).
        headers: Further headers of every request.
        key_noun: What error texts call the key.
        key_advice: What to do about a refused key.
        errors: Statuses with a meaning of their own.
        read_hints: Reads the rate headers of any reply.
        read_wait: Reads how long to wait after a 429.
    """

    spec: ProviderSpec
    label: str = ""
    key_header: str = "x-api-key"
    key_prefix: str = ""
    headers: Mapping[str, str] = {}
    key_noun: str = "key"
    key_advice: str = ""
    errors: Mapping[int, "StatusError"] = {}
    read_hints: Callable[[HttpReply, datetime], tuple[LimitHint, ...]] = _read_no_hints
    read_wait: Callable[[HttpReply, datetime], float] = _read_wait

    @property
    def title(self) -> str:
        """The vendor's name in error texts."""
        return self.label or self.spec.name


class Failure(msgspec.Struct, frozen=True):
    """A reply that is no answer: whose, and when it came."""

    vendor: Vendor
    reply: HttpReply
    now: datetime

    @property
    def title(self) -> str:
        """The vendor's name in error texts."""
        return self.vendor.title

    @property
    def detail(self) -> str:
        """The start of the body, for an error's text."""
        start = self.reply.body[:_MOST_DETAIL_BYTES].decode("utf-8", "replace")
        return single_line(start, _MOST_DETAIL_CHARS)


StatusError = Callable[[Failure], LeadfloodError]


def key_refused(failure: Failure) -> ProviderKeyRefused:
    """Return the error of a key that is wrong or out of scope."""
    vendor = failure.vendor
    advice = vendor.key_advice or f"set providers.{vendor.spec.name}.api_key"
    return ProviderKeyRefused(
        f"{failure.title} refuses the {vendor.key_noun}: {advice}; it says: {failure.detail}"
    )


def unfunded(failure: Failure) -> ProviderUnfunded:
    """Return the error of spent credits."""
    text = f"{failure.title}'s credits are used up: {failure.detail}"
    return ProviderUnfunded(text, UNFUNDED_SECONDS)


def throttled(failure: Failure) -> ProviderThrottled:
    """Return the error of too many calls, with the wait and the windows of the headers."""
    vendor, reply = failure.vendor, failure.reply
    return ProviderThrottled(
        f"{failure.title} says wait: {failure.detail}",
        vendor.read_wait(reply, failure.now),
        vendor.read_hints(reply, failure.now),
    )


def down(failure: Failure) -> ProviderDown:
    """Return the error of a fault on the vendor's side, with its Retry-After."""
    headers = failure.reply.headers
    wait = wait_seconds(headers, failure.now, 0.0) if headers.get("retry-after") else 0.0
    text = f"{failure.title} answered {failure.reply.status}: {failure.detail}"
    return ProviderDown(text, wait or None)


def moved(failure: Failure) -> ProviderChanged:
    """Return the error of a redirect: the address of the service has changed."""
    target = failure.reply.headers.get("location", "another address")
    name = failure.vendor.spec.name
    return ProviderChanged(f"{failure.title} redirects to {target}: set providers.{name}.base_url")


def undocumented(failure: Failure) -> ProviderChanged:
    """Return the error of a success that the vendor does not document."""
    return ProviderChanged(f"{failure.title} answered an undocumented {failure.reply.status}")


def refused(failure: Failure) -> ProviderRefused:
    """Return the error of a request that is refused for good."""
    return ProviderRefused(f"{failure.title} answered {failure.reply.status}: {failure.detail}")


_BY_STATUS: dict[int, StatusError] = {
    401: key_refused,
    402: unfunded,
    403: key_refused,
    408: down,
    409: down,
    429: throttled,
}
_BY_CLASS: dict[int, StatusError] = {2: undocumented, 3: moved, 5: down}


def status_error(failure: Failure) -> LeadfloodError:
    """Return the error that a status stands for, whatever of it a vendor has named itself."""
    status = failure.reply.status
    by_class = _BY_CLASS.get(status // 100, refused)
    error = failure.vendor.errors.get(status, _BY_STATUS.get(status, by_class))(failure)
    return judge_error(error, failure.reply)


ErrorT = TypeVar("ErrorT", bound=LeadfloodError)


def judge_error(error: ErrorT, reply: HttpReply) -> ErrorT:
    """Return an error that tells whether the reply behind it may have cost something."""
    error.may_have_acted = not reply.is_refusal
    return error
