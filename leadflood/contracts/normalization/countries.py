"""Countries: the code we keep, and the names that people and providers use for it.

Source: ISO 3166-1 as `pycountry` ships it, the names of the CLDR in all its languages, and
everyday names (`config/words/countries.toml`).
"""

import re
from collections.abc import Collection, Iterator, Sequence
from functools import lru_cache

import msgspec
import pycountry
from rapidfuzz import fuzz, process

from leadflood.contracts.normalization.country_names import fold_name, is_code, read_names
from leadflood.contracts.normalization.text import clean_text
from leadflood.contracts.values import CountryCode
from leadflood.contracts.word_files import read_tables

_EVERYDAY_NAMES = {
    "BL": "Saint Barthelemy",
    "BN": "Brunei",
    "BQ": "Caribbean NL",
    "CC": "Cocos Islands",
    "CD": "Democratic Republic of the Congo",
    "CG": "Republic of the Congo",
    "CI": "Ivory Coast",
    "CV": "Cape Verde",
    "CZ": "Czech Republic",
    "FK": "Falkland Islands",
    "FM": "Micronesia",
    "MF": "Saint Martin",
    "MO": "Macau",
    "PS": "Palestine",
    "RU": "Russia",
    "SH": "Saint Helena",
    "SX": "Sint Maarten",
    "TL": "East Timor",
    "TR": "Turkey",
    "UM": "US minor outlying islands",
    "VA": "Vatican City",
    "VC": "Saint Vincent",
    "VG": "British Virgin Islands",
    "VI": "U.S. Virgin Islands",
}
_MOST_CHARS = 80
_CODE_CHARS = 2
_LIKE_ENOUGH = 75.0
_TABLES = read_tables("countries.toml")
_AMBIGUOUS: dict[str, list[str]] = _TABLES["ambiguous"]
_US_CITIES: dict[str, list[str]] = _TABLES["us_cities"]
_STATES = frozenset(_US_CITIES)
_COUNTRIES_FIRST = frozenset({"DE", "IN"})
"""Codes that stand behind a city more often as a country than as a US state."""
_PARTS = re.compile(r"\s*[,;/|()\[\]\n]\s*|\s+[-\u2013\u2014]\s+")
_FLAG = re.compile("[\U0001f1e6-\U0001f1ff]{2}")


class ReadCountry(msgspec.Struct, frozen=True):
    """What a text says of a country.

    - `code`: its code; None: none is meant, or nobody can tell which.
    - `place`: what stood beside it, from small to large: a city, a state.
    - `note`: why there is no code.
    """

    code: CountryCode | None
    place: tuple[str, ...] = ()
    note: str | None = None


def country_name(code: CountryCode) -> str | None:
    """Name a country in English, as people and providers write it; None for an unknown code."""
    return _NAMES.get(code.upper())


def find_country(text: str) -> CountryCode | None:
    """Return the country that a code or a name alone means; None when it is none or several."""
    codes = _codes_of(clean_text(text)[:_MOST_CHARS])
    return codes[0] if len(codes) == 1 else None


def country_code(text: str) -> CountryCode | None:
    """Return the country that a person's text means; None when nobody can tell."""
    return read_country(text).code


def read_country(
    text: str, hints: Collection[CountryCode] = (), city: str | None = None
) -> ReadCountry:
    """Read what a person wrote: `DEU`, `276`, `Allemagne`, `Bavaria, Germany`, `CA, USA`.

    `hints` are countries that other values of the same person name, `city` is where they are:
    they decide what is ambiguous, such as `Georgia`, or `CA` beside `San Diego`.
    """
    cleaned = clean_text(text)[:_MOST_CHARS]
    whole = _choose(cleaned, frozenset(hints), fold_name(city or ""))
    if whole.code or whole.note:
        return whole
    parts = [part for part in _PARTS.split(cleaned) if part]
    return _read_parts(parts, frozenset(hints)) if len(parts) > 1 else ReadCountry(None)


def list_codes() -> tuple[CountryCode, ...]:
    """List the codes of all countries."""
    return tuple(sorted(_NAMES))


