"""Column words: what the header of a column says, in the words of `config/words/columns.toml`."""

import re
import unicodedata
from collections.abc import Iterator, Sequence
from functools import lru_cache

import msgspec

from leadflood.contracts.normalization.text import clean_text
from leadflood.contracts.word_files import read_tables
from leadflood.domain.imports.schemas.column_fields import ColumnField

_MAX_HEADER_CHARS = 60
_MAX_CELLS = 2_000
WEAK, _WITHOUT_NUMBER, _SHORTENED, _PART = 100, 10, 20, 30
"""How much less exact a header is than one that stands in the list as it is."""
_MOST_NUMBER = 9
_PLAIN_LETTERS = str.maketrans({"\u0131": "i", "ø": "o", "ł": "l", "đ": "d", "æ": "ae", "œ": "oe"})
_PARENTHESES = re.compile(r"[(\uff08\[][^)\uff09\]]*[)\uff09\]]")
_PARTS = re.compile(r"\s*[/|\uff0f\n\r]\s*")
_CAMEL = re.compile(r"(?<=[a-z])(?=[A-Z][a-z])")
_TABLES = read_tables("columns.toml")


class HeaderMeaning(msgspec.Struct, frozen=True):
    """What a header says: a field, or None for a column that is nobody's field.

    `rank` says how exact that is: of two columns for one field, the lower goes first.
    `is_of_company`: an id that is the company's, not the person's.
    """

    field: ColumnField | None
    rank: int = 0
    is_of_company: bool = False


def header_tokens(header: str) -> tuple[str, ...]:
    """Return the words of a header: no case, no accents, no punctuation."""
    spaced = _CAMEL.sub(" ", clean_text(header))
    folded = unicodedata.normalize("NFKD", spaced).casefold()
    folded = folded.translate(_PLAIN_LETTERS)
    return tuple(
        "".join(
            char if char.isalnum() else " " for char in folded if not unicodedata.combining(char)
        ).split()
    )


def header_key(header: str) -> str:
    """Return a header folded to what is compared."""
    return "".join(header_tokens(header))


def _split(words: str) -> list[str]:
    return [key for word in words.split("|") if (key := header_key(word))]


def _read_meanings() -> dict[str, HeaderMeaning]:
    meanings = {
        key: HeaderMeaning(None) for words in _TABLES["unused"].values() for key in _split(words)
    }
    for field in ColumnField:
        table: dict[str, str] = _TABLES.get(field.value, {})
        for language, words in table.items():
            rank = WEAK if language == "weak" else 0
            meaning = HeaderMeaning(field, rank, is_of_company=language == "companies")
            for key in _split(words):
                meanings.setdefault(key, meaning)
    for field in ColumnField:
        meanings.setdefault(header_key(field.value), HeaderMeaning(field))
    return meanings


_MEANINGS = _read_meanings()
_QUALIFIERS = frozenset(key for words in _TABLES["qualifiers"].values() for key in _split(words))
_OTHERS = frozenset(
    key for table in ("owners", "others") for key in _split(_TABLES["unused"][table])
)
_SYSTEMS = {
    key: name for name, words in _TABLES["systems"].items() for key in (name, *_split(words))
}
SALUTATIONS = frozenset(_split(_TABLES["cells"]["salutations"]))
"""Cells that are no more than a salutation, folded as headers are."""


@lru_cache(maxsize=4096)
def find_meaning(header: str) -> HeaderMeaning | None:
    """Find what a header says; None when it is unknown."""
    for key, penalty in _readings(header):
        meaning = _MEANINGS.get(key)
        if meaning is not None:
            return msgspec.structs.replace(meaning, rank=meaning.rank + penalty)
    if (meaning := _find_id(header)) is not None:
        return meaning
    if _OTHERS.intersection(header_tokens(header)):
        return HeaderMeaning(None, _PART)
    parts = _PARTS.split(header.strip())
    if len(parts) > 1:
        meanings = [meaning for part in parts if (meaning := find_meaning(part))]
        named = [meaning for meaning in meanings if meaning.field is not None]
        if named:
            return HeaderMeaning(named[0].field, named[0].rank + _PART)
    return None


def is_of_other(header: str) -> bool:
    """Whether a column is about somebody beside the row's person: its owner, a manager."""
    return header_key(header) in _OTHERS or not _OTHERS.isdisjoint(header_tokens(header))


def find_system(header: str) -> str | None:
    """Find the system that a header names: `HubSpot Contact ID` is of hubspot."""
    tokens = (*header_tokens(header.lower()), *header_tokens(header))
    return next((_SYSTEMS[token] for token in tokens if token in _SYSTEMS), None)


def _find_id(header: str) -> HeaderMeaning | None:
    """Find what an id is whose header names a system beside it."""
    for tokens in (header_tokens(header.lower()), header_tokens(header)):
        left = [token for token in tokens if token not in _SYSTEMS]
        meaning = _MEANINGS.get("".join(left)) if len(left) < len(tokens) else None
        if meaning is not None and meaning.field is ColumnField.EXTERNAL_ID:
            return msgspec.structs.replace(meaning, rank=_SHORTENED)
    return None


def _readings(header: str) -> Iterator[tuple[str, int]]:
    """Yield the forms in which a header may stand in the list, the most exact first."""
    tokens = header_tokens(header)
    yield "".join(tokens), 0
    numbers = [int(token) for token in tokens if token.isdecimal() and len(token) == 1]
    penalty = _WITHOUT_NUMBER + min(numbers[0], _MOST_NUMBER) if numbers else 0
    words = [token for token in tokens if not token.isdecimal()]
    yield "".join(words), penalty
    outside = header_tokens(_PARENTHESES.sub(" ", header))
    yield "".join(outside), penalty + _SHORTENED
    for each in (words, outside):
        kept = [token for token in each if token not in _QUALIFIERS and not token.isdecimal()]
        yield "".join(kept), penalty + _SHORTENED


def find_field(header: str) -> ColumnField | None:
    """Find the field that a header names; None when it is unknown, or nobody's."""
    meaning = find_meaning(header)
    return None if meaning is None else meaning.field


def count_known(cells: Sequence[str]) -> int:
    """Count the different cells of a row that are known headers."""
    short = {cell for cell in cells[:_MAX_CELLS] if len(cell) < _MAX_HEADER_CHARS}
    return sum(any(key in _MEANINGS for key, _ in _readings(cell)) for cell in short)
