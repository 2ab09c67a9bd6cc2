"""E-mail addresses: their one spelling, checked for syntax only, and those that a cell holds."""

import re
import unicodedata
from functools import lru_cache
from urllib.parse import unquote

import msgspec
from disposable_email_domains import blocklist
from email_validator import SPECIAL_USE_DOMAIN_NAMES, EmailNotValidError, validate_email
from rapidfuzz.distance import OSA

from leadflood.contracts.normalization.domains import FREE_MAIL, registrable_domain
from leadflood.contracts.normalization.no_values import is_no_value
from leadflood.contracts.word_files import read_tables

_MOST_ADDRESS = 600
_MOST_CELL = 2_000
_MOST_ADDRESSES = 20
MOST_LOCAL_BYTES = 64
"""Bytes before the @ (RFC 5321, 4.5.3.1.1)."""
_PLAIN_EMAIL = re.compile(
    r"^(?=.{6,120}\Z)[a-z0-9_+-]{1,30}(?:\.[a-z0-9_+-]{1,30})?@"
    r"(?:[a-z0-9](?:-?[a-z0-9]){0,28}\.){1,3}[a-z]{2,20}\Z",
    re.ASCII | re.IGNORECASE,
)
"""Most addresses: taken without the whole check, which costs 35 µs (tested to agree with it)."""
_SPECIAL_ENDS = frozenset(name.rpartition(".")[2] for name in SPECIAL_USE_DOMAIN_NAMES)
_TABLES = read_tables("emails.toml")
_FUNCTIONS = frozenset(_TABLES["functions"])
_RESERVED = tuple(f".{name}" for name in _TABLES["reserved"])
_MAILERS: list[str] = _TABLES["mailers"]
_ENDINGS: dict[str, str] = _TABLES["endings"]
_WORDS = "|".join(map(re.escape, _TABLES["between"]))
_BETWEEN = re.compile(r"\s*(?:[;,|\n\t\u3001]|:::)\s*")
"""What parts addresses; Google Contacts writes ` ::: `."""
_WITHIN = re.compile(rf"\s*[/&+]\s*|\s+(?:{_WORDS})\s+|\s+", re.IGNORECASE)
"""What parts addresses where both sides are addresses; else it belongs to one."""
_TORN = re.compile(
    r"(?:^|[\s;,|])[^\s@<>;,|\"/]*[^\W_][^\s@<>;,|\"/]*[;,|](?=[^\s@<>;,|]+@)"
    r"|@[^\s@<>;,|]+[;,|](?!\s)(?=[^\s@;,|]+(?:[\s;,|]|$))|@[^\s@<>;,|]+[;,|]\s*[^\W\d_]{2,3}$"
)
"""An address with a comma where a point was meant: `jon,smith@a.com`, `jon@a,com`."""
_IN_ANGLES = re.compile(r"^([^<>@]*|\"[^\"]*\")\s*<\s*([^<>\s]+)\s*>$")
_LABEL = re.compile(r"^[^\W\d_][^\W\d_.-]*(?:[ .-]{1,2}[^\W\d_]+){0,3}\.?\s*:\s*(?=\S+@)")
_REMARK = re.compile(r"^(\S+@\S+?)\s*\([^()@]*\)$")
_BESIDE_PHONE = re.compile(r"^(\S+@\S+)\s*/\s*(\+?\d[\d\s()./-]{5,24})$")
"""A number behind an address is told as a piece that is none."""
_QUOTES = ("<>", "()", "[]", "{}", '""', "''", "``", "‹›", "«»", "“”", "„“", "‘’", "‚‘")  # noqa: RUF001 - as people write them
_WRAPPERS = {pair[0]: pair[1] for pair in _QUOTES}
_LAST = " .,;:!\u3002"


class ReadEmails(msgspec.Struct, frozen=True):
    """The addresses that a cell holds, in its order, and the pieces that are none."""

    addresses: tuple[str, ...]
    unread: tuple[str, ...] = ()


