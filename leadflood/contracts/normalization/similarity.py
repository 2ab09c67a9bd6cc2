"""Similarity: how likely two spellings name one person, or one company, by the names alone.

Measured on the pairs of OpenSanctions' entity bench (tests/contracts/data/entity_bench.json).
"""

import re
from collections.abc import Iterator
from functools import lru_cache

from anyascii import anyascii
from rapidfuzz.distance import OSA

from leadflood.contracts.normalization.companies import company_words, form_class, is_long_form
from leadflood.contracts.normalization.names import (
    PARTICLES,
    VOWELS,
    are_nicknames,
    is_title,
    person_keys,
)
from leadflood.contracts.normalization.text import clean_text, name_key
from leadflood.contracts.word_files import read_tables

SAME = 0.85
"""From here on two names are one, as far as names can say."""

_CONFLICT, _WEAK, _OTHER_FORM = 0.5, 0.75, 0.7
_SAME_SOUND, _TYPO, _NICKNAME, _INITIAL = 0.98, 0.93, 0.92, 0.9
# loads the alphabets when the program starts: read later they would hold up the event loop
anyascii("АЀ\u0370א؀\u0530\u10a0\u1e00")
_ALPHABETS = re.compile("[\u0370-\u06ff\u10a0-\u10ff\u1c80-\u1cbf\u1f00-\u1fff]")
_APOSTROPHE = re.compile(r"(?<=\w)'(?=\w)")
_DOUBLED = re.compile(r"(.)\1+")
_LEET = str.maketrans("01359", "oiesg")
_SOUNDS = re.compile("[yj]|w|oo|ou|kh|ph|ck|x$")
_SOUND_OF = {"y": "i", "j": "i", "w": "v", "oo": "u", "ou": "u", "kh": "h", "ph": "f", "ck": "k"}
_WORDS = read_tables("company_words.toml")
_SAME_WORDS: dict[str, str] = {
    word: meaning for meaning, words in _WORDS["same"].items() for word in words
}
_LOOSE = frozenset(_WORDS["loose"]["words"])
_MOST_JOINED = 3
_TYPO_FROM, _TYPOS_FROM = 5, 9
_LONG_WORD = 8


@lru_cache(maxsize=65_536)
def name_similarity(name: str, other: str) -> float:
    """Return how likely two names are one person's, 0 to 1; `SAME` and more: they are.

    Order, titles, particles, accents, scripts, initials, nicknames, a missing middle name and a
    typing error in a long word do not matter; a word on each side that the other lacks does.
    """
    return max(
        _likeness(_person_words(one), _person_words(two))
        for one in person_keys(_latin(name))
        for two in person_keys(_latin(other))
    )


@lru_cache(maxsize=65_536)
def company_similarity(name: str, other: str) -> float:
    """Return how likely two names are one company's, 0 to 1; `SAME` and more: they are.

    Legal forms, `the`, countries and spaces do not matter; another word, or another kind of legal
    form (`Orbit AG`, `Orbit GmbH`), does.
    """
    left, right = _company_words(name), _company_words(other)
    strict_left, strict_right = _strict(left), _strict(right)
    if not strict_left or not strict_right:
        return 1.0 if left == right and left else 0.0
    pairs, left_over, right_over = _match(strict_left, strict_right)
    if not pairs or left_over or right_over:
        return _CONFLICT if pairs else 0.0
    forms = form_class(name), form_class(other)
    if all(forms) and forms[0] != forms[1]:
        return _OTHER_FORM
    extra = len(set(left) ^ set(right))
    return max(min(pairs) - 0.02 * extra, SAME)


def _likeness(left: list[str], right: list[str]) -> float:
    pairs, left_over, right_over = _match(left, right)
    if not any(score > _INITIAL for score in pairs):
        return 0.0
    if left_over and right_over:
        return _CONFLICT
    if len(pairs) == 1 and (left_over or right_over):
        return _WEAK  # a name of one word is part of many
    return sum(pairs) / len(pairs) - 0.01 * min(len(left_over) + len(right_over), 5)


