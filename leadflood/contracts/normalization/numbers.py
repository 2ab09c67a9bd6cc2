"""Numbers: how many people work at a company, what it earns, and since when it is there."""

import re
import unicodedata
from functools import lru_cache

import msgspec
import pycountry

from leadflood.contracts.found_values import Scalar
from leadflood.contracts.normalization.text import clean_text
from leadflood.contracts.word_files import read_tables

_MOST_CHARS = 60
_MOST_PEOPLE = 10**8
_MOST_MONEY = 10**15
_YEARS = range(1000, 2101)
_GROUP = 3
"""Digits of a group of thousands."""
_TABLES = read_tables("numbers.toml")
_UNITS: dict[str, int] = _TABLES["units"]
_SIGNS: dict[str, str] = _TABLES["currencies"]
_DOLLARS = frozenset({"USD", "CAD", "AUD", "NZD", "SGD", "HKD", "MXN"})
_CODES = frozenset(currency.alpha_3.casefold() for currency in pycountry.currencies)


def _any_of(words: list[str]) -> str:
    """Return a pattern of any of these words, the longest first; words end where letters end."""
    longest_first = sorted(words, key=len, reverse=True)
    return "|".join(
        rf"{re.escape(word)}(?!\w)" if word.isascii() and word.isalpha() else re.escape(word)
        for word in longest_first
    )


_NUMBER = r"\d(?:[\d.,'\u2019 ]*\d)?"
_UNIT = _any_of([*_UNITS])
_PREFIX = re.compile(
    rf"(?:{_any_of(_TABLES['above'] + _TABLES['below'] + _TABLES['about'])})\.?\s*"
)
_SUFFIX = re.compile(rf"\s*(?:{_any_of(_TABLES['more'])})$")
_QUANTITY = re.compile(
    rf"(?P<least>{_NUMBER})\s*(?P<unit>{_UNIT})?\.?"
    rf"(?:\s*(?:{_any_of(_TABLES['to'])})\s*(?P<most>{_NUMBER})\s*(?P<last_unit>{_UNIT})?\.?)?"
)
_LOOSE_GROUPS = re.compile(r"[ '\u2019](?!\d{3}(?!\d))|^\d{4,}[ '\u2019]")
"""Blanks and apostrophes that do not part thousands."""
_MOST_PREFIXES = 2
_PEOPLE = re.compile(rf"\s*(?:{_any_of(_TABLES['people'])})\.?$")
_MONTH = rf"(?:{_any_of(_TABLES['months']['names'])})"
_PARTED = r"[-/. ]{1,2}"
_DATE = re.compile(
    rf"{_MONTH}\.?{_PARTED}\d{{1,4}}|\d{{1,2}}{_PARTED}{_MONTH}\.?(?:{_PARTED}\d{{2,4}})?"
    r"|\d{4}-\d\d-\d\d(?:[t ].*)?|\d{1,2}[./]\d{1,2}[./]\d{2,4}"
)
_YEAR = re.compile(r"(?<!\d)(?:1\d{3}|20\d\d|2100)(?!\d)")
_SYMBOL = _any_of([sign for sign in _SIGNS if not (sign.isascii() and sign.isalpha())])
_WORD = _any_of([sign for sign in _SIGNS if sign.isalpha()])
_CURRENCY = re.compile(rf"{_SYMBOL}|(?<![^\W\d_])(?:{_WORD}|[a-z]{{3}}(?![^\W\d_]))")


class Quantity(msgspec.Struct, frozen=True):
    """A number or a range of two, as a text states it."""

    least: float
    most: float

    @property
    def middle(self) -> float:
        """The middle of the range."""
        return (self.least + self.most) / 2


class Money(msgspec.Struct, frozen=True):
    """A sum; `currency` is its ISO code, None where none is stated."""

    amount: int | float
    currency: str | None


def people_count(value: Scalar) -> int | None:
    """Return a company's size as a number: `51-200` is its middle, `10,001+` its bound."""
    if isinstance(value, bool | tuple):
        return None
    if isinstance(value, int | float):
        return int(value) if 1 <= value < _MOST_PEOPLE else None
    return _read_people(_plain(value))


def is_date(text: str) -> bool:
    """Whether a text is a date that a spreadsheet made of a range: `Oct-50` was `10-50`."""
    return _DATE.fullmatch(_plain(text)) is not None