@lru_cache(maxsize=8192)
def normalize_email(text: str) -> str | None:
    """Return the address in its one spelling (lower case), or None when it cannot be one."""
    if _PLAIN_EMAIL.match(text):
        return text.lower()
    if len(text) > _MOST_ADDRESS:
        return None
    head, dot, ending = text.strip().rpartition(".")
    is_special = ending.casefold() in _SPECIAL_ENDS
    # a reserved domain has the syntax of any other: the check, which refuses it, gets another
    checked_text = f"{head}{dot}{'example' if is_special else ending}"
    try:
        checked = validate_email(checked_text, check_deliverability=False, allow_quoted_local=True)
    except (EmailNotValidError, ValueError):
        return None
    if len(checked.local_part.encode()) > MOST_LOCAL_BYTES:
        return None
    address = checked.normalized.lower()
    return f"{address.removesuffix('example')}{ending.lower()}" if is_special else address


def read_emails(text: str) -> ReadEmails:
    """Read a cell: `Jon Ra <jon@a.de>; mailto:jon@b.de` holds two addresses.

    A piece is an address whole or not at all: what stands beside one is a name, a label or a
    remark, never a part of it.
    """
    if (address := normalize_email(text)) is not None:
        return ReadEmails((address,))
    plain = _plain(text[:_MOST_CELL])
    if (address := _read_piece(plain)) is not None:
        return ReadEmails((address,))
    pieces = [plain] if _TORN.search(plain) else _pieces(plain)[:_MOST_ADDRESSES]
    read = {piece: _read_piece(piece) for piece in pieces}
    addresses = dict.fromkeys(address for address in read.values() if address is not None)
    unread = [piece for piece, address in read.items() if not address and not is_no_value(piece)]
    has_names = "<" in plain
    kept = tuple(piece for piece in unread if "@" in piece or not has_names)
    return ReadEmails(tuple(addresses), kept)


def suggest_email(address: str) -> str | None:
    """Return the address that was probably meant by one with a typing error in its domain."""
    local, _, domain = address.rpartition("@")
    meant = _suggest_domain(domain)
    return None if meant is None else f"{local}@{meant}"


@lru_cache(maxsize=8192)
def _suggest_domain(domain: str) -> str | None:
    if domain in FREE_MAIL or domain in _MAILERS:
        return None
    body, _, ending = domain.rpartition(".")
    if ending in _ENDINGS:
        mended = f"{body}.{_ENDINGS[ending]}"
        return _suggest_domain(mended) or mended
    near = (each for each in _MAILERS if OSA.distance(domain, each, score_cutoff=1) == 1)
    return next(near, None)


def why_not_personal(address: str) -> str | None:
    """Return why nobody should write to an address by themselves; None: it may be a person's.

    It is a function's (`noreply@`), one for a few minutes (a disposable domain), or in a domain
    that is reserved and reaches nobody (RFC 2606, 6761).
    """
    local, _, domain = address.casefold().rpartition("@")
    if local.partition("+")[0] in _FUNCTIONS:
        return "function"
    if f".{domain}".endswith(_RESERVED):
        return "reserved"
    if domain in blocklist or registrable_domain(domain) in blocklist:
        return "disposable"
    return None


def _plain(text: str) -> str:
    """Return a cell without signs that nobody sees and with full-width ones in their usual form."""
    usual = unicodedata.normalize("NFKC", text).replace("\u3002", ".")
    shown = (sign for sign in usual if unicodedata.category(sign) != "Cf")
    return "".join(shown).strip()


def _pieces(text: str) -> list[str]:
    pieces: list[str] = []
    for piece in _BETWEEN.split(text):
        parts = [piece]
        if piece.count("@") > 1:
            words = _WITHIN.split(piece)
            parts = words if all("@" in word for word in words) else [piece]
        elif match := _BESIDE_PHONE.match(piece):
            parts = [match[1], match[2]]
        pieces += parts
    return [piece for piece in map(str.strip, pieces) if piece]


def _read_piece(piece: str) -> str | None:
    """Return the address that a piece is, without what wraps it."""
    previous = None
    while piece != previous:
        previous = piece
        piece = _unwrap(piece)
    return normalize_email(piece)


def _unwrap(piece: str) -> str:
    piece = piece.strip(" ").rstrip(_LAST)
    if piece.count('"') == 1:
        piece = piece.strip('"')
    if piece.count("<") != piece.count(">"):
        piece = piece.strip("<> ")
    if match := _IN_ANGLES.match(piece):
        return match[2]
    if match := _REMARK.match(piece):
        return match[1]
    if len(piece) > 1 and _WRAPPERS.get(piece[0]) == piece[-1]:
        return piece[1:-1]
    if piece[:7].casefold() == "mailto:":
        return unquote(piece[7:].partition("?")[0])
    return _LABEL.sub("", piece)
