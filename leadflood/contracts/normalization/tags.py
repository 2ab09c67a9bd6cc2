"""Tags: their one form, and what is wrong with a text that is none."""

import unicodedata

from leadflood.engine.errors import Invalid

MOST_TAG_CHARS = 40


def normalize_tag(text: str) -> str:
    """Bring a tag into its one form: lower case, single spaces.

    Raises: Invalid when nothing is left of it, it is too long, or it has a control character or
    a comma (lists of tags are written with commas).
    """
    tag = " ".join(unicodedata.normalize("NFKC", text).casefold().split())
    tag = unicodedata.normalize("NFC", tag)
    if problem := _tag_problem(tag):
        raise Invalid.field(
            "tag", problem, detail=f"the tag {text[:60]!r} {problem}", code="leads.tag.invalid"
        )
    return tag


def _tag_problem(tag: str) -> str:
    if not tag:
        return "is empty: write a word"
    if len(tag) > MOST_TAG_CHARS:
        return f"is too long: write at most {MOST_TAG_CHARS} characters"
    if "," in tag or any(unicodedata.category(sign).startswith("C") for sign in tag):
        return "has a comma or a sign nobody can see: write words"
    return ""
