"""Clauses: a draft's text as words that are told apart by what they stand for.

A fact that may be used becomes a marker (`F_title`, `COMPANY`, `NAME`), as does a passage of the
offer (`RUN`), a word of the offer (`OFFER`) and the sender (`ME`): what remains are plain words.
"""

import re
from collections.abc import Iterator, Sequence
from itertools import pairwise

import msgspec

from leadflood.contracts.ports.text import DraftRequest, NumberedFact
from leadflood.contracts.values import FieldName
from leadflood.domain.drafting.rules.vocabulary import (
    CONNECTIVE_WORDS,
    FUNCTION_WORDS,
    YOUR_OWN,
    word_set,
)

NAME, COMPANY, ME, RUN, OFFER, FACT = "NAME", "COMPANY", "ME", "RUN", "OFFER", "F_"
_TOKEN = re.compile(
    r"[$€£¥]?\s?\d[\d.,]*(?<![.,])[%+]?(?![^\W_])"  # a number
    r"|[^\W_]+(?:['\u2019][^\W_]+)*[+#]*"  # a word
    r"|[,;:()\u2013\u2014\n]|(?<=\s)-(?=\s)"  # what parts clauses
)
_BREAKS = frozenset(",;:()\u2013\u2014-\n")
_PARTING = word_set("but because while although though so which who where since")
_BEFORE_SUBJECT = word_set("and or as that")
_SUBJECTS = word_set(
    """
    i we you your it this they he she there i'm i'd i'll i've we'd we'll we're we've you're
    you'd you'll you've they're it's COMPANY
    """
)
_COMPLEMENT_OF = word_set(
    """
    far see saw notice noticed learned read understand think thought hope believe know hear found
    gather
    """
)
_PLAIN = FUNCTION_WORDS | CONNECTIVE_WORDS | YOUR_OWN
_NUMBER_WORDS = word_set(
    """
    two three four five six seven eight nine ten eleven twelve half third twice double
    """
)
_MAY = word_set("may might could would can should")
_CONDITIONS = word_set("if unless not no never without instead until only nobody hardly")
_PASSIVE = word_set("be being is are and")
_MIN_RUN = 3
_SHORTEST_PLURAL = 4
_NAMES = {
    FieldName.FIRST_NAME.value: NAME,
    FieldName.LAST_NAME.value: NAME,
    FieldName.FULL_NAME.value: NAME,
    FieldName.COMPANY_NAME.value: COMPANY,
}


class OfferWord(str):
    """A word of the offer: it reads `OFFER`, and `word` is what it was."""

    __slots__ = ("word",)
    word: str


class Passage(str):
    """A passage of the offer: it reads `RUN`; `place` is where in the offer it begins."""

    __slots__ = ("place",)
    place: int


def offer_word(word: str) -> OfferWord:
    """Return a word of the offer as a token."""
    token = OfferWord(OFFER)
    token.word = word
    return token


def passage(place: int) -> Passage:
    """Return a passage of the offer as a token."""
    token = Passage(RUN)
    token.place = place
    return token


def is_in_order(tokens: Sequence[str]) -> bool:
    """Whether the passages of the offer that nothing joins stand in the order they have there."""
    last = -1
    for token in tokens:
        if token in _BEFORE_SUBJECT:
            last = -1
        elif isinstance(token, Passage):
            if token.place < last:
                return False
            last = token.place
    return True


class Phrase(msgspec.Struct, frozen=True):
    """A row of words (stems) and the marker that stands for it."""

    words: tuple[str, ...]
    marker: str


class Lexicon(msgspec.Struct, frozen=True):
    """What one draft may be made of.

    `facts` are the phrases of each fact by its number; `names` those of the lead's names.
    `offer` are the offer's words in their order, `places` where each of them stands there.
    `sender` are the phrases of who signs.
    """

    facts: dict[int, tuple[Phrase, ...]]
    names: tuple[Phrase, ...]
    sender: tuple[Phrase, ...]
    offer: tuple[str, ...]
    places: dict[str, tuple[int, ...]]

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
        places=_places(offer),
    )


def split_clauses(text: str, lexicon: Lexicon, cited: frozenset[int]) -> list[list[str]]:
    """Return the clauses of a sentence, each a row of words and markers."""
    tokens = _mark(_tokens(text), lexicon, cited)
    clauses: list[list[str]] = [[]]
    for index, token in enumerate(tokens):
        following = tokens[index + 1] if index + 1 < len(tokens) else ""
        if token in _BREAKS or _is_parting(token, following, clauses[-1]):
            clauses.append([])
        if token not in _BREAKS:
            clauses[-1].append(token)
    return [clause for clause in clauses if clause]


def own_word(token: str) -> str:
    """Return a word of the offer as it stands in the text; other tokens as they are."""
    return token.word if isinstance(token, OfferWord) else token


def is_content(token: str) -> bool:
    """Whether a word stands for something of the offer."""
    return token in {RUN, OFFER}


def is_fact(token: str) -> bool:
    """Whether a marker is a fact about the lead, a company's name included."""
    return token == COMPANY or token.startswith(FACT)


def stem(word: str) -> str:
    """Return a word without the ending of a possessive or a plural."""
    plain = word.removesuffix("'s")
    if plain.endswith("ies") and len(plain) > _SHORTEST_PLURAL:
        return f"{plain[:-3]}y"
    if len(plain) >= _SHORTEST_PLURAL and plain.endswith("s") and not plain.endswith("ss"):
        return plain[:-1]
    return plain


