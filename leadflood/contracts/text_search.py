"""Text search: what a person typed as a query of Postgres, and the words that find a thing.

Words are folded as names are (no case, no accents); an address and a domain are words as a whole
and in their parts, without the last label that everybody shares.
"""

import re
from collections.abc import Iterable

from leadflood.contracts.normalization.text import name_key

MOST_TYPED = 8
MOST_CHARS = 60
_NOT_IN_ADDRESS = re.compile(r"[^\w.@+-]")
_SPACE = re.compile(r"\s+")


def read_search(text: str) -> str:
    """Return what a person typed as a query of Postgres: each word, or what begins with it.

    Empty where no word is left of it: nothing fits that. Only letters, digits and `.@+-_` get
    through, quoted, so nothing in it is taken for an operator.
    """
    terms = []
    for typed in _SPACE.split(text.strip())[:MOST_TYPED]:
        parts = [_prefix(part) for part in name_key(typed).split()[:MOST_TYPED]]
        term = " & ".join(parts)
        word = _whole_word(typed)
        if word is not None:
            term = f"({term}) | {_prefix(word)}" if parts else _prefix(word)
        if term:
            terms.append(f"({term})")
    return " & ".join(terms)


def list_words(identifiers: Iterable[str], texts: Iterable[str]) -> list[str]:
    """List the words that find a thing, each once: addresses and domains, then the texts'."""
    words = dict.fromkeys(
        word[:MOST_CHARS] for text in identifiers if (word := _whole_word(text)) is not None
    )
    for text in texts:
        words |= dict.fromkeys(word[:MOST_CHARS] for word in name_key(text).split())
    return list(words)


def _prefix(word: str) -> str:
    return f"'{word[:MOST_CHARS]}':*"


def _whole_word(text: str) -> str | None:
    """Return an address or a domain as one word; None where it is no such thing."""
    word = _NOT_IN_ADDRESS.sub("", text.casefold())
    is_joined = "@" in word or "." in word.strip(".")
    return word if is_joined and any(char.isalnum() for char in word) else None
