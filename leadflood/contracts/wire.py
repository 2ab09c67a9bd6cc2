"""What every adapter does alike with a raw answer: clean, decode, price, and keep the evidence."""

import hashlib
import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from decimal import ROUND_CEILING, Decimal
from email.utils import parsedate_to_datetime
from typing import Any, TypeVar
from urllib.parse import urlsplit

import msgspec

from leadflood.contracts.errors import ProviderChanged, ProviderDown
from leadflood.contracts.facts import FoundValue, Scalar
from leadflood.contracts.provider import ProviderSettings, ProviderSpec
from leadflood.contracts.values import FieldName, Probability
from leadflood.engine.errors import NotConfigured
from leadflood.engine.net.calls import HttpReply, Reply
from leadflood.engine.net.shares import split_evenly

T = TypeVar("T")

_INVISIBLE = re.compile(
    "[\x00-\x1f\x7f-\x9f\u00ad\u200b-\u200f\u2028-\u202e\u2060-\u2064\ufeff\ud800-\udfff]+"
)
_MOST_TEXT_CHARS = 500
_MOST_LIST_ITEMS = 200
_MOST_DETAIL_CHARS = 300


def clean_text(text: str, most_chars: int = _MOST_TEXT_CHARS) -> str:
    """Make a text from outside storable: no control or invisible characters, one line, capped."""
    return " ".join(_INVISIBLE.sub(" ", text).split())[:most_chars].strip()


def decode_answer(provider: str, body: bytes, into: type[T]) -> T:
    """Decode a JSON answer.

    Raises: ProviderChanged when it no longer fits its struct.
    """
    try:
        return msgspec.json.decode(body, type=into)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise ProviderChanged(
            f"{provider} answered something else than its documented JSON ({error}): "
            "check base_url, or update the adapter"
        ) from error


def canonical(question: Any) -> bytes:
    """Write a request so that equal ones are equal bytes."""
    return msgspec.json.encode(question, order="deterministic")


def price_micros(credits_spent: Decimal, settings: ProviderSettings) -> int:
    """Tell what an amount of credits costs, rounded up."""
    exact = credits_spent * settings.credit_price_micros
    return int(exact.to_integral_value(rounding=ROUND_CEILING))


def api_key(spec: ProviderSpec, settings: ProviderSettings) -> str:
    """Tell the key.

    Raises: NotConfigured, naming the setting.
    """
    if not settings.api_key:
        raise NotConfigured(
            f"{spec.name} has no key: set providers.{spec.name}.api_key "
            f"(LEADFLOOD_PROVIDERS__{spec.name.upper()}__API_KEY)"
        )
    return settings.api_key


def base_url(spec: ProviderSpec, settings: ProviderSettings) -> str:
    """Tell where the service is, without a slash at the end."""
    return (settings.base_url or spec.base_url).rstrip("/")


UNTOLD_WAIT_SECONDS = 5.0
"""How long to wait when a service says \"too many\" but not for how long: its next no is free."""


def wait_seconds(
    headers: Mapping[str, str], now: datetime, otherwise: float = UNTOLD_WAIT_SECONDS
) -> float:
    """Read Retry-After (seconds or an HTTP date), at least half a second."""
    told = headers.get("retry-after", "").strip()
    try:
        return max(0.5, float(told))
    except ValueError:
        pass
    try:
        return max(0.5, (parsedate_to_datetime(told).astimezone(UTC) - now).total_seconds())
    except (ValueError, TypeError):
        return otherwise


def refuse_unusual(provider: str, reply: HttpReply, now: datetime) -> None:
    """Raise for what means the same everywhere: 5xx is down, 3xx has moved."""
    if reply.status >= 500:  # noqa: PLR2004 - the border of RFC 9110's class
        told = reply.headers.get("retry-after")
        wait = wait_seconds(reply.headers, now, 0.0) if told else None
        raise ProviderDown(f"{provider} answered {reply.status}: {detail_of(reply)}", wait or None)
    if 300 <= reply.status < 400:  # noqa: PLR2004 - the borders of RFC 9110's class
        raise ProviderChanged(
            f"{provider} redirects to {reply.headers.get('location', 'another address')}: "
            f"set providers.{provider}.base_url"
        )


def detail_of(reply: HttpReply) -> str:
    """Quote the start of an answer for an error's text."""
    return clean_text(reply.body[:2000].decode("utf-8", "replace"), _MOST_DETAIL_CHARS)


def web_url(text: str) -> str:
    """Write a profile's address in one way: https, no query, no slash at the end."""
    bare = text.strip()
    try:
        parts = urlsplit(bare if "//" in bare else f"https://{bare}")
        host = (parts.hostname or "").lower()
    except ValueError:
        return ""
    if host == "linkedin.com" or host.endswith(".linkedin.com"):
        host = "www.linkedin.com"
    return f"https://{host}{parts.path.rstrip('/')}" if host else ""


def domain_of(text: str) -> str:
    """Take the host out of an address, without `www.`."""
    bare = text.strip().lower()
    try:
        host = urlsplit(bare if "//" in bare else f"//{bare}").hostname or ""
    except ValueError:
        return ""
    return host.removeprefix("www.").rstrip(".")


def likely_email(text: object) -> str:
    """Tell the address if it is one; empty otherwise (placeholders are the adapter's matter)."""
    if not isinstance(text, str):
        return ""
    address = clean_text(text, 320)
    name, at, domain = address.rpartition("@")
    return address if at and name and "." in domain and " " not in address else ""


class Evidence:
    """Gathers the values of one answer; each carries source, hash, time and its part of the cost.

    Empty texts, None and booleans (a plan's "there is something") are left out.
    """

    def __init__(self, source: str, method: str, reply: Reply, now: datetime) -> None:
        self._source = source
        self._method = method
        self._cost_micros = reply.cost_micros
        self._observed_at = reply.observed_at or now
        self._hash = hashlib.sha256(reply.body).hexdigest()
        self._kept: list[tuple[FieldName, Scalar, Probability]] = []

    @property
    def observed_at(self) -> datetime:
        """When the answer came from the provider."""
        return self._observed_at

    def add(self, field: FieldName, value: object, confidence: Probability) -> None:
        """Keep a value if it says anything."""
        kept = _scalar(value)
        if kept is not None and all(field is not known for known, _, _ in self._kept):
            self._kept.append((field, kept, confidence))

    def values(self) -> tuple[FoundValue, ...]:
        """Tell the values; their costs sum to the answer's."""
        costs = split_evenly(self._cost_micros, len(self._kept))
        return tuple(
            FoundValue(
                field=field,
                value=value,
                source=self._source,
                method=self._method,
                observed_at=self._observed_at,
                confidence=confidence,
                evidence_hash=self._hash,
                cost_micros=cost,
            )
            for (field, value, confidence), cost in zip(self._kept, costs, strict=True)
        )


def _scalar(value: object) -> Scalar | None:
    if value is None or isinstance(value, bool):
        return None
    if isinstance(value, str):
        return clean_text(value) or None
    if isinstance(value, int | float):
        return value
    if isinstance(value, Sequence):
        words = (clean_text(item) for item in value if isinstance(item, str))
        return tuple(dict.fromkeys(word for word in words if word))[:_MOST_LIST_ITEMS] or None
    return None
