"""Written lines: what a line of a list stops, as people and exports write it."""

import re

import msgspec

from leadflood.contracts.normalization.domains import is_shared_domain
from leadflood.domain.suppressions.rules.address_hash import normalize_value
from leadflood.domain.suppressions.schemas import SuppressionKind, WrittenLine
from leadflood.engine.errors import Invalid

_DOMAIN = re.compile(r"@?(?:[\w-]+\.)+[^\W\d_][\w-]*\.?")
_NUMBER = re.compile(r"\+?[\d\s()./-]{7,40}")
_HASH_BYTES = 32


class KeyedValue(msgspec.Struct, frozen=True, kw_only=True):
    """What a line stops; `value` empty: only its hash is known."""

    kind: SuppressionKind
    key: bytes
    hint: str
    value: str = ""

    @property
    def is_broad(self) -> bool:
        """Whether it reaches people who have nothing in common."""
        if self.kind is SuppressionKind.DOMAIN:
            return bool(self.value) and is_shared_domain(self.value)
        return self.kind is SuppressionKind.CHANNEL


def guess_kind(value: str) -> SuppressionKind:
    """Return what a value is by its look: a domain, else an address."""
    is_domain = value.startswith("@") or ("@" not in value and _DOMAIN.fullmatch(value.strip()))
    return SuppressionKind.DOMAIN if is_domain else SuppressionKind.ADDRESS


def normalize_line(kind: SuppressionKind, value: str) -> str:
    """Return a value in the form that is hashed. Raises: Invalid, with what to write."""
    stripped = value.strip()
    if kind is SuppressionKind.ADDRESS and "@" not in stripped and not is_number(stripped):
        raise Invalid.field("value", "write an address, a domain, or a number such as +31620000000")
    try:
        return normalize_value(kind, stripped)
    except Invalid as error:
        problem = error.fields[0].problem if error.fields else error.detail
        raise Invalid(problem) from error


def is_number(text: str) -> bool:
    """Whether a text looks like a phone number."""
    return _NUMBER.fullmatch(text) is not None


def read_hash(line: WrittenLine, fingerprint: str) -> KeyedValue | str:
    """Return what the hash of an exported line stops, or why it stops nothing here."""
    if line.key != fingerprint:
        return "its hash is of another master secret: give the value itself"
    try:
        key = bytes.fromhex(line.hash)
    except ValueError:
        key = b""
    if len(key) != _HASH_BYTES or line.kind is None:
        return "its hash or its kind is damaged: export the list again"
    return KeyedValue(kind=line.kind, key=key, hint=line.hint)
