"""Marking: puts markers for the facts, the offer's passages and words, and the sender."""

from collections.abc import Sequence
from itertools import pairwise

from leadflood.domain.drafting.rules.lexicon import PLAIN, Lexicon
from leadflood.domain.drafting.rules.tokens import (
    BREAKS,
    IRREGULAR,
    PlainOfferWord,
    offer_word,
    passage,
    root_of,
    stem,
)
from leadflood.domain.drafting.rules.vocabulary import YOUR_OWN, word_set

_NUMBER_WORDS = word_set(
    """
    two three four five six seven eight nine ten eleven twelve half third twice double
    """
)
_CONDITIONS = word_set("if unless not no never without instead until only nobody hardly")
_PERIODS = word_set("hour day morning afternoon evening night week month quarter year")
_PASSIVE = word_set("be being is are and a an get gets")
_JOINING = word_set("a an the and or of for to in on at by with from per your you is are be as")
_MIN_RUN = 3
_ONE = "one"


def mark_words(tokens: Sequence[str], lexicon: Lexicon, cited: frozenset[int]) -> list[str]:
    """Return the words with markers; `cited` are the facts that may be used."""
    phrases = [*lexicon.sender, *lexicon.names]
    phrases += [phrase for number in cited for phrase in lexicon.facts.get(number, ())]
    phrases.sort(key=lambda phrase: -len(phrase.words))
    marked: list[str] = []
    index = 0
    while index < len(tokens):
        run, start = _run_at(tokens, index, lexicon)
        phrase = next((phrase for phrase in phrases if _is_at(tokens, index, phrase.words)), None)
        if any(_is_at(tokens, index + run, other.words) for other in phrases):
            while run and tokens[index + run - 1] in _JOINING:
                run -= 1
        if run >= _MIN_RUN:
            marked.append(passage(start))
            index += run
        elif phrase is not None:
            marked.append(phrase.marker)
            index += len(phrase.words)
        else:
            marked.append(_offered(tokens, index, lexicon))
            index += 1
    return marked


def _is_at(tokens: Sequence[str], index: int, words: Sequence[str]) -> bool:
    return bool(words) and tuple(map(stem, tokens[index : index + len(words)])) == tuple(words)


def _run_at(tokens: Sequence[str], index: int, lexicon: Lexicon) -> tuple[int, int]:
    """Return how many tokens from here on stand in the offer in the same order, and where.

    What depends on a condition there (`only if the grant is won`) is none without it.
    """
    longest, longest_start = 0, 0
    for start in lexicon.positions.get(stem(tokens[index]), ()):
        if _CONDITIONS.intersection(lexicon.offer[max(0, start - 2) : start]):
            continue
        length = _common_length(tokens[index:], lexicon.offer[start:])
        if length > longest:
            longest, longest_start = length, start
    return longest, longest_start


def _common_length(tokens: Sequence[str], offer: Sequence[str]) -> int:
    """Return how many tokens are the offer's; 0 for less than a run. Breaks do not count."""
    length = token_count = 0
    for position, token in enumerate(tokens):
        if token in BREAKS:
            continue
        if length >= len(offer) or offer[length] != stem(token):
            break
        length += 1
        token_count = position + 1
    return token_count if length >= _MIN_RUN else 0


def _stands_in(tokens: Sequence[str], index: int, lexicon: Lexicon) -> bool:
    """Whether a word, or another form of it, stands in the offer; a past form if nobody did it."""
    token = tokens[index]
    if stem(token) in lexicon.positions:
        return True
    is_past = token.endswith("ed") or token in IRREGULAR
    if is_past and (index == 0 or tokens[index - 1] not in _PASSIVE):
        return False
    return token.isalpha() and root_of(IRREGULAR.get(token, token)) in lexicon.roots


def _counts(tokens: Sequence[str], index: int, lexicon: Lexicon) -> bool:
    """Whether a word counts what follows: a span of time, or something of the offer."""
    if index + 1 >= len(tokens):
        return False
    thing = tokens[index + 1]
    is_offered = thing not in PLAIN and _stands_in(tokens, index + 1, lexicon)
    return is_offered or stem(thing) in _PERIODS


def _offered(tokens: Sequence[str], index: int, lexicon: Lexicon) -> str:
    """Return `OFFER` for a word of the offer; a number only beside a neighbor it has there."""
    word = tokens[index]
    if word in _NUMBER_WORDS or any(sign.isdigit() for sign in word):
        return offer_word(word) if _is_counted(tokens, index, lexicon) else word
    if word == _ONE and _counts(tokens, index, lexicon):
        return offer_word(word) if _is_counted(tokens, index, lexicon) else "1"
    if not _stands_in(tokens, index, lexicon):
        return word
    is_theirs = index > 0 and tokens[index - 1] == "your" and word not in YOUR_OWN
    return PlainOfferWord(word) if word in PLAIN and not is_theirs else offer_word(word)


def _is_counted(tokens: Sequence[str], index: int, lexicon: Lexicon) -> bool:
    """Whether a number stands beside a neighbor that it has in the offer."""
    offer, word = lexicon.offer, stem(tokens[index])
    pairs = set(pairwise(offer))
    after = stem(tokens[index + 1]) if index + 1 < len(tokens) else ""
    before = stem(tokens[index - 1]) if index else ""
    near = pairs | set(zip(offer, offer[2:], strict=False))
    return (before, word) in pairs or (word, after) in near
