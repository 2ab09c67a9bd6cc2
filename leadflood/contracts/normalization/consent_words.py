"""Words of consent in their one form, and phrases looked for in it.

Source: `config/words/consent.toml`.
"""

import re
from collections.abc import Iterable, Mapping
from functools import lru_cache
from typing import Any

from leadflood.contracts.normalization.text import name_key
from leadflood.contracts.values import EmailStatus
from leadflood.contracts.word_files import read_tables

TABLES: Mapping[str, Any] = read_tables("consent.toml")
_CAMEL = re.compile("([a-zà-öø-ÿ])([A-Z])|([A-Z])([A-Z][a-z])")
_WORD = re.compile(r"\w+")
_SIGNS = re.compile(r"[^a-z0-9]+")
_SPACELESS = re.compile("[\u3040-\u30ff\u3400-\u9fff]")
_WHOLE, _REST = "=", "*"


@lru_cache(maxsize=8192)
def fold_word(text: str) -> str:
    """Return the form in which words are compared; a sign such as `✓` stays as it is."""
    spaced = _CAMEL.sub(r"\1\3 \2\4", text)
    if spaced.isascii():
        return _SIGNS.sub(" ", spaced.lower()).strip() or text.strip()
    return name_key(spaced) or text.strip()


def words_of(table: Iterable[str]) -> frozenset[str]:
    """Return the words of a list in the form in which they are compared."""
    return frozenset(fold_word(word) for word in table)


def flatten(table: Mapping[str, Iterable[str]]) -> tuple[str, ...]:
    """Return the words of a table of lists, one list a language."""
    return tuple(word for words in table.values() for word in words)


class Phrases:
    """Phrases that are looked for as whole words.

    `=` before a phrase: it is all of the text. `*` behind it: its last word goes on as it likes.
    """

    def __init__(self, phrases: Iterable[str]) -> None:
        self._whole: set[str] = set()
        self._inner: set[str] = set()
        self._starts: set[str] = set()
        for phrase in phrases:
            folded = fold_word(phrase.strip(_WHOLE + _REST))
            kept = self._whole if phrase.startswith(_WHOLE) else self._inner
            (self._starts if phrase.endswith(_REST) else kept).add(folded)
        every = self._inner | self._starts
        self._most_words = max((phrase.count(" ") + 1 for phrase in every), default=0)
        self._first_words = {phrase.partition(" ")[0] for phrase in every}
        self._all_starts = tuple(self._starts)
        self._first_starts = tuple(phrase for phrase in self._starts if " " not in phrase)
        self._spaceless = tuple(phrase for phrase in every if _SPACELESS.search(phrase))

    def may_stand_in(self, text: str) -> bool:
        """Whether a text, as it is written, is worth to be folded and looked through."""
        if not text.isascii():
            return True
        lower = text.lower().replace("_", " ")
        return not self._first_words.isdisjoint(_WORD.findall(lower)) or any(
            start in lower for start in self._first_starts
        )

    def stands_in(self, folded: str) -> bool:
        """Whether one of the phrases stands in a text."""
        return folded in self._whole or bool(self.list_in(folded))

    def list_in(self, folded: str) -> list[str]:
        """List the phrases that stand in a text, the longest where several begin."""
        words = folded.split(" ")
        phrases = []
        skip = 0
        for start, word in enumerate(words):
            is_first = word in self._first_words or word.startswith(self._first_starts)
            if start < skip or not is_first:
                continue
            for end in range(min(len(words), start + self._most_words), start, -1):
                phrase = " ".join(words[start:end])
                if phrase in self._inner or phrase.startswith(self._all_starts):
                    phrases.append(phrase)
                    skip = end
                    break
        if not folded.isascii():
            phrases += [phrase for phrase in self._spaceless if phrase in folded]
        return phrases


_RATINGS = {
    word: status
    for table, status in (
        ("valid", EmailStatus.VALID),
        ("unknown", EmailStatus.UNKNOWN),
        ("catch_all", EmailStatus.CATCH_ALL),
        ("invalid", EmailStatus.INVALID),
        ("bounced", EmailStatus.INVALID),
        ("never_mail", EmailStatus.INVALID),
    )
    for word in words_of(TABLES["status"][table])
}
_REFUSALS = words_of(TABLES["status"]["said_no"])


def rate_email(text: str) -> EmailStatus | None:
    """Return what a mail tool or a verifier says of an address.

    None: it is no word of theirs. Of who said no the address itself is not rated.
    """
    word = fold_word(text)
    return EmailStatus.UNKNOWN if word in _REFUSALS else _RATINGS.get(word)