def _places(words: Sequence[str]) -> dict[str, tuple[int, ...]]:
    places: dict[str, tuple[int, ...]] = {}
    for place, word in enumerate(words):
        places[word] = (*places.get(word, ()), place)
    return places


def _is_role(clause: Sequence[str]) -> bool:
    return clause[:1] == ["as"] and any(map(is_fact, clause))


def _is_parting(word: str, following: str, clause: Sequence[str]) -> bool:
    """Whether a word begins another clause."""
    if not clause:
        return False
    if word in _PARTING:
        return not following.startswith(FACT)
    if word in _BEFORE_SUBJECT:
        return following in _SUBJECTS and clause[-1] not in _COMPLEMENT_OF
    return word == "you" and following in _MAY and _is_role(clause)


def _tokens(text: str) -> list[str]:
    plain = text.casefold().replace("\u2019", "'")
    return [re.sub(r"[ \t]", "", token) for token in _TOKEN.findall(plain)]


def _phrases_of(fact: NumberedFact) -> Iterator[Phrase]:
    marker = _NAMES.get(fact.field, FACT + fact.field)
    if fact.field == FieldName.COMPANY_NAME.value:
        words = _words(fact.text)
        for length in range(len(words), 0, -1):
            if words[length - 1] not in _PLAIN:
                yield Phrase(words[:length], marker)
    elif marker == NAME:
        yield from _parts(fact.text, marker)
    elif fact.field == FieldName.COMPANY_TECHNOLOGIES.value:
        yield Phrase(tuple(map(stem, _tokens(fact.text))), marker)
        yield from (Phrase(_words(item), marker) for item in fact.text.split(","))
    else:
        yield Phrase(_words(fact.text), marker)


def _parts(name: str, marker: str) -> Iterator[Phrase]:
    words = _words(name)
    if words:
        yield Phrase(words, marker)
        yield from (Phrase((word,), marker) for word in words if word not in FUNCTION_WORDS)


def _words(text: str) -> tuple[str, ...]:
    return tuple(stem(token) for token in _tokens(text) if token not in _BREAKS)


def _mark(tokens: Sequence[str], lexicon: Lexicon, cited: frozenset[int]) -> list[str]:
    phrases = [*lexicon.sender, *lexicon.names]
    phrases += [phrase for number in cited for phrase in lexicon.facts.get(number, ())]
    phrases.sort(key=lambda phrase: -len(phrase.words))
    marked: list[str] = []
    index = 0
    while index < len(tokens):
        run, place = _run_at(tokens, index, lexicon)
        phrase = next((each for each in phrases if _is_at(tokens, index, each.words)), None)
        if run >= _MIN_RUN:
            marked.append(passage(place))
            index += run
        elif phrase is not None:
            marked.append(phrase.marker)
            index += len(phrase.words)
        else:
            marked.append(_offered(tokens, index, lexicon.offer))
            index += 1
    return marked


def _is_at(tokens: Sequence[str], index: int, words: Sequence[str]) -> bool:
    return bool(words) and tuple(map(stem, tokens[index : index + len(words)])) == tuple(words)


def _run_at(tokens: Sequence[str], index: int, lexicon: Lexicon) -> tuple[int, int]:
    """Return how many tokens from here on stand in the offer in the same order, and where.

    What depends on a condition there (`only if the grant is won`) is none without it.
    """
    longest, place = 0, 0
    for start in lexicon.places.get(stem(tokens[index]), ()):
        if _CONDITIONS.intersection(lexicon.offer[max(0, start - 2) : start]):
            continue
        length = _common_length(tokens[index:], lexicon.offer[start:])
        if length > longest:
            longest, place = length, start
    return longest, place


def _common_length(tokens: Sequence[str], offer: Sequence[str]) -> int:
    """Return how many tokens are the offer's; 0 for less than a run. Breaks do not count."""
    length = seen = 0
    for position, token in enumerate(tokens):
        if token in _BREAKS:
            continue
        if length >= len(offer) or offer[length] != stem(token):
            break
        length += 1
        seen = position + 1
    return seen if length >= _MIN_RUN else 0


def _stands_in(token: str, offer: Sequence[str], *, is_passive: bool) -> bool:
    """Whether a word, or the verb that it is a form of, stands in the offer."""
    forms = {stem(token)}
    for ending in ("ing", "ed") if is_passive else ("ing",):
        root = token.removesuffix(ending)
        if root != token:
            forms |= {root, f"{root}e", root[:-1]}
    return not forms.isdisjoint(offer)


def _offered(tokens: Sequence[str], index: int, offer: Sequence[str]) -> str:
    """Return `OFFER` for a word of the offer; a number only beside a neighbor it has there."""
    token = tokens[index]
    is_passive = index > 0 and tokens[index - 1] in _PASSIVE
    if token in _PLAIN or not _stands_in(token, offer, is_passive=is_passive):
        return token
    if token not in _NUMBER_WORDS and not any(sign.isdigit() for sign in token):
        return offer_word(token)
    pairs = set(pairwise(offer))
    before = stem(tokens[index - 1]) if index else ""
    after = stem(tokens[index + 1]) if index + 1 < len(tokens) else ""
    is_beside = (before, token) in pairs or (token, after) in pairs
    return offer_word(token) if is_beside else token