def read_year(value: Scalar) -> int | None:
    """Return the one year that a text names: `2001.0`, `01.01.2001`, `since 1998`."""
    if isinstance(value, bool | tuple):
        return None
    if isinstance(value, int | float):
        return int(value) if value in _YEARS else None
    years = set(_YEAR.findall(_plain(value)))
    return int(years.pop()) if len(years) == 1 else None


def read_money(text: str, own: str | None = None) -> Money | None:
    """Read a sum: `$12M`, `5 Mio €`, `1.000.000,00`, `1M-5M`, which is its middle.

    `own` is the installation's currency: a bare `$` means it where it is a dollar.
    """
    plain = _plain(text)
    currencies = {code for match in _CURRENCY.finditer(plain) if (code := _currency(match[0], own))}
    if len(currencies) > 1:
        return None
    rest = _CURRENCY.sub(lambda match: " " if _currency(match[0], own) else match[0], plain)
    quantity = read_quantity(" ".join(rest.split()))
    if quantity is None or abs(quantity.middle) >= _MOST_MONEY:
        return None
    amount = quantity.middle
    whole = int(amount) if amount == int(amount) else round(amount, 2)
    return Money(whole, next(iter(currencies), None))


@lru_cache(maxsize=8192)
def read_quantity(text: str) -> Quantity | None:
    """Read a number or a range in lower case; None where that is not all, or more is possible."""
    match = _QUANTITY.fullmatch(_SUFFIX.sub("", _without_prefixes(text)))
    if match is None:
        return None
    last_unit = match["last_unit"]
    unit = match["unit"] or last_unit
    least = _number(match["least"], unit)
    most = _number(match["most"], last_unit or unit) if match["most"] else least
    return None if least is None or most is None or most < least else Quantity(least, most)


def _without_prefixes(text: str) -> str:
    for _ in range(_MOST_PREFIXES):
        text = _PREFIX.sub("", text, count=1) if _PREFIX.match(text) else text
    return text


def _read_people(plain: str) -> int | None:
    if _DATE.fullmatch(plain):
        return None
    quantity = read_quantity(_PEOPLE.sub("", plain))
    people = 0 if quantity is None else int(quantity.middle)
    return people if 1 <= people < _MOST_PEOPLE else None


def _plain(text: str) -> str:
    """Return a text in lower case, on one line, with signs and digits in their usual form."""
    usual = unicodedata.normalize("NFKC", clean_text(text)[:_MOST_CHARS]).casefold()
    return " ".join("".join(map(_digit, usual)).split())


def _digit(sign: str) -> str:
    """Return the ASCII digit that a digit of any script is."""
    value = unicodedata.decimal(sign, None)
    return sign if value is None else str(value)


def _currency(word: str, own: str | None) -> str | None:
    if word == "$" and own in _DOLLARS:
        return own
    return _SIGNS.get(word) or (word.upper() if word in _CODES else None)


def _number(text: str, unit: str | None) -> float | None:
    """Return a number by the signs between its digits; None where it can be two."""
    if _LOOSE_GROUPS.search(text):
        return None
    plain = _with_point(re.sub("[ '\u2019]", "", text), is_scaled=unit is not None)
    return None if plain is None else float(plain) * _UNITS.get(unit or "", 1)


def _with_point(text: str, *, is_scaled: bool) -> str | None:
    """Return a number with a decimal point and nothing else; None where it can be two.

    Of a point and a comma the last is the decimal one; one alone before three digits parts
    thousands, unless a unit follows (`1.234M`).
    """
    signs = [sign for sign in text if sign in ".,"]
    if not signs:
        return text
    last, other = ("." if signs[-1] == "." else ","), ("," if signs[-1] == "." else ".")
    head, _, decimals = text.rpartition(last)
    if other in signs:
        is_good = last not in head and _is_grouped(head, other)
        return f"{head.replace(other, '')}.{decimals}" if is_good else None
    if len(signs) > 1 or (len(decimals) == _GROUP and not head.startswith("0") and not is_scaled):
        return text.replace(last, "") if _is_grouped(text, last) else None
    is_unclear = len(decimals) == _GROUP and last == ","
    return None if is_unclear else f"{head}.{decimals}"


def _is_grouped(text: str, sign: str) -> bool:
    """Whether the digits stand in groups of thousands, or in those of lakh and crore."""
    first, *groups = text.split(sign)
    *inner, last = groups
    sizes = {len(group) for group in inner}
    is_usual = sizes <= {_GROUP} or sizes <= {_GROUP - 1}
    return 1 <= len(first) <= _GROUP and len(last) == _GROUP and is_usual
