"""Seniority: the levels of a job, and what people and providers call them."""

import re

RANKS: dict[str, int] = {
    "intern": 0,
    "entry": 1,
    "senior": 3,
    "manager": 4,
    "director": 6,
    "head": 6,
    "vp": 7,
    "partner": 8,
    "c_suite": 8,
    "founder": 9,
    "owner": 9,
}
"""The levels, and how high each stands."""
_WORDS: dict[str, str] = {
    "cxo": "c_suite",
    "c level": "c_suite",
    "clevel": "c_suite",
    "csuite": "c_suite",
    "executive": "c_suite",
    "vice president": "vp",
    "unpaid": "intern",
    "training": "intern",
    "junior": "entry",
}
_WORD = re.compile(r"[^\W_]+")


def read_level(text: str) -> str | None:
    """Return the level that a word names: `C-Level` is `c_suite`; None when it names none."""
    phrase = " ".join(_WORD.findall(text.lower().replace("_", " ")))
    level = _WORDS.get(phrase, phrase.replace(" ", "_"))
    return level if level in RANKS else None
