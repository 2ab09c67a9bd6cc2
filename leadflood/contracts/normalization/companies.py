"""Companies: their names without the legal form, as letters speak of them and as two are compared.

Source: `config/words/legal_forms.toml`, by country. `cleanco` was looked at: it reads no forms
before a name, none of East Asia, and its words have not changed for years.
"""

import re
from collections.abc import Iterable
from functools import lru_cache

from rapidfuzz.distance import OSA

from leadflood.contracts.normalization.text import clean_text, name_key
from leadflood.contracts.word_files import read_tables

_WORDS = read_tables("legal_forms.toml")
_TABLES = [table for name, table in _WORDS.items() if name not in {"words", "classes"}]
_WORDS_TOO = frozenset(_WORDS["words"]["too"])
_SHORT = 2
_MOST_FORMS = 4
_QUOTES = "\"'\u201e\u201c\u201d\u00ab\u00bb\u2018\u2019 "
_COMPANY = re.compile(
    r"[\s,]+(?:(?:&|and|und|et|y|e|og|och)\s+)?(?:co|company|cie)\.?$", re.IGNORECASE
)
_WORD_OF_JOIN = re.compile(r"(?:&|\+|\band|\bund|\bet|\by|\be|\bog|\boch)\s*$", re.IGNORECASE)


_CLASSES = {
    name_key(form).replace(" ", ""): kind
    for kind, forms in _WORDS["classes"].items()
    for form in forms
}
_TYPOS = 2


def _forms(kind: str) -> list[str]:
    forms = {form for table in _TABLES for form in table.get(kind, ())}
    return sorted(forms, key=len, reverse=True)


def _pattern(form: str) -> str:
    """Return a form as a pattern: dots are optional, and so are spaces after them."""
    parts = re.split(r"[.\s]+", form.strip("."))
    glue = r"\.?\s*" if all(len(part) == 1 for part in parts) else r"(?:[.,]\s*|\s+)+"
    return glue.join(map(re.escape, parts))


def _alternatives(forms: Iterable[str]) -> str:
    return "|".join(_pattern(form) for form in forms)


_BEHIND = re.compile(
    rf"(?:[\s,;./-]+|(?=\())({_alternatives(_forms('behind'))})[\s.,]*$", re.IGNORECASE
)
_BEFORE = re.compile(
    rf"^({_alternatives(_forms('before'))})(?=[\s.,\"\u00ab\u201e])[\s.,]*", re.IGNORECASE
)
_WHOLE = _forms("whole")
_LONG_FORMS = [name_key(form) for form in _forms("behind") if form.isalpha() and len(form) > 9]  # noqa: PLR2004 - words, no abbreviations
_GLUED = re.compile(r"(?<=[a-zäöüß])(?:AG|GmbH|KG|SE|AB|AS|SA|Oy)$")


@lru_cache(maxsize=16_384)
def company_words(name: str) -> str:
    """Return a company's name as a letter speaks of it: `Orbit GmbH & Co. KG` is Orbit.

    A name that is nothing but a legal form stays as it is.
    """
    text = clean_text(name)
    for _ in range(_MOST_FORMS):
        shorter = _without_form(text)
        if shorter == text:
            break
        text = shorter
    return text


@lru_cache(maxsize=16_384)
def company_key(name: str) -> str:
    """Return a company's name folded for comparison, without its legal form."""
    words = company_words(name)
    bare = _COMPANY.sub("", words)
    return name_key(bare) or name_key(words) or name_key(name)


def form_class(name: str) -> str | None:
    """Return the kind of a company's legal form (`stock`, `limited`); None: it shows none."""
    text = clean_text(name)
    rest = company_words(text)
    start = text.find(rest)
    form = name_key(f"{text[:start]} {text[start + len(rest) :]}").replace(" ", "")
    return _CLASSES.get(form)


def is_long_form(word: str) -> bool:
    """Whether a folded word is a legal form written out, maybe with a typing error."""
    return any(OSA.distance(word, form, score_cutoff=2) <= _TYPOS for form in _LONG_FORMS)


def has_legal_form(name: str) -> bool:
    """Whether a name shows a legal form: it is a company's, no person's."""
    text = clean_text(name)
    return _without_form(text) != text


def _without_form(text: str) -> str:
    """Return a name without one form, the first that is found; the name itself where none is."""
    for form in _WHOLE:
        if text.startswith(form) or text.endswith(form):
            return _or_whole(text.removeprefix(form).removesuffix(form), text)
    if (match := _BEHIND.search(text)) and _is_form(match[1], text):
        rest = text[: match.start()]
        return text if _WORD_OF_JOIN.search(rest) else _or_whole(rest, text)  # Tiffany & Co.
    match = _BEFORE.match(text)
    if match is not None:
        return _or_whole(text[match.end() :], text)
    shorter = _GLUED.sub("", text)
    return text if shorter == text else _or_whole(shorter, text)


def _is_form(form: str, text: str) -> bool:
    """Whether a short form is written as one: `AG`, `Oy`, `s.a.`, not the `as` of a sentence."""
    if form.casefold() in _WORDS_TOO and form.istitle():
        return False
    return len(form) > _SHORT or not form.islower() or "." in form or text.islower()


def _or_whole(rest: str, text: str) -> str:
    plain = rest.strip(" ,;.-/")
    if plain.strip(_QUOTES) and plain[0] in _QUOTES:
        plain = plain.strip(_QUOTES)
    return plain if any(map(str.isalnum, plain)) else text
