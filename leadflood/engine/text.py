"""Text that can be kept and shown: storable, and without signs that a reader does not see.

UTF-8 writes no lone surrogate, and Postgres holds no NUL. What is hidden can end a header, turn
the order of letters around, or make two names look alike.
Source: Unicode's categories Cc and Cf, its blank letters, and RFC 2047's encoded words.
"""

import re

_BREAKS = "\t-\r\x1c-\x1f\x85\u2028\u2029"
_HIDDEN_SIGNS = (
    "\x00-\x08\x0e-\x1b\x7f-\x84\x86-\x9f\u00ad\u061c\u115f\u1160\u180e\u200b\u200e\u200f"
    "\u202a-\u202e\u2060-\u206f\u3164\ufeff\uffa0\ufff9-\uffff\ud800-\udfff"
    "\U000e0000-\U000e0fff"
)
# Joiners shape letters and emoji; beside ASCII they only hide.
_LOOSE_JOINER = "(?<![^\x00-\x7f])[\u200c\u200d]|[\u200c\u200d](?![^\x00-\x7f])"
_HIDDEN = re.compile(f"[{_HIDDEN_SIGNS}]|{_LOOSE_JOINER}")
_BREAK = re.compile(f"[{_BREAKS}]+")
_ODD_BREAK = re.compile("[\v\f\x1c-\x1f\x85\u2028\u2029]")
_RIGHT_TO_LEFT = re.compile("[\u0590-\u08ff\ufb1d-\ufdff\ufe70-\ufefc]")
_MARKS = re.compile("[\u061c\u200e\u200f]")
# A soft hyphen within a word shows where it may be broken; tags behind a black flag name a region.
_IN_PLACE = re.compile(
    "(?<=[^\\W\\d_])\u00ad(?=[^\\W\\d_])|(?<=\U0001f3f4)[\U000e0020-\U000e007e]{1,8}\U000e007f"
)
# Readers of mail write another text in the place of one.
_ENCODED_WORD = re.compile(r"=\?(?=[^?\s]*\?[bBqQ]\?)")


def make_encodable(text: str) -> str:
    """Return a text that UTF-8 can write: `?` stands for each lone surrogate."""
    return text if text.isascii() else text.encode("utf-8", "replace").decode()


def make_storable(text: str) -> str:
    """Return a text that Postgres can hold: encodable, and without NUL."""
    return make_encodable(text).replace("\x00", "")


def is_storable(text: str) -> bool:
    """Whether Postgres can hold a text as it is."""
    return make_storable(text) == text


def one_line(text: str) -> str:
    """Return a text as one line that shows all it holds, fit for a header."""
    plain = _HIDDEN.sub("", _BREAK.sub(" ", text))
    return _ENCODED_WORD.sub("= ?", plain).strip()


def is_one_line(text: str) -> bool:
    """Whether a text is one line already, but for spaces around it and signs that do no harm."""
    shown = _without_harmless(text)
    return one_line(shown) == shown.strip(" ")


def header_line(text: str) -> str:
    """Return a text as one line fit for a header, with the signs that its language needs."""
    return text.strip() if is_one_line(text) else one_line(text)


def has_line_break(text: str) -> bool:
    """Whether a text has more than one line, or a tab."""
    return _BREAK.search(text) is not None


def hidden_signs(text: str) -> list[str]:
    """List the signs of a text of many lines that its reader would not see (`U+202E`)."""
    signs = {*_HIDDEN.findall(_without_harmless(text)), *_ODD_BREAK.findall(text)}
    return [f"U+{ord(sign):04X}" for sign in sorted(signs)]


def _without_harmless(text: str) -> str:
    """Return a text without the hidden signs that it may have where they stand.

    Marks of direction belong to a text with letters that run from right to left.
    """
    if text.isascii():
        return text
    shown = _IN_PLACE.sub("", text)
    return _MARKS.sub("", shown) if _RIGHT_TO_LEFT.search(shown) else shown