def _match(left: list[str], right: list[str]) -> tuple[list[float], list[str], list[str]]:
    """Pair the words of two names: the scores of pairs, and what is left over on each side."""
    left, right = _joined_like(left, right), _joined_like(right, left)
    left, right = list(dict.fromkeys(left)), list(dict.fromkeys(right))
    scored = sorted(
        (
            (-score, i, j)
            for i, word in enumerate(left)
            for j, other in enumerate(right)
            if (score := _word_likeness(word, other))
        ),
    )
    pairs: list[float] = []
    used: tuple[set[int], set[int]] = (set(), set())
    for negative, i, j in scored:
        if i not in used[0] and j not in used[1]:
            pairs.append(-negative)
            used[0].add(i)
            used[1].add(j)
    return (
        pairs,
        [word for i, word in enumerate(left) if i not in used[0]],
        [word for j, word in enumerate(right) if j not in used[1]],
    )


def _joined_like(words: list[str], other: list[str]) -> list[str]:
    """Join neighbors that are one word on the other side (`Good Will`, `Patr ushev`)."""
    longer = {word for word in other if len(word) > 1}
    result, index = [], 0
    while index < len(words):
        length = next(
            (
                count
                for count in range(min(_MOST_JOINED, len(words) - index), 1, -1)
                if "".join(words[index : index + count]) in longer
            ),
            1,
        )
        result.append("".join(words[index : index + length]))
        index += length
    return result


@lru_cache(maxsize=65_536)
def _word_likeness(word: str, other: str) -> float:
    if word == other:
        return 1.0
    if len(word) == 1 or len(other) == 1:
        return _INITIAL if word[0] == other[0] else 0.0
    if _sound_of(word) == _sound_of(other) or _without_doubles(word) == _without_doubles(other):
        return _SAME_SOUND
    if are_nicknames(word, other):
        return _NICKNAME
    shorter = min(len(word), len(other))
    budget = (shorter >= _TYPO_FROM) + (shorter >= _TYPOS_FROM)
    distance = OSA.distance(word, other, score_cutoff=budget) if budget else budget + 1
    return _TYPO if (distance <= budget and word[0] == other[0]) or distance == 1 == budget else 0.0


def _sound_of(word: str) -> str:
    """Return a word by what differs between spellings of one name (`Yusuf`, `Joussuf`)."""
    return _without_doubles(_SOUNDS.sub(lambda match: _SOUND_OF.get(match.group(), "ks"), word))


def _without_doubles(word: str) -> str:
    return _DOUBLED.sub(r"\1", word)


def _latin(name: str) -> str:
    text = clean_text(name).replace("\u2019", "'")
    return _APOSTROPHE.sub("", anyascii(text) if _ALPHABETS.search(text) else text)


def _person_words(key: str) -> list[str]:
    words = [word for word in key.split() if not is_title(word)]
    words = [word.translate(_LEET) if any(map(str.isalpha, word)) else word for word in words]
    spelled = [letter for word in words for letter in (word if _is_initials(word) else (word,))]
    return spelled[:1] + [word for word in spelled[1:] if len(word) == 1 or word not in PARTICLES]


def _is_initials(word: str) -> bool:
    return len(word) == 2 and VOWELS.isdisjoint(word)  # noqa: PLR2004 - `JC` of Jean-Claude


def _company_words(name: str) -> list[str]:
    text = company_words(_latin(re.sub("['\u2019]s ", " ", name)))
    words = list(_with_letters_joined(name_key(text).split()))
    return [_SAME_WORDS.get(word, word) for word in words]


def _strict(words: list[str]) -> list[str]:
    """Return the words that two names of one company must share."""
    strict = [word for word in words if word not in _LOOSE]
    return [word for word in strict if len(word) < _LONG_WORD or not is_long_form(word)] or words


def _with_letters_joined(words: list[str]) -> Iterator[str]:
    """Yield words, letters that stand alone as one (`A.B.C.`)."""
    letters = ""
    for word in (*words, ""):
        if len(word) == 1 and word.isalpha():
            letters += word
            continue
        if letters:
            yield letters
        letters = ""
        if word:
            yield word
