"""Writes `config/words/country_names.txt` anew: the CLDR's names of countries in all its languages.

    python -m tests.support.country_names > config/words/country_names.txt

A line a country: its code, then its names as `fold_name` folds them. What names two countries
stands in both lines, unless the languages that most files are in agree on one.
"""

import sys
from collections import defaultdict
from collections.abc import Iterator, Mapping

import pycountry
from babel import localedata
from leadflood.contracts.normalization.countries import fold_name

USUAL_LANGUAGES = frozenset(
    (
        *("en", "de", "fr", "es", "it", "pt", "nl", "pl", "sv", "da", "nb", "fi", "cs", "ru", "uk"),
        *("tr", "ja", "zh", "ko", "ar"),
    )
)
LEAST_CHARS = 4
CODES = frozenset(country.alpha_2 for country in pycountry.countries) | {"XK"}


def list_names() -> Iterator[tuple[str, str, str]]:
    """List language, country and name, as the CLDR of the installed babel has them."""
    for locale in localedata.locale_identifiers():
        territories = localedata.load(locale, merge_inherited=False).get("territories", {})
        for code, name in territories.items():
            if code in CODES and isinstance(name, str):
                yield locale.partition("_")[0], code, name


def make_table() -> Mapping[str, list[str]]:
    """Return the folded names of each country."""
    codes: dict[str, set[str]] = defaultdict(set)
    usual: dict[str, set[str]] = defaultdict(set)
    for language, code, name in list_names():
        folded = fold_name(name)
        if not folded or (folded.isascii() and len(folded) < LEAST_CHARS):
            continue
        codes[folded].add(code)
        if language in USUAL_LANGUAGES:
            usual[folded].add(code)
    table: dict[str, list[str]] = {code: [] for code in sorted(CODES)}
    for name, found in sorted(codes.items()):
        for code in usual[name] if len(usual[name]) == 1 else found:
            table[code].append(name)
    return table


if __name__ == "__main__":
    for code, names in make_table().items():
        sys.stdout.write("|".join([code, *names]) + "\n")
