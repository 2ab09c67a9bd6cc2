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
    """Whether a text is one line already, but for spaces around it."""
    return one_line(text) == text.strip(" ")


def hidden_signs(text: str) -> list[str]:
    """List the signs of a text of many lines that its reader would not see (`U+202E`)."""
    signs = {*_HIDDEN.findall(text), *_ODD_BREAK.findall(text)}
    return [f"U+{ord(sign):04X}" for sign in sorted(signs)]
