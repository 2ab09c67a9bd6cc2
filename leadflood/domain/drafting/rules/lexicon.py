"""The lexicon of a draft: the phrases of its facts, and the words of its offer."""

from collections.abc import Iterator, Sequence

import msgspec

from leadflood.contracts.ports.text import DraftRequest, NumberedFact
from leadflood.contracts.values import FieldName
from leadflood.domain.drafting.rules.tokens import (
    BREAKS,
    COMPANY,
    FACT,
    ME,
    NAME,
    root_of,
    split_words,
    stem,
)
from leadflood.domain.drafting.rules.vocabulary import CONNECTIVE_WORDS, FUNCTION_WORDS, YOUR_OWN

PLAIN = FUNCTION_WORDS | CONNECTIVE_WORDS | YOUR_OWN
_NAMES = {
    FieldName.FIRST_NAME.value: NAME,
    FieldName.LAST_NAME.value: NAME,
    FieldName.FULL_NAME.value: NAME,
    FieldName.COMPANY_NAME.value: COMPANY,
}


class Phrase(msgspec.Struct, frozen=True):
    """A row of words (stems) and the marker that stands for it."""

    words: tuple[str, ...]
    marker: str


class Lexicon(msgspec.Struct, frozen=True):
    """What one draft may be made of.

    `facts` are the phrases of each fact by its number; `names` those of the lead's names.
    `offer` are the offer's words in their order, `positions` where each of them stands there,
    `roots` theirs.
    `sender` are the phrases of who signs.
    """

    facts: dict[int, tuple[Phrase, ...]]
    names: tuple[Phrase, ...]
    sender: tuple[Phrase, ...]
    offer: tuple[str, ...]
    positions: dict[str, tuple[int, ...]]
    roots: frozenset[str]

    @property
    def all_facts(self) -> frozenset[int]:
        """The numbers of all facts."""
        return frozenset(self.facts)


def read_lexicon(request: DraftRequest) -> Lexicon:
    """Return what a draft may be made of."""
    offer = _words(request.offer)
    facts = {fact.number: tuple(_phrases_of(fact)) for fact in request.facts}
    named = (facts[fact.number] for fact in request.facts if fact.field in _NAMES)
    return Lexicon(
        facts=facts,
        names=tuple(phrase for phrases in named for phrase in phrases),
        sender=tuple(_parts(request.sender_name, ME)),
        offer=offer,
        positions=_positions(offer),
        roots=frozenset(map(root_of, offer)),
    )


def _positions(words: Sequence[str]) -> dict[str, tuple[int, ...]]:
    positions: dict[str, tuple[int, ...]] = {}
    for position, word in enumerate(words):
        positions[word] = (*positions.get(word, ()), position)
    return positions


def _phrases_of(fact: NumberedFact) -> Iterator[Phrase]:
    marker = _NAMES.get(fact.field, FACT + fact.field)
    if fact.field == FieldName.COMPANY_NAME.value:
        words = _words(fact.text)
        for length in range(len(words), 0, -1):
            if words[length - 1] not in PLAIN:
                yield Phrase(words[:length], marker)
    elif marker == NAME:
        yield from _parts(fact.text, marker)
    elif fact.field == FieldName.COMPANY_TECHNOLOGIES.value:
        yield Phrase(tuple(map(stem, split_words(fact.text))), marker)
        yield from (Phrase(_words(item), marker) for item in fact.text.split(","))
    else:
        yield Phrase(_words(fact.text), marker)


def _parts(name: str, marker: str) -> Iterator[Phrase]:
    words = _words(name)
    if words:
        yield Phrase(words, marker)
        yield from (Phrase((word,), marker) for word in words if word not in FUNCTION_WORDS)


def _words(text: str) -> tuple[str, ...]:
    return tuple(stem(token) for token in split_words(text) if token not in BREAKS)
