"""Job titles: their words, seniority and department.

Source: levels are Apollo's `person_seniorities` (docs.apollo.io, people search); PDL's `cxo`,
`training` and `unpaid` are put to the nearest of them.
"""

import re
from functools import lru_cache

from rapidfuzz import fuzz

from leadflood.contracts.normalization.seniority import RANKS, read_level
from leadflood.domain.features.rules.title_words import (
    DIMINISHING,
    LEVELS,
    Role,
    is_assisting,
    is_lowered,
    roles_of,
)

SIMILAR_ENOUGH = 0.86

_BELOW = {
    "c_suite": "vp",
    "partner": "director",
    "vp": "director",
    "head": "manager",
    "director": "manager",
    "manager": "senior",
}
"""The level of a deputy, an assistant or associate director and the like."""
_WORD = re.compile(r"[^\W_]+")
_DIMINISHING = frozenset(phrase.replace(" ", "_") for phrase in DIMINISHING)
_DEPARTMENTS: tuple[tuple[str, re.Pattern[str]], ...] = (
    ("it", re.compile(r"\b(it|technology|information|software|engineer\w*|developer|data)\b")),
    ("finance", re.compile(r"\b(financ\w+|accounting|controller|treasur\w+)\b")),
    ("sales", re.compile(r"\b(sales|revenue|account|business development)\b")),
    ("marketing", re.compile(r"\b(marketing|brand|growth|communications?)\b")),
    ("hr", re.compile(r"\b(human resources|people|talent|recruit\w+)\b")),
    ("product", re.compile(r"\bproduct\b")),
    ("legal", re.compile(r"\b(legal|counsel|compliance)\b")),
    (
        "operations",
        re.compile(r"\b(operat\w+|procurement|supply|logistics|warehouse|buyer|purchasing)\b"),
    ),
    ("executive", re.compile(r"\b(chief|founder|owner|president|managing)\b")),
)


@lru_cache(maxsize=50_000)
def title_similarity(title: str, target: str) -> float:
    """Return how similar two titles are, 0 to 1; of several roles in a title the best counts.

    All words of the target, in any order, are a full match, unless the title diminishes them
    (`Assistant to the VP Sales`); else it is the similarity of the sorted words.
    """
    roles, wanted = roles_of(title), roles_of(target)
    if not roles or not wanted:
        return 0.0
    return min(max(_likeness(role.words, other.words) for role in roles) for other in wanted)


def _likeness(words: frozenset[str], target: frozenset[str]) -> float:
    if not target or not words or (words & _DIMINISHING) - target:
        return 0.0
    if target <= words:
        return 1.0
    return round(fuzz.token_sort_ratio(" ".join(words), " ".join(target)) / 100, 4)


@lru_cache(maxsize=50_000)
def seniority_of(level: str, title: str) -> str | None:
    """Return the level, as the provider calls it, else by the title; None where neither says.

    The head of a title decides, and the highest of several roles; a deputy stands one below.
    """
    if (name := read_level(level)) is not None:
        return name
    levels = [_level_of(role) for role in roles_of(title)]
    return max(filter(None, levels), key=_standing, default=None)


def _standing(level: str) -> tuple[int, bool]:
    """Return the order of levels: of two of one rank it is that which leads the company."""
    return RANKS[level], level == "c_suite"


def _level_of(role: Role) -> str | None:
    """Return the level that the head of a role says; None: it says none."""
    levels = {LEVELS[phrase] for phrase in role.head if phrase in LEVELS}
    if "intern" in levels:
        return "intern"
    if is_assisting(role) or "junior" in role.head or "clerk" in role.head:
        return "entry"
    level = max(levels - {"entry"}, key=_standing, default=None)
    return level if level is None or not is_lowered(role) else _BELOW.get(level, level)


@lru_cache(maxsize=50_000)
def department_of(department: str, title: str) -> str | None:
    """Return the department, as the provider calls it, else by the title; None: neither says."""
    name = " ".join(_WORD.findall(department.lower()))
    if name:
        return name
    words = " ".join(word for role in roles_of(title) for word in sorted(role.words)).replace(
        "_", " "
    )
    return next((name for name, pattern in _DEPARTMENTS if pattern.search(words)), None)
