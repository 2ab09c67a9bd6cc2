"""Tags: short words that people give leads. Pure."""

import unicodedata

from leadflood.engine.errors import Invalid

MOST_CHARS = 40


def canonical_tag(told: str) -> str:
    """Bring a tag into its one form: lower case, single spaces.

    Raises: Invalid when nothing is left of it, it is too long, or it has a control character or
    a comma (lists of tags are written with commas).
    """
    tag = " ".join(unicodedata.normalize("NFKC", told).casefold().split())
    tag = unicodedata.normalize("NFC", tag)
    problem = _problem_of(tag)
    if problem:
        raise Invalid.field(
            "tag", problem, detail=f"the tag {told[:60]!r} {problem}", code="leads.tag"
        )
    return tag


def _problem_of(tag: str) -> str:
    if not tag:
        return "is empty: write a word"
    if len(tag) > MOST_CHARS:
        return f"is too long: write at most {MOST_CHARS} characters"
    if "," in tag or any(unicodedata.category(sign).startswith("C") for sign in tag):
        return "has a comma or a sign nobody can see: write words"
    return ""
