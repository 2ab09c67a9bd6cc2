"""Tokens: the words of a text, told apart by what they stand for.

A fact that may be used becomes a marker (`F_title`, `COMPANY`, `NAME`), as does a passage of the
offer (`RUN`), a word of the offer (`OFFER`) and the sender (`ME`): what remains are plain words.
"""

import re
from collections.abc import Sequence
from functools import cache

from leadflood.domain.drafting.rules.vocabulary import word_set

NAME, COMPANY, ME, RUN, OFFER, FACT = "NAME", "COMPANY", "ME", "RUN", "OFFER", "F_"
_TOKEN = re.compile(
    r"[$€£¥]?\s?\d[\d.,]*(?<![.,])[%+]?(?![^\W_])"  # a number
    r"|[^\W_]+(?:['\u2019][^\W_]+)*[+#]*"  # a word
    r"|[,;:()\u2013\u2014\n]|(?<=\s)[-/|](?=\s)"  # what parts clauses
)
_THOUSANDS = re.compile(r"(?<=\d),(?=\d{3}(?!\d))")
BREAKS = frozenset(",;:()\u2013\u2014-/|\n")
_PRONOUNS = word_set("we they it")
BEFORE_SUBJECT = word_set("and or as that")
IRREGULAR = dict(
    pair.split("/")
    for pair in [
        "sent/send",
        "found/find",
        "kept/keep",
        "paid/pay",
        "made/make",
        "brought/bring",
        "written/write",
        "built/build",
        "held/hold",
        "taken/take",
        "given/give",
        "shown/show",
        "sold/sell",
        "bought/buy",
        "done/do",
        "put/put",
        "driven/drive",
        "drawn/draw",
        "chosen/choose",
        "lent/lend",
        "spoken/speak",
        "taught/teach",
    ]
)
_ENDING = re.compile(
    r"(\w{3,}?)(?:ations?|ating|ated?|ates|itions?|ions?|ments?|ings?|ed|es|e|s|y)"
)
_SHORTEST_PLURAL = 4


class OfferWord(str):
    """A word of the offer: it reads `OFFER`, and `word` is what it was."""

    __slots__ = ("word",)
    word: str


class PlainOfferWord(str):
    """A plain word that stands in the offer too: it reads as it is."""

    __slots__ = ()


class Passage(str):
    """A passage of the offer: it reads `RUN`; `position` is where in the offer it begins."""

    __slots__ = ("position",)
    position: int


def offer_word(word: str) -> OfferWord:
    """Return a word of the offer as a token."""
    token = OfferWord(OFFER)
    token.word = word
    return token


def passage(position: int) -> Passage:
    """Return a passage of the offer as a token."""
    token = Passage(RUN)
    token.position = position
    return token


def own_word(token: str) -> str:
    """Return a word of the offer as it stands in the text; other tokens as they are."""
    return token.word if isinstance(token, OfferWord) else token


def is_content(token: str) -> bool:
    """Whether a word stands for something of the offer."""
    return token in {RUN, OFFER}


def is_fact(token: str) -> bool:
    """Whether a marker is a fact about the lead, a company's name included."""
    return token == COMPANY or token.startswith(FACT)


def is_in_order(tokens: Sequence[str]) -> bool:
    """Whether the passages of the offer that nothing joins stand in the order they have there."""
    last = -1
    for token in tokens:
        if token in BEFORE_SUBJECT or token in _PRONOUNS:
            last = -1
        elif isinstance(token, Passage):
            if token.position < last:
                return False
            last = token.position
    return True


def split_words(text: str) -> list[str]:
    """Return the words and the signs that part clauses."""
    plain = text.casefold().replace("\u2019", "'")
    tokens = (re.sub(r"[ \t]", "", token) for token in _TOKEN.findall(plain))
    return [_THOUSANDS.sub("", token) for token in tokens]


def stem(word: str) -> str:
    """Return a word without the ending of a possessive or a plural."""
    plain = word.removesuffix("'s")
    if plain.endswith("ies") and len(plain) > _SHORTEST_PLURAL:
        return f"{plain[:-3]}y"
    if len(plain) >= _SHORTEST_PLURAL and plain.endswith("s") and not plain.endswith("ss"):
        return plain[:-1]
    return plain


@cache
def root_of(word: str) -> str:
    """Return what the forms of a word have in common: `install` of `installation`."""
    match = _ENDING.fullmatch(stem(word))
    root = match[1] if match else stem(word)
    is_doubled = len(root) > _SHORTEST_PLURAL and root[-1] == root[-2]
    return root[:-1] if is_doubled else root
