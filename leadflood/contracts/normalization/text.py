"""Text: a value on one line, and a name folded for comparison."""

import re
import unicodedata
from functools import lru_cache

from leadflood.engine.text import one_line

MAX_TEXT = 4_000
_SPACES = re.compile(r"\s+")
_BASE_LETTERS = str.maketrans(
    dict(zip("øłđðħıŋŧĸ", "olddhintk", strict=True)) | {"þ": "th", "æ": "ae", "œ": "oe"}
)
"""Letters that Unicode does not take apart into a base and an accent."""
_FIRST_ACCENT = 200
_POINTS = range(10, 37)
"""Classes of combining signs (Unicode, UAX #44): those below stand for vowels and tones."""
_ASCII_SIGNS = {code: " " for code in range(128) if not chr(code).isalnum()}


def clean_text(text: str) -> str:
    """Return a value as it is kept: one line, composed, at most 4,000 characters."""
    if text.isascii() and text.isprintable():
        return text[:MAX_TEXT].strip()
    return one_line(unicodedata.normalize("NFC", text))[:MAX_TEXT].strip()


@lru_cache(maxsize=8192)
def name_key(name: str) -> str:
    """Fold a person's name: no case, no accents, no punctuation, single spaces."""
    if name.isascii() and name.isprintable():
        return " ".join(name[:MAX_TEXT].lower().translate(_ASCII_SIGNS).split())
    folded = unicodedata.normalize("NFKD", clean_text(name)).casefold().translate(_BASE_LETTERS)
    letters = "".join(c if _is_of_word(c) else " " for c in folded if not _is_accent(c))
    return unicodedata.normalize("NFC", _SPACES.sub(" ", letters).strip())


def _is_accent(sign: str) -> bool:
    """Whether a sign is an accent, or a point that is seldom written, as those of Arabic."""
    kind = unicodedata.combining(sign)
    return kind >= _FIRST_ACCENT or kind in _POINTS


def _is_of_word(sign: str) -> bool:
    """Whether a sign is a letter, a digit, or the vowel or the tone of the letter before it."""
    return sign.isalnum() or unicodedata.category(sign) in {"Mn", "Mc"}
