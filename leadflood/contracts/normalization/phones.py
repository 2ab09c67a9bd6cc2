"""Phone numbers: E.164, and only numbers that can be called; others stay the text they are."""

import re
import unicodedata
from collections.abc import Sequence
from functools import lru_cache

import msgspec
import phonenumbers
from phonenumbers import PhoneNumber, PhoneNumberFormat, PhoneNumberType

from leadflood.contracts.normalization.no_values import is_no_value
from leadflood.contracts.normalization.text import clean_text

_MOST_CHARS = 200
_MOST_NUMBERS = 5
_LEAST_DIGITS = 4
_BREAKS = re.compile(r"[\r\n]+")
_FLOAT = re.compile(r"([+-]?\d+)\.0+")
_POWER = re.compile(r"[+-]?\d+(?:[.,]\d+)?e\+?\d+", re.IGNORECASE)
_DATE = re.compile(r"(?:19|20)\d\d([-/.])\d\d\1\d\d(?:[T ].*)?|\d\d([-/.])\d\d\2(?:19|20)\d\d")
_LABEL = re.compile(r"^(?:tel:|[^\W\d_][^\d+(]*?[:.]?\s*(?=[+(\d]))", re.IGNORECASE)
_TRUNK = re.compile(r"\(\s*0\s*\)")
_EXTENSION = re.compile(
    r"[\s,;(]*(?:#|(?<![^\W\d_])(?:durchwahl|dw|nst|nebenstelle|klappe|poste|interno|int|anexo|ramal|"
    r"toestel|tst|anknytning|wewn|вн|доб|внутр|x|ext|extn|extension))\.?[\s:]*(\d{1,7})\s*\)?$",
    re.IGNORECASE,
)
_BETWEEN = re.compile(
    r"\s*(?:[;|\n,\u3001]|:::)\s*|\s+(?:or|oder|ou|o|and|und|et|y|e|of|en|или|и)\s+|\s*/\s*"
)
_PLAIN = re.compile(r"\+[1-9][0-9]{6,14}")
"""Most numbers: nothing but digits has to be taken off them (tested to agree with the rest)."""
_E164 = re.compile(r"\+[1-9]\d{4,14}(?= ext\. \d{1,7}$|$)")


_MOST_VALID = 8_192
_VALID: set[str] = set()
"""Numbers in their one form that were found valid lately: a value is read again when it is stored,
and to parse a number costs half a millisecond."""


class ReadPhones(msgspec.Struct, frozen=True):
    """The numbers of a cell, in its order, and why there is none that can be called.

    `kept` is what is worth keeping of a cell without a number that can be called.
    """

    numbers: tuple[str, ...] = ()
    kept: str | None = None
    note: str | None = None


@lru_cache(maxsize=8192)
def normalize_phone(text: str, region: str | None = None) -> str | None:
    """Return a valid number as E.164, with its extension; None when it is none.

    A national number needs its country (alpha-2): `030 1234567` in DE is `+49301234567`, and
    `… x12` is `+49301234567 ext. 12`.
    """
    if text in _VALID:
        return text
    number = _parse(clean_text(text)[:_MOST_CHARS], region)
    if number is None:
        return None
    if len(_VALID) >= _MOST_VALID:
        _VALID.clear()
    formatted = _format(number)
    _VALID.add(formatted)
    return formatted


def callable_number(value: str) -> str | None:
    """Return the number that a value is called by: E.164 without an extension; None: none.

    Values that are kept as text, because no valid number is in them, give none.
    """
    match = _E164.match(value)
    return match[0] if match and normalize_phone(match[0]) == match[0] else None


def is_mobile(value: str) -> bool:
    """Whether a number in its one form is a mobile one, for sure."""
    number = _parse(value, None)
    return number is not None and phonenumbers.number_type(number) == PhoneNumberType.MOBILE


def region_of_number(value: str) -> str | None:
    """Return the country of a number in its one form (alpha-2)."""
    number = _parse(value, None)
    return None if number is None else phonenumbers.region_code_for_number(number)


