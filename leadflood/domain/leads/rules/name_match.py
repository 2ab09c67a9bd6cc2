"""Name matching: whether two folded names can be of one person, or of one organisation. Pure."""

import re
from functools import lru_cache

from rapidfuzz.distance import JaroWinkler
from rapidfuzz.fuzz import token_sort_ratio

from leadflood.contracts.normalization.names import are_nicknames

_ALIKE = 0.88
_SAME_ORGANISATION = 88.0
_SHORT_FORM = 3
"""As many letters as a short form of a name has at least: `Alex`, `Kat`."""
_WHOLE_NAME = re.compile("^[\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af]{2,}$")
"""A Chinese, Japanese or Korean name is whole without a space."""


def is_whole(name: str) -> bool:
    """Whether a folded name is a person's whole name, not a part of it."""
    return " " in name or _WHOLE_NAME.match(name) is not None


def best_names(names: frozenset[str]) -> frozenset[str]:
    """Return the whole names of a person, or where none is known all that are.

    A part that was known first, and may be misspelled, says nothing beside a whole name: who is
    who must not depend on which was learned first.
    """
    return frozenset(filter(is_whole, names)) or names


@lru_cache(maxsize=65536)
def people_differ(left: str, right: str) -> bool:
    """Whether two folded names are certainly two people's: their given names have nothing alike.

    A last name may change. Names in two scripts cannot be compared.
    """
    if not left or not right or left == right or left.isascii() != right.isascii():
        return False
    words, others = left.split(), right.split()
    if len(words) == 1 or len(others) == 1:
        return not any(are_alike(a, b) for a in words for b in others)
    if any(are_alike(a, b) for a in words[:-1] for b in others[:-1]):
        return False
    is_swapped = are_alike(words[-1], others[0]) and are_alike(words[0], others[-1])
    return not is_swapped


@lru_cache(maxsize=65536)
def organisations_differ(left: str, right: str) -> bool:
    """Whether two folded names are certainly two organisations'."""
    words, others = set(left.split()), set(right.split())
    if not words or not others or words <= others or others <= words:
        return False
    return token_sort_ratio(left, right) < _SAME_ORGANISATION


def are_alike(left: str, right: str) -> bool:
    """Whether two words of names can be the same: an initial, a short form, a slip of the pen."""
    if left == right or are_nicknames(left, right):
        return True
    short, long = sorted((left, right), key=len)
    if (len(short) == 1 or len(short) >= _SHORT_FORM) and long.startswith(short):
        return True
    return JaroWinkler.similarity(left, right) >= _ALIKE
