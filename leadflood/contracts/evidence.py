"""Evidence: the values of an answer, cleaned, with their source, hash and share of the cost."""

import hashlib
from collections.abc import Sequence
from datetime import datetime
from urllib.parse import urlsplit

from leadflood.contracts.found_values import FoundValue, Scalar
from leadflood.contracts.ports.people import PersonAnswer
from leadflood.contracts.text_cleaning import single_line
from leadflood.contracts.values import FieldName, Probability
from leadflood.engine.net.calls import Reply
from leadflood.engine.net.shares import split_evenly

_MOST_LIST_ITEMS = 200


def web_url(text: str) -> str:
    """Return a profile's address in its one form: https, no query, no slash at the end."""
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
    """Return the host of an address, without `www.`."""
    bare = text.strip().lower()
    try:
        host = urlsplit(bare if "//" in bare else f"//{bare}").hostname or ""
    except ValueError:
        return ""
    return host.removeprefix("www.").rstrip(".")


def likely_email(text: object) -> str:
    """Return an e-mail address; empty for anything else. Placeholders are the adapter's matter."""
    if not isinstance(text, str):
        return ""
    address = single_line(text, 320)
    name, at, domain = address.rpartition("@")
    return address if at and name and "." in domain and " " not in address else ""


def miss(reply: Reply) -> PersonAnswer:
    """Return the answer of a provider that does not know the person."""
    return PersonAnswer(found=False, cost_micros=reply.cost_micros, cached=reply.cached)


class Evidence:
    """The values of one answer; each carries source, hash, time and its share of the cost.

    Empty texts, None and booleans ("there is a value, but not in your plan") are left out.
    """

    def __init__(self, source: str, method: str, reply: Reply, now: datetime) -> None:
        self._source = source
        self._method = method
        self._cost_micros = reply.cost_micros
        self._is_cached = reply.cached
        self._observed_at = reply.observed_at or now
        self._hash = hashlib.sha256(reply.body).hexdigest()
        self._kept: list[tuple[FieldName, Scalar, Probability]] = []

    @property
    def observed_at(self) -> datetime:
        """When the answer came from the provider."""
        return self._observed_at

    def add(self, field: FieldName, value: object, confidence: Probability) -> None:
        """Keep a value, unless it says nothing or the field has one."""
        scalar = _scalar(value)
        if scalar is not None and all(field is not kept_field for kept_field, _, _ in self._kept):
            self._kept.append((field, scalar, confidence))

    def values(self) -> tuple[FoundValue, ...]:
        """Return the values; their costs sum to the answer's."""
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

    def person_answer(self, provider_id: str | None = None) -> PersonAnswer:
        """Return the values as the answer about a person."""
        return PersonAnswer(
            found=True,
            values=self.values(),
            provider_id=single_line(provider_id or "") or None,
            cost_micros=self._cost_micros,
            cached=self._is_cached,
        )


def _scalar(value: object) -> Scalar | None:
    if value is None or isinstance(value, bool):
        return None
    if isinstance(value, str):
        return single_line(value) or None
    if isinstance(value, int | float):
        return value
    if isinstance(value, Sequence):
        words = (single_line(item) for item in value if isinstance(item, str))
        return tuple(dict.fromkeys(word for word in words if word))[:_MOST_LIST_ITEMS] or None
    return None
