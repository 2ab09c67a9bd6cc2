"""Facts: what may be said of a lead, numbered; short, proven, fresh values.

Values come from outside and may be written to mislead a model or a reader, so only what has the
shape of its field becomes a fact; the rest is left out.
"""

import re
import unicodedata
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Protocol
from uuid import UUID

import msgspec

from leadflood.contracts.found_values import Scalar
from leadflood.contracts.normalization.companies import company_words
from leadflood.contracts.normalization.countries import country_name
from leadflood.contracts.normalization.greetings import greeting_name, write_name
from leadflood.contracts.normalization.names import is_name
from leadflood.contracts.ports.text import NumberedFact
from leadflood.contracts.values import FieldName
from leadflood.domain.drafting.rules.vocabulary import INSTRUCTION_WORDS, SENTENCE_WORDS
from leadflood.domain.drafting.schemas import ProvenFact


class ProvenValue(Protocol):
    """A stored value with its proof, as the leads slice keeps it."""

    @property
    def value(self) -> Scalar:
        """The value."""

    @property
    def observed_at(self) -> datetime:
        """When it was seen."""

    @property
    def id(self) -> UUID:
        """The stored line that proves it."""


class _Shape(msgspec.Struct, frozen=True):
    """How long a value of a field may be: characters and words."""

    characters: int
    words: int


_SHAPES = {
    FieldName.FIRST_NAME: _Shape(40, 3),
    FieldName.LAST_NAME: _Shape(60, 5),
    FieldName.FULL_NAME: _Shape(90, 7),
    FieldName.TITLE: _Shape(90, 12),
    FieldName.SENIORITY: _Shape(30, 3),
    FieldName.DEPARTMENT: _Shape(50, 5),
    FieldName.CITY: _Shape(60, 6),
    FieldName.COUNTRY: _Shape(60, 6),
    FieldName.COMPANY_NAME: _Shape(90, 10),
    FieldName.COMPANY_INDUSTRY: _Shape(70, 8),
    FieldName.COMPANY_SIZE: _Shape(12, 1),
    FieldName.COMPANY_COUNTRY: _Shape(60, 6),
    FieldName.COMPANY_TECHNOLOGIES: _Shape(160, 24),
    FieldName.COMPANY_FOUNDED: _Shape(4, 1),
}
"""The fields a message may speak of, in the order of their numbers."""
FACT_FIELDS = tuple(_SHAPES)

_NAMES = (FieldName.LAST_NAME, FieldName.FULL_NAME)
_COUNTRIES = (FieldName.COUNTRY, FieldName.COMPANY_COUNTRY)
_MAX_LISTED = 5
_WORDS_OF_A_SENTENCE = 2
_WORD = re.compile(r"[^\W_]+")
_UNSAFE = re.compile(r"[<>{}\[\]\\`|^~=*@]|://|\bwww\.|[!?;:]\s|[.]\s+[a-z]")
_WIDE_SPACE = re.compile(r"[^\S\n\r\t\v\f\x1c-\x1f\x85\u2028\u2029]+")


def number_facts(
    values: Mapping[FieldName, ProvenValue], now: datetime, max_age_days: float
) -> tuple[ProvenFact, ...]:
    """Return the values that may be said; the stale, the odd and the blank are left out."""
    oldest = now - timedelta(days=max_age_days)
    facts: list[ProvenFact] = []
    for field in _SHAPES:
        value = _value_of(field, values)
        if value is None or value.observed_at < oldest:
            continue
        text = _format(field, value.value, values)
        if text is not None:
            facts.append(
                ProvenFact(
                    number=len(facts) + 1,
                    field=field.value,
                    text=text,
                    field_value_id=value.id,
                )
            )
    return tuple(facts)


def list_for_writer(facts: tuple[ProvenFact, ...]) -> tuple[NumberedFact, ...]:
    """Return what a writer may say, without our ids."""
    return tuple(NumberedFact(fact.number, fact.field, fact.text) for fact in facts)


def is_safe(text: str) -> bool:
    """Whether a value is free of markup, hidden signs, links and instructions."""
    if not text.strip() or _UNSAFE.search(text):
        return False
    if not text.isprintable():  # controls, breaks, hidden signs, lone surrogates
        return False
    words = [word.casefold() for word in _WORD.findall(text)]
    count = sum(word in SENTENCE_WORDS for word in words)
    return count < _WORDS_OF_A_SENTENCE and INSTRUCTION_WORDS.isdisjoint(words)


def _value_of(field: FieldName, values: Mapping[FieldName, ProvenValue]) -> ProvenValue | None:
    """Return the value that a fact rests on: the name to greet by may be read off the whole one."""
    value = values.get(field)
    if field is FieldName.FIRST_NAME and (value is None or not _greeting(values, full="")):
        return values.get(FieldName.FULL_NAME)
    return value


def _format(field: FieldName, value: Scalar, values: Mapping[FieldName, ProvenValue]) -> str | None:
    """Return a value as a message says it; None: it says nothing that a message may repeat."""
    text = _words_of(field, value)
    if field is FieldName.FIRST_NAME:
        text = _greeting(values, full=text)
    elif field in _NAMES:
        text = write_name(text) if is_name(text) else ""
    elif field is FieldName.COMPANY_NAME:
        text = company_words(text)
    shape = _SHAPES[field]
    fits = len(text) <= shape.characters and len(text.split()) <= shape.words
    return text if fits and is_safe(text) else None


def _greeting(values: Mapping[FieldName, ProvenValue], full: str) -> str:
    first, last = (
        _clean(value.value) if (value := values.get(field)) and isinstance(value.value, str) else ""
        for field in (FieldName.FIRST_NAME, FieldName.LAST_NAME)
    )
    return greeting_name(first, last, full) or ""


def _words_of(field: FieldName, value: Scalar) -> str:
    if isinstance(value, tuple):
        fitting = [text for text in map(_clean, value) if is_safe(text)][:_MAX_LISTED]
        text = ", ".join(fitting)
    else:
        text = _clean(value)
    return country_name(text) or text if field in _COUNTRIES else text


def _clean(value: str | float) -> str:
    if isinstance(value, bool):
        return ""
    if isinstance(value, float):
        return str(int(value)) if value.is_integer() else ""
    return _WIDE_SPACE.sub(" ", unicodedata.normalize("NFC", str(value))).strip(" ")
