"""Numbers: how many people work at a company."""

import re

from leadflood.contracts.found_values import Scalar
from leadflood.contracts.normalization.text import clean_text

_SIZE_RANGE = re.compile(r"^(\d+)\s*(?:-|to|\u2013|\u2014)\s*(\d+)$")
_THOUSANDS = re.compile(r"(?<=\d)[,. '\u00a0\u202f](?=\d{3}(?!\d))")
_SHORT_NUMBER = re.compile(r"^(\d+(?:\.\d+)?)\s*([kKmM])\s*\+?$")


def people_count(value: Scalar) -> int | None:
    """Return a company's size as a number: `51-200` is its middle, `10,001+` its bound."""
    if isinstance(value, bool | tuple):
        return None
    if isinstance(value, int | float):
        return int(value) if 1 <= value < 10**8 else None
    text = _THOUSANDS.sub("", clean_text(value)[:60].casefold())
    text = text.replace("employees", "").replace("people", "").strip()
    if match := _SIZE_RANGE.match(text):
        return _in_bounds((int(match[1]) + int(match[2])) // 2)
    if match := _SHORT_NUMBER.match(text):
        return _in_bounds(float(match[1]) * (1_000 if match[2] in "kK" else 1_000_000))
    digits = text.strip("+<>~ ").removesuffix(".0")
    return _in_bounds(int(digits)) if digits.isascii() and digits.isdigit() else None


def _in_bounds(number: float) -> int | None:
    return int(number) if 1 <= number < 10**8 else None
