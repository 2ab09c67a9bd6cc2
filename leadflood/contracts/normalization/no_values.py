"""No-values: what people and programs write where there is nothing to write."""

import re
import unicodedata
from collections.abc import Container
from functools import lru_cache

from leadflood.contracts.values import FieldName
from leadflood.contracts.word_files import read_tables

_MOST_CHARS = 40
_OUTER = " \t\"'`()[]{}<>.:;,*_|~-\u2013\u2014"
_ZERO_DATE = re.compile(r"0{1,4}([-./])0{1,2}\1 ?0{1,4}(?:[t ]0{1,2}(?::0{1,2}){1,2}.*)?z?")
_CROSSES = re.compile(r"x{3,}")


def _fold(text: str) -> str:
    usual = text if text.isascii() else unicodedata.normalize("NFKC", text)
    plain = " ".join(usual.casefold().split())
    return plain.replace(" / ", "/").strip(_OUTER)


_TABLES = read_tables("no_values.toml")
_WORDS = frozenset(_fold(word) for words in _TABLES["words"].values() for word in words)
_NAMES = {FieldName(field): frozenset(words) for field, words in _TABLES["names"].items()}


@lru_cache(maxsize=8192)
def is_no_value(text: str) -> bool:
    """Whether a text stands where there is no value; empty texts are such."""
    if len(text) > _MOST_CHARS:
        return False
    if text.isascii() and text.isalpha():
        lower = text.lower()
        return lower in _WORDS or _CROSSES.fullmatch(lower) is not None
    if is_blank(text):
        return True
    folded = _fold(text)
    return folded in _WORDS or (folded[:1] in "x0" and _is_pattern(folded))


def is_blank(text: str) -> bool:
    """Whether a text has no letter and no digit, as `-` has none."""
    return not any(map(str.isalnum, text))


def may_be_name(field: FieldName, text: str) -> bool:
    """Whether a no-value may be a person's name too: `Null`, written as names are."""
    names: Container[str] = _NAMES.get(field, ())
    return text.casefold() in names and (text.istitle() or not text.isascii())


def _is_pattern(folded: str) -> bool:
    return bool(_CROSSES.fullmatch(folded) or _ZERO_DATE.fullmatch(folded))
