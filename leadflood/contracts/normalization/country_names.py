"""Names of countries in all languages of the CLDR, as `babel` ships it.

They are read when somebody asks first: 0.6 s and 13 MB, a language at a time. A node asks in a
thread as it starts.
"""

import re
import unicodedata
from collections.abc import Iterable, Iterator, Mapping
from functools import cache, lru_cache
from threading import Lock

import pycountry
from babel import localedata

from leadflood.contracts.values import CountryCode

USUAL_LANGUAGES = frozenset(
    (
        *("en", "de", "fr", "es", "it", "pt", "nl", "pl", "sv", "da", "nb", "fi", "cs", "ru", "uk"),
        *("tr", "ja", "zh", "ko", "ar"),
    )
)
"""The languages that most files are in: where they agree on a name, no other one has a say."""
LEAST_CHARS = 4
"""A shorter name in Latin letters is more often a code or a state."""
_ACCENTS = re.compile("[\u0300-\u036f]")
_READING = Lock()

Names = Mapping[str, tuple[CountryCode, ...]]


@lru_cache(maxsize=8192)
def fold_name(name: str) -> str:
    """Fold a country's name: no case, no accents, no marks, single spaces, no article."""
    decomposed = unicodedata.normalize("NFKD", name.replace("&", " and ")).casefold()
    plain = unicodedata.normalize("NFC", _ACCENTS.sub("", decomposed))
    signs = (sign if unicodedata.category(sign)[0] in "LMN" else " " for sign in plain)
    return " ".join("".join(signs).split()).removeprefix("the ")


def is_code(folded: str) -> bool:
    """Whether a folded name is so short that it is a code or a state more often than a name."""
    return folded.isascii() and len(folded) < LEAST_CHARS


def read_names() -> Names:
    """Return the countries of each folded name; who asks while they are read waits for them."""
    with _READING:
        return _read_names()


def list_names(locales: Iterable[str]) -> Iterator[tuple[CountryCode, str]]:
    """List country and name, as the CLDR has them in these locales."""
    codes = {country.alpha_2: country.alpha_2 for country in pycountry.countries} | {"XK": "XK"}
    for locale in locales:
        territories = localedata.load(locale, merge_inherited=False).get("territories", {})
        # babel keeps what it has read: 170 MB for all languages
        localedata.clear_caches()
        for code, name in territories.items():
            if code in codes and isinstance(name, str):
                yield codes[code], name


@cache
def _read_names() -> Names:
    names: dict[str, tuple[CountryCode, ...]] = {}
    settled: frozenset[str] = frozenset()
    singles: dict[CountryCode, tuple[CountryCode, ...]] = {}
    locales = localedata.locale_identifiers()
    usual = [locale for locale in locales if locale.partition("_")[0] in USUAL_LANGUAGES]
    for group in (usual, set(locales).difference(usual)):
        for code, name in set(list_names(group)):
            key = fold_name.__wrapped__(name)
            if key in settled or not key or is_code(key):
                continue
            known = names.get(key)
            if known is None:
                names[key] = singles.setdefault(code, (code,))
            elif code not in known:
                names[key] = tuple(sorted((*known, code)))
        settled = frozenset(key for key, codes in names.items() if len(codes) == 1)
    return names
