"""Consent parts: headers and texts about consent by the words that they are made up of.

A whole phrase that nobody has listed is told by its parts: a negation beside a word of contact, a
word of permission, a word of leaving a list. Source: `config/words/consent_parts.toml`.
"""

import re
from collections.abc import Container, Iterable, Sequence
from enum import Enum
from functools import lru_cache

from leadflood.contracts.normalization.consent_words import Phrases, fold_word, words_of
from leadflood.contracts.word_files import read_tables

PARTS = read_tables("consent_parts.toml")
_SPACELESS = re.compile("[\u3040-\u30ff\u3400-\u9fff\uac00-\ud7a3]")
_SCRIPTS = re.compile("(?<=[a-zA-Z])(?=[\u3040-\u30ff\u3400-\u9fff\uac00-\ud7a3])")
_WHETHER, _ALLOWED = "可否", "許可"
_OF = frozenset({"of", "de", "di", "do", "del"})
_NEAR = 4
"""So many words apart a negation still denies a word."""
_MAX_CHARS = 200
_MAX_NOTE = 1_000
_ANSWERS = re.compile(
    r"\b(?:yes|y|ja|oui|si|sim|tak|evet|да|1)\W{0,3}(?:=\w+\W+)?(?:2\W{1,3})?(?:0\W{1,3})?"
    r"(?:/|or|oder|ou|o)?\W{0,3}(?:no|n|nein|nee|non|nao|nie|hayir|нет|nej|nei|ei)\b"
)


class Stems:
    """Parts of words that are looked for in the words of a text."""

    def __init__(self, words: Iterable[str]) -> None:
        whole, starts, inner = set[str](), set[str](), set[str]()
        for word in words:
            folded = fold_word(word.strip("*"))
            if _SPACELESS.search(word) or word.startswith("*"):
                ends = not word.endswith("*") and not _SPACELESS.search(word)
                inner.add(f"{folded}$" if ends else folded)
            else:
                (starts if word.endswith("*") else whole).add(folded)
        self._whole = frozenset(whole)
        self._starts = tuple(sorted(starts))
        self._inner = re.compile("|".join(sorted(inner)) or "(?!)")

    def places_in(self, words: Sequence[str]) -> list[int]:
        """List the places of the words that have one of the parts."""
        return [place for place, word in enumerate(words) if self.fits(word)]

    @lru_cache(maxsize=16_384)  # noqa: B019 - there are a few of them, and they live on
    def fits(self, word: str) -> bool:
        """Whether a folded word has one of the parts."""
        return (
            word in self._whole
            or word.startswith(self._starts)
            or self._inner.search(word) is not None
        )


class Meaning(Enum):
    """What the parts of a header say: a no, a yes, or something that a person has to look at."""

    OPT_OUT = "opt_out"
    OPT_IN = "opt_in"
    MAYBE_OPT_OUT = "maybe_opt_out"
    UNCLEAR = "unclear"


_NEGATION, _BEFORE = Stems(PARTS["negation"]["words"]), Stems(PARTS["negation"]["before"])
_SPOKEN = Stems(PARTS["contact"]["words"])
_CONTACT = Stems([*PARTS["contact"]["words"], *PARTS["contact"]["of_headers"]])
_PERMISSION = Stems(PARTS["permission"]["words"])
_WEAK_PERMISSION = Stems(PARTS["permission"]["beside_contact"])
_LEAVING, _MAYBE = Stems(PARTS["leaving"]["words"]), Stems(PARTS["leaving"]["maybe"])
_FOREIGN, _BENIGN = Stems(PARTS["foreign"]["words"]), Stems(PARTS["benign"]["words"])
_ERASURE = Stems(PARTS["erasure"]["verbs"])
_ERASED = Stems([*PARTS["erasure"]["objects"], *PARTS["erasure"]["asking"]])
_PLAIN = words_of(PARTS["plain"]["words"])
_REQUESTS = Phrases(PARTS["requests"]["words"])
GONE = Phrases(PARTS["gone"]["words"])
STATUS_NOES = words_of([*PARTS["status"]["words"], *PARTS["gone"]["words"]])
"""Whole cells that are a no in a column of a status, and name a column that is not read."""
SURE_NOES = frozenset(
    word
    for word in words_of(PARTS["gone"]["words"])
    if " " in word or len(word) >= 8 or not word.isascii()  # noqa: PLR2004 - no name is called so
)
ANSWERS_YES, ANSWERS_NO = (words_of(PARTS["answers"][name]) for name in ("yes", "no"))


