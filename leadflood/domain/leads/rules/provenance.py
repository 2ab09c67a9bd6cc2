"""Which of two values wins, and a value made ready to be stored with its evidence.

The order is human first, then confidence that halves with age. Since every value of a field ages
at the same pace, the order of two values never changes, and it is one number:
log2(confidence) + observed_at / half-life. It is stored once and needs no second look.
"""

import hashlib
import math
from datetime import datetime
from functools import lru_cache

import msgspec

from leadflood.contracts.found_values import FoundValue, Scalar
from leadflood.contracts.normalization.cells import read_value
from leadflood.contracts.normalization.fields import field_of
from leadflood.contracts.normalization.text import clean_text
from leadflood.contracts.values import FieldName
from leadflood.domain.leads.schemas.identity import HUMAN_SOURCE

_DAY_SECONDS = 86_400.0
_LEAST = 1e-9
_SLOW_DAYS = 2_000.0
_JOB_DAYS = 500.0
"""About 2.5 % of business contacts change a month, half in somewhat over two years; asked earlier,
because a wrong title or address costs more than a question."""
_SLOW = frozenset(
    {
        FieldName.FULL_NAME,
        FieldName.FIRST_NAME,
        FieldName.LAST_NAME,
        FieldName.COMPANY_FOUNDED,
        FieldName.COMPANY_COUNTRY,
    }
)
Standing = tuple[bool, float, datetime, bytes, str]
"""The order of values, most important first: human, rank, when it was observed (which a rank is
too coarse to tell within seconds), then evidence and text to break ties."""

_encode = msgspec.json.Encoder().encode


def half_life_days(field: FieldName) -> float:
    """Return after how many days a value of this field is half as sure."""
    return _SLOW_DAYS if field in _SLOW else _JOB_DAYS


def rank_of(field: FieldName, confidence: float, observed_at: datetime) -> float:
    """Return the number that orders values of one field for ever."""
    days = observed_at.timestamp() / _DAY_SECONDS
    return math.log2(max(confidence, _LEAST)) + days / half_life_days(field)


def is_better(standing: Standing, other: Standing) -> bool:
    """Whether a value of a field wins over another; of two different ones exactly one does."""
    return standing > other


def encode_value(raw: FoundValue) -> tuple[FoundValue, str] | None:
    """Bring a value into its one form and its stored text; None when nothing is left of it."""
    if raw.is_normal:
        return raw, _encode(raw.value).decode()
    read = _read_text if isinstance(raw.value, str) else _read
    field, value, text = read(raw.field, raw.value)
    if value is None:
        return None
    is_normal = field is raw.field and value == raw.value and type(value) is type(raw.value)
    normal = raw if is_normal else msgspec.structs.replace(raw, field=field, value=value)
    return normal, text


def _read(field: FieldName, raw: Scalar) -> tuple[FieldName, Scalar | None, str]:
    """Return the field and the one form of a value, and its stored text."""
    field = field_of(field, raw)
    value = read_value(field, raw)
    return field, value, _encode(value).decode()


@lru_cache(maxsize=16384)
def _read_text(field: FieldName, raw: str) -> tuple[FieldName, Scalar | None, str]:
    """Read a text; titles, companies and places come again and again."""
    return _read(field, raw)


@lru_cache(maxsize=8192)
def evidence_bytes(evidence_hash: str) -> bytes:
    """Turn a hash (64 hex digits) into its bytes; other text is hashed itself."""
    text = clean_text(evidence_hash)
    try:
        raw = bytes.fromhex(text)
    except ValueError:
        raw = b""
    if len(raw) == hashlib.sha256().digest_size:
        return raw
    return hashlib.sha256(text.encode()).digest() if text else b""


def is_human(source: str) -> bool:
    """Whether a person said so."""
    return source == HUMAN_SOURCE
