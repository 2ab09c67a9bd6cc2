"""Job titles: their words, seniority and department.

Source: levels are Apollo's `person_seniorities` (docs.apollo.io, people search); PDL's `cxo`,
`training` and `unpaid` are put to the nearest of them.
"""

import re
from functools import lru_cache

from rapidfuzz import fuzz

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
SIMILAR_ENOUGH = 0.86

_LEVEL_WORDS: dict[str, str] = {
    "cxo": "c_suite",
    "c level": "c_suite",
    "c suite": "c_suite",
    "executive": "c_suite",
    "vice president": "vp",
    "unpaid": "intern",
    "training": "intern",
    "junior": "entry",
}
_EXPANDED: dict[str, str] = {
    "vp": "vice president",
    "svp": "senior vice president",
    "evp": "executive vice president",
    "avp": "assistant vice president",
    "ceo": "chief executive officer",
    "coo": "chief operating officer",
    "cfo": "chief financial officer",
    "cto": "chief technology officer",
    "cio": "chief information officer",
    "cmo": "chief marketing officer",
    "cpo": "chief product officer",
    "cro": "chief revenue officer",
    "chro": "chief human resources officer",
    "ciso": "chief information security officer",
    "sr": "senior",
    "jr": "junior",
    "mgr": "manager",
    "dir": "director",
    "hr": "human resources",
    "ops": "operations",
    "cofounder": "founder",
    "eng": "engineering",
    "swe": "software engineer",
}
_SMALL_WORDS = frozenset(
    {"of", "the", "and", "for", "in", "at", "to", "a", "an", "de", "und", "für", "der", "co"}
)
_DIMINISHING = frozenset(
    {"assistant", "intern", "junior", "trainee", "deputy", "former", "ex", "retired", "student"}
)
_WORD = re.compile(r"[^\W_]+")
_LEVELS: tuple[tuple[str, re.Pattern[str]], ...] = (
    ("intern", re.compile(r"\b(intern|trainee|apprentice|student)\b")),
    ("entry", re.compile(r"\b(assistant|junior|clerk)\b(?!.*vice president)")),
    ("founder", re.compile(r"\bfounder\b")),
    ("owner", re.compile(r"(?<!product )(?<!process )\b(owner|proprietor)\b")),
    ("vp", re.compile(r"\bvice president\b")),
    ("c_suite", re.compile(r"\bchief\b|\bpresident\b|\bmanaging director\b|\bgeschäftsführer")),
    ("partner", re.compile(r"(?<!business )(?<!channel )\bpartner\b")),
    ("head", re.compile(r"\bhead\b|\bleiter")),
    ("director", re.compile(r"\bdirector\b")),
    ("manager", re.compile(r"\b(manager|lead|supervisor)\b")),
    ("senior", re.compile(r"\b(senior|principal|staff|engineer|partner|owner|architect)\b")),
)
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
def title_words(title: str) -> str:
    """Return a title in full words: `Sr. VP, Ops` is `senior vice president operations`."""
    words = _WORD.findall(title.lower())
    return " ".join(_EXPANDED.get(word, word) for word in words if word not in _SMALL_WORDS)


@lru_cache(maxsize=50_000)
def title_similarity(title: str, target: str) -> float:
    """Return how similar two titles are, 0 to 1.

    All words of the target, in any order, are a full match, unless the title diminishes them
    (`Assistant to the VP Sales`); else it is the similarity of the sorted words.
    """
    title_text, target_text = title_words(title), title_words(target)
    title_set, target_set = set(title_text.split()), set(target_text.split())
    if not title_set or not target_set or (title_set & _DIMINISHING) - target_set:
        return 0.0
    if target_set <= title_set:
        return 1.0
    return round(fuzz.token_sort_ratio(title_text, target_text) / 100, 4)


@lru_cache(maxsize=50_000)
def seniority_of(level: str, title: str) -> str | None:
    """Return the level, as the provider calls it, else by the title; None where neither says.

    A founder by title stays one whatever the provider's level.
    """
    phrase = " ".join(_WORD.findall(level.lower().replace("_", " ")))
    name = _LEVEL_WORDS.get(phrase, phrase.replace(" ", "_"))
    if name in RANKS:
        return name
    words = title_words(title)
    if not words:
        return None
    return next((name for name, pattern in _LEVELS if pattern.search(words)), "entry")


@lru_cache(maxsize=50_000)
def department_of(department: str, title: str) -> str | None:
    """Return the department, as the provider calls it, else by the title; None: neither says."""
    name = " ".join(_WORD.findall(department.lower()))
    if name:
        return name
    words = title_words(title)
    return next((name for name, pattern in _DEPARTMENTS if pattern.search(words)), None)