@lru_cache(maxsize=4096)
def read_parts(header: str) -> Meaning | None:
    """Return what the parts of a header say of consent; None: nothing."""
    words = _split(header[:_MAX_CHARS])
    folded = " ".join(words)
    contact = _CONTACT.places_in(words)
    if not contact and _FOREIGN.places_in(words):
        return None
    is_left = _LEAVING.places_in(words) or _LEAVING.fits(folded.replace(" ", ""))
    if is_left or _REQUESTS.stands_in(folded):
        return Meaning.OPT_OUT
    permission = _PERMISSION.places_in(words)
    if _is_denied(words, [*contact, *permission]):
        return Meaning.MAYBE_OPT_OUT if _BENIGN.places_in(words) else Meaning.OPT_OUT
    if _MAYBE.places_in(words) or _asks_for_erasure(words):
        return Meaning.OPT_OUT if contact else Meaning.MAYBE_OPT_OUT
    return _read_yes(words, is_contact=bool(contact), is_permission=bool(permission))


def _read_yes(words: Sequence[str], *, is_contact: bool, is_permission: bool) -> Meaning | None:
    if is_permission:
        return Meaning.OPT_IN if is_contact else Meaning.UNCLEAR
    is_question = _WEAK_PERMISSION.places_in(words) or _ANSWERS.search(" ".join(words))
    return Meaning.UNCLEAR if is_contact and is_question else None


def is_plain(header: str, known: Container[str]) -> bool:
    """Whether all words of a header are `known`, or words of contact, permission or grammar.

    Any other may take the agreement back: `Odvolal souhlas`.
    """
    stems = (_CONTACT, _PERMISSION, _WEAK_PERMISSION)
    return all(
        word in known
        or word in _PLAIN
        or word.isdecimal()
        or (any(each.fits(word) for each in stems) and not _NEGATION.fits(word))
        for word in _split(header[:_MAX_CHARS])
    )


def _asks_for_erasure(words: Sequence[str]) -> bool:
    erased = _ERASED.places_in(words)
    places = _ERASURE.places_in(words)
    return any(abs(place - other) <= _NEAR for place in places for other in erased)


def asks_for_answer(header: str) -> bool:
    """Whether a header about contact says what a yes and a no are: `E-Mail (1=ja 2=nein)`."""
    words = _split(header[:_MAX_CHARS])
    return _ANSWERS.search(" ".join(words)) is not None and bool(_CONTACT.places_in(words))


def may_be_asked(header: str, *, is_of_addresses: bool) -> bool:
    """Whether a yes or a no below a header may be about being written to.

    A header that denies something may deny that, in words that nobody has listed.
    """
    words = _split(header[:_MAX_CHARS])
    is_meant = is_of_addresses or bool(_CONTACT.places_in(words) or _NEGATION.places_in(words))
    return is_meant and not _BENIGN.places_in(words)


def is_foreign_consent(header: str) -> bool:
    """Whether it is a photo or the like that a header speaks of, and no letter."""
    words = _split(header[:_MAX_CHARS])
    return bool(_FOREIGN.places_in(words)) and not _CONTACT.places_in(words)


def has_left(text: str) -> bool:
    """Whether a text says, and does not deny, that somebody has left a list."""
    words = _split(text[:_MAX_CHARS])
    return bool(_LEAVING.places_in(words)) and not _NEGATION.places_in(words)


def may_refuse(text: str) -> bool:
    """Whether a text may be a no among other words: a note that a person has to look at."""
    if text.isascii() and " " not in text:
        return False
    words = _split(text[:_MAX_NOTE])
    if _REQUESTS.stands_in(" ".join(words)) or _asks_for_erasure(words):
        return True
    return not _BENIGN.places_in(words) and _is_denied(words, _SPOKEN.places_in(words))


def _split(text: str) -> list[str]:
    """Return the folded words of a text; letters of another script begin a word."""
    return fold_word(_SCRIPTS.sub(" ", text).replace(_WHETHER, _ALLOWED)).split()


def _is_denied(words: Sequence[str], places: Sequence[int]) -> bool:
    if not places:
        return False
    negations = _NEGATION.places_in(words)
    if any(abs(place - other) <= _NEAR for place in negations for other in places):
        return True
    return any(_begins_denial(words, place, places) for place in _BEFORE.places_in(words))


def _begins_denial(words: Sequence[str], place: int, places: Sequence[int]) -> bool:
    """Whether `no` is a no to what follows, and no number: `No. de contacto`."""
    is_number = place + 1 < len(words) and words[place + 1] in _OF
    return not is_number and any(0 < other - place < _NEAR for other in places)