def read_phones(text: str, region: str | None = None) -> ReadPhones:
    """Read a cell, which may hold two numbers, or one that a spreadsheet took for a number."""
    if _PLAIN.fullmatch(text) and (number := normalize_phone(text)) is not None:
        return ReadPhones((number,))
    cleaned = _usual(clean_text(_BREAKS.sub("; ", text.strip()))[:_MOST_CHARS])
    if problem := _spreadsheet_problem(cleaned):
        return ReadPhones(note=f"{text[:60]!r} {problem}")
    if match := _FLOAT.fullmatch(cleaned):
        cleaned = match[1]
    if numbers := _find_numbers(cleaned, region):
        return ReadPhones(numbers)
    digits = re.sub(r"\D", "", cleaned)
    if len(digits) < _LEAST_DIGITS or len(set(digits)) == 1:
        return ReadPhones(note=f"{text[:60]!r} is no phone number")
    return ReadPhones(kept=clean_text(text)[:_MOST_CHARS], note=_why(text, cleaned, region))


def _spreadsheet_problem(text: str) -> str | None:
    if _POWER.fullmatch(text):
        return "was cut by a spreadsheet: its last digits are lost"
    return "is a date, no phone number" if _DATE.fullmatch(text) else None


def _find_numbers(text: str, region: str | None) -> tuple[str, ...]:
    """Return the numbers of a cell: those of its pieces, the whole, or those within a text."""
    pieces = [piece for piece in _BETWEEN.split(text) if piece][:_MOST_NUMBERS]
    if len(pieces) > 1 and (numbers := _read_each(pieces, region)):
        return numbers
    if (number := normalize_phone(text, region)) is not None:
        return (number,)
    return _find_in(text, region)


def _usual(text: str) -> str:
    """Return a text with full-width digits as usual ones, without a spreadsheet's apostrophe."""
    return unicodedata.normalize("NFKC", text).removeprefix("'").strip()


def _read_each(pieces: Sequence[str], region: str | None) -> tuple[str, ...]:
    """Return the numbers of pieces if each is one; what is no value is left out."""
    numbers = [normalize_phone(piece, region) for piece in pieces if not is_no_value(piece)]
    return tuple(dict.fromkeys(number for number in numbers if number)) if all(numbers) else ()


def _find_in(text: str, region: str | None) -> tuple[str, ...]:
    found = phonenumbers.PhoneNumberMatcher(text, region)
    return tuple(dict.fromkeys(_format(match.number) for match in found))[:_MOST_NUMBERS]


def _parse(text: str, region: str | None) -> PhoneNumber | None:
    """Return the number that a text is, if it is a valid one."""
    if _PLAIN.fullmatch(text):
        return _parse_spellings([text], None)
    known = region if region in phonenumbers.SUPPORTED_REGIONS else None
    text, extension = _cut_extension(_LABEL.sub("", _usual(text)))
    spellings = [text]
    if _TRUNK.search(text):
        spellings.append(_TRUNK.sub("", text))
    if text.lstrip("( ").startswith("00"):
        spellings.insert(0, "+" + text.lstrip("( ")[2:])
    number = _parse_spellings(spellings, known)
    if number is not None and extension:
        number.extension = extension
    return number


def _parse_spellings(spellings: Sequence[str], region: str | None) -> PhoneNumber | None:
    for spelling in spellings:
        try:
            number = phonenumbers.parse(spelling, region)
        except phonenumbers.NumberParseException:
            continue
        if phonenumbers.is_valid_number(number):
            return number
    return None


def _cut_extension(text: str) -> tuple[str, str | None]:
    match = _EXTENSION.search(text)
    return (text[: match.start()], match[1]) if match else (text, None)


def _format(number: PhoneNumber) -> str:
    plain = PhoneNumber(
        country_code=number.country_code,
        national_number=number.national_number,
        italian_leading_zero=number.italian_leading_zero,
        number_of_leading_zeros=number.number_of_leading_zeros,
    )
    text = phonenumbers.format_number(plain, PhoneNumberFormat.E164)
    return f"{text} ext. {number.extension}" if number.extension else text


def _why(text: str, cleaned: str, region: str | None) -> str:
    shown = f"{text[:60]!r}"
    if region is None and not cleaned.startswith(("+", "00")):
        return f"{shown} is kept as text: it needs its country, or a country code as in +49"
    where = f" in {region}" if region and not cleaned.startswith("+") else ""
    return f"{shown} is kept as text: it is no valid number{where}"
