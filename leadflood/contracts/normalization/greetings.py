"""Greetings: the name that somebody is addressed by, written as its language writes it.

Nobody is greeted by a title, an initial, a department, a filler or a number.
"""

import re
import unicodedata
from functools import lru_cache

from leadflood.contracts.normalization.companies import has_legal_form
from leadflood.contracts.normalization.names import (
    PARTICLES,
    VOWELS,
    has_initials,
    is_name,
    is_salutation,
    is_title,
    read_name,
    strip_titles,
)
from leadflood.contracts.normalization.text import clean_text, name_key

_INITIAL = re.compile(r"[^\W\d_]\.?|(?:[^\W\d_]\.-?){2,}")
_PIECE = re.compile(r"[^\W\d_]+")
_TURKISH = frozenset("\u0130\u0131ŞşĞğ")
_TURKISH_SMALL = str.maketrans({"I": "\u0131", "\u0130": "i"})
_MOST_WORDS = 3
_SHORT = 2


@lru_cache(maxsize=16_384)
def greeting_name(first: str, last: str = "", full: str = "") -> str | None:
    """Return the name to greet somebody by; None: greet them without one.

    `ADA` is Ada, `MCDONALD` McDonald; `J.`, `JT`, `Dr.`, `Sales Team` and `N/A` are no first name.
    It is read off the whole name where the first name given is none.
    """
    name = _first_of(first, last) or _read_off(full)
    if name is None:
        return None
    written = write_name(name, beside=f"{last} {full}")
    return written[0].upper() + written[1:]


def write_name(name: str, beside: str = "") -> str:
    """Return a name with capitals where its language has them, if it has them all or none.

    `beside` is the rest of the name: its letters tell Turkish.
    """
    text = clean_text(name)
    if not (text.isupper() or text.islower()) or _INITIAL.fullmatch(text):
        return text
    is_turkish = not _TURKISH.isdisjoint(text + beside)
    words = [_write_word(word, is_turkish=is_turkish) for word in text.split()]
    return " ".join(words)


def _read_off(full: str) -> str | None:
    name = read_name(full)
    is_name_to_use = name.first is not None and not _are_initials(name.first, name.last or "")
    return name.first if is_name_to_use else None


def _first_of(first: str, last: str) -> str | None:
    text = _without_symbols(first)
    if "," in text:
        return read_name(text).first
    bare = strip_titles(text)
    is_salutation_only = bare != text and not last and " " not in bare and is_salutation(text)
    words = _without(bare, last).split()
    while len(words) > 1 and _INITIAL.fullmatch(words[-1]):
        words = words[:-1]
    name = " ".join(words)
    if is_salutation_only or not 0 < len(words) <= _MOST_WORDS or not is_name(name):
        return None
    is_other = is_title(name) or name_key(name) == name_key(last) or _are_initials(name, last)
    return None if is_other or has_legal_form(name) else name


def _without_symbols(text: str) -> str:
    """Return a text without its pictures (`🚀 Ada`)."""
    return " ".join(
        "".join(
            " " if unicodedata.category(sign) in {"So", "Sk", "Cn"} else sign for sign in text
        ).split()
    )


def _without(first: str, last: str) -> str:
    """Return a first name without the last name behind it, where a cell holds both."""
    words, tail = first.split(), name_key(last).split()
    count = len(tail)
    if tail and len(words) > count and name_key(" ".join(words[-count:])).split() == tail:
        return " ".join(words[:-count])
    return first


def _are_initials(name: str, last: str) -> bool:
    """Whether a name is no more than initials (`J.`, `JT`, `J.-C.`).

    Two capitals are a name only where all is written in capitals and one is a vowel (`ED BERG`).
    """
    if not has_initials(name):
        return False
    if _INITIAL.fullmatch(name.split(maxsplit=1)[0]):
        return True
    letters = "".join(_PIECE.findall(name))
    if not name.isupper():
        return len(letters) < _SHORT
    has_vowel = not VOWELS.isdisjoint(name_key(name))
    return not has_vowel or (len(letters) <= _SHORT and not last.isupper())


def _write_word(word: str, *, is_turkish: bool) -> str:
    small = word.translate(_TURKISH_SMALL).lower() if is_turkish else word.lower()
    if small in PARTICLES:
        return small
    return "".join(
        _write_piece(piece, is_turkish=is_turkish) for piece in re.split(r"([-'\u2019])", small)
    )


def _write_piece(piece: str, *, is_turkish: bool) -> str:
    if piece.startswith("mc") and len(piece) > _SHORT:
        return f"Mc{_capital(piece[2:], is_turkish=is_turkish)}"
    if piece.startswith("ij"):
        return f"IJ{piece[2:]}"
    return _capital(piece, is_turkish=is_turkish)


def _capital(piece: str, *, is_turkish: bool) -> str:
    head = "\u0130" if is_turkish and piece[:1] == "i" else piece[:1].upper()
    return head + piece[1:]