def nearest_country(text: str) -> tuple[CountryCode, str] | None:
    """Return the country whose English or everyday name is most like a text, if any is."""
    match = process.extractOne(
        fold_name(text[:_MOST_CHARS]), _ISO.keys(), scorer=fuzz.ratio, score_cutoff=_LIKE_ENOUGH
    )
    if match is None:
        return None
    code = _ISO[match[0]]
    return code, _NAMES[code]


def _choose(text: str, hints: frozenset[str], city: str) -> ReadCountry:
    """Return the country that a text without other places means."""
    folded = fold_name(text)
    codes = tuple(_AMBIGUOUS.get(folded, ())) or _codes_of(text)
    if len(codes) == 1 and city in _US_CITIES.get(codes[0], ()) and codes[0] not in hints:
        codes = (codes[0], "US")
    if len(codes) < _CODE_CHARS:
        return ReadCountry(codes[0] if codes else None)
    supported = [code for code in codes if code in hints]
    if len(supported) == 1:
        return ReadCountry(supported[0])
    names = " or ".join(f"{_NAMES[code]} ({code})" for code in codes)
    return ReadCountry(None, note=f"{text!r} can be {names}: write the code")


def _read_parts(parts: list[str], hints: frozenset[str]) -> ReadCountry:
    """Return the country among places: the last one, else the first."""
    last = _choose(parts[-1], hints, "")
    if last.code is None:
        first = last if last.note else _choose(parts[0], hints, "")
        return _beside(first, parts[1:])
    is_state = len(parts[-1]) == _CODE_CHARS and last.code in _STATES and last.code not in hints
    if is_state and "US" in hints:
        return ReadCountry("US", place=tuple(parts))
    in_us = fold_name(parts[0]) in _US_CITIES.get(last.code, ())
    if is_state and (in_us or last.code not in _COUNTRIES_FIRST):
        meant = f"{_NAMES[last.code]} ({last.code}) or a state of the US"
        return ReadCountry(None, note=f"{', '.join(parts)!r} can be {meant}: write which")
    return _beside(last, parts[:-1])


def _beside(read: ReadCountry, places: Sequence[str]) -> ReadCountry:
    """Return a country with what stood beside it, unless that names another country."""
    if read.code is None:
        return read
    named = {
        code
        for place in places
        if len(place) > _CODE_CHARS and fold_name(place) not in _AMBIGUOUS
        for code in _codes_of(place)
    }
    if named - {read.code}:
        return ReadCountry(None, note="it names several countries: write one")
    return ReadCountry(read.code, tuple(p for p in places if find_country(p) != read.code))


@lru_cache(maxsize=8192)
def _codes_of(text: str) -> tuple[CountryCode, ...]:
    """Return the countries that a code or a name means."""
    if _FLAG.fullmatch(text):
        text = "".join(chr(ord(sign) - 0x1F1E6 + ord("A")) for sign in text)
    folded = fold_name(text)
    if folded.upper() in _NAMES:
        return (folded.upper(),)
    if (number := folded.removesuffix(" 0")).isascii() and number.isdigit():
        folded = number.zfill(3)
    if own := _ISO.get(folded):
        return (own,)
    return () if is_code(folded) else read_names().get(folded, ())


def _everyday_names() -> Iterator[tuple[CountryCode, str]]:
    for country in pycountry.countries:
        name = getattr(country, "common_name", country.name)
        yield country.alpha_2, _EVERYDAY_NAMES.get(country.alpha_2, name)
    yield "XK", "Kosovo"


def _names_of_iso() -> Iterator[tuple[str, CountryCode]]:
    for country in pycountry.countries:
        for kind in ("official_name", "common_name", "name", "alpha_3", "numeric"):
            if name := getattr(country, kind, None):
                yield fold_name(name), country.alpha_2


# read once, when the program starts: reading files later would hold up the event loop
_NAMES = dict(_everyday_names())
_ISO = {
    **dict(_names_of_iso()),
    **{fold_name(name): code for code, name in _NAMES.items()},
    **{name: code for code, names in _TABLES["names"].items() for name in map(fold_name, names)},
}
