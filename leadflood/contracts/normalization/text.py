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
    letters = "".join(c if c.isalnum() else " " for c in folded if not unicodedata.combining(c))
    return _SPACES.sub(" ", letters).strip()
