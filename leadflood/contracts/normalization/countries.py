"""Countries: the code we keep, and the English names that people and providers use for it.

Source: ISO 3166-1 as `pycountry` ships it, and everyday names where ISO's are formal or others.
"""

from collections.abc import Iterator
from functools import lru_cache

import pycountry

from leadflood.contracts.normalization.text import name_key
from leadflood.contracts.values import CountryCode

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
_OTHER_NAMES = {
    "bolivia (plurinational state of)": "BO",
    "britain": "GB",
    "burma": "MM",
    "cote d'ivoire": "CI",
    "curacao": "CW",
    "england": "GB",
    "great britain": "GB",
    "holland": "NL",
    "hong kong sar": "HK",
    "korea": "KR",
    "macedonia": "MK",
    "macedonia (fyrom)": "MK",
    "northern ireland": "GB",
    "republic of korea": "KR",
    "scotland": "GB",
    "swaziland": "SZ",
    "the netherlands": "NL",
    "turkiye": "TR",
    "uk": "GB",
    "usa": "US",
    "u.s.": "US",
    "u.s.a.": "US",
    "wales": "GB",
}
_NAMES_BY_COUNTRY = {
    "AE": "uae",
    "AT": "osterreich",
    "BE": "belgie|belgien|belgique",
    "BR": "brasil",
    "CH": "schweiz|suisse|svizzera",
    "CZ": "cesko",
    "DE": "allemagne|alemania|deutschland",
    "DK": "danmark",
    "ES": "espagne|espana|spanien",
    "FI": "suomi",
    "FR": "frankreich",
    "GB": "u k",
    "HR": "hrvatska",
    "HU": "magyarorszag",
    "IE": "eire|republic of ireland",
    "IT": "italia|italien|italie",
    "NL": "nederland",
    "NO": "norge",
    "PL": "polska",
    "SE": "sverige",
}
_OWN_NAMES = {
    name: country for country, names in _NAMES_BY_COUNTRY.items() for name in names.split("|")
}
"""Countries in their own and their neighbors' words, as CRM exports have them."""


def country_name(code: CountryCode) -> str | None:
    """Name a country in English, as people and providers write it; None for an unknown code."""
    return _NAMES.get(code.upper())


def find_country(text: str) -> CountryCode | None:
    """Return the country that a code or any of its English names means; None when it is none."""
    name = " ".join(text.split()).casefold()
    if name.upper() in _NAMES:
        return name.upper()
    return _CODES.get(name)


@lru_cache(maxsize=1024)
def country_code(text: str) -> CountryCode | None:
    """Return the country that a text names in any language we know; None when it is none."""
    return find_country(text) or _OWN_NAMES.get(name_key(text))


def _everyday_names() -> Iterator[tuple[CountryCode, str]]:
    for country in pycountry.countries:
        name = getattr(country, "common_name", country.name)
        yield country.alpha_2, _EVERYDAY_NAMES.get(country.alpha_2, name)


def _names_of_iso() -> Iterator[tuple[str, CountryCode]]:
    for country in pycountry.countries:
        for kind in ("official_name", "common_name", "name"):
            if name := getattr(country, kind, None):
                yield name.casefold(), country.alpha_2


# read once, when the program starts (6 ms): reading files later would hold up the event loop
_NAMES = dict(_everyday_names())
_CODES = {
    **dict(_names_of_iso()),
    **{name.casefold(): code for code, name in _NAMES.items()},
    **_OTHER_NAMES,
}
