"""Asked values: what rules, targets and filters ask for, in the one form in which it is stored.

A value that is compared with what is stored has to be brought into the same form, or the question
is never answered with yes: `Germany` is stored as `DE`.
"""

import re
from collections.abc import Callable, Iterable, Mapping

import msgspec
from rapidfuzz import fuzz, process

from leadflood.contracts.normalization.consent_words import rate_email
from leadflood.contracts.normalization.countries import (
    country_name,
    list_codes,
    nearest_country,
    read_country,
)
from leadflood.contracts.normalization.domains import company_domain
from leadflood.contracts.normalization.seniority import RANKS, read_level
from leadflood.contracts.values import EmailStatus, FieldName
from leadflood.engine.errors import Invalid

_LIKE_ENOUGH = 60.0
_WORD = re.compile(r"[^\W_]+")


class AskedValue(msgspec.Struct, frozen=True):
    """A value as it is stored; None: it is none, and `problem` says what to write."""

    value: str | None
    problem: str = ""


class AskedField(msgspec.Struct, frozen=True):
    """A field whose values have one form.

    - `read`: brings a word into it.
    - `values`: all that there are; empty: there are any number.
    """

    read: Callable[[str], AskedValue]
    values: tuple[str, ...] = ()


def require_country(text: str, path: str) -> str:
    """Return the code of a country that is asked for. Raises: Invalid with the nearest name."""
    asked = _read_country(text)
    if asked.value is None:
        raise Invalid.field(path, asked.problem)
    return asked.value


def _read_country(text: str) -> AskedValue:
    read = read_country(text)
    if read.code is not None and not read.place:
        return AskedValue(read.code)
    if read.code is not None:
        problem = f"{text!r} is more than a country: write {country_name(read.code)} ({read.code})"
        return AskedValue(None, problem)
    if read.note is not None:
        return AskedValue(None, read.note)
    near = nearest_country(text)
    fix = "write a country's name or its two letters, as in DE"
    if near is not None:
        fix = f"did you mean {near[1]} ({near[0]})?"
    return AskedValue(None, f"{text!r} is no country: {fix}")


def _chosen(read: Callable[[str], str | None], names: Iterable[str], what: str) -> AskedField:
    values = tuple(names)

    def choose(text: str) -> AskedValue:
        value = read(text)
        if value is not None:
            return AskedValue(value)
        near = process.extractOne(
            text.casefold(), values, scorer=fuzz.ratio, score_cutoff=_LIKE_ENOUGH
        )
        fix = f"did you mean {near[0]}?" if near else f"write one of {', '.join(values)}"
        return AskedValue(None, f"{text!r} is no {what}: {fix}")

    return AskedField(choose, values)


def _read_status(text: str) -> str | None:
    status = rate_email(text)
    return None if status is None else status.value


def _read_domain(text: str) -> AskedValue:
    domain = company_domain(text)
    if domain is not None:
        return AskedValue(domain)
    fix = "write a company's own domain, as in example.com (no free mail, no shared host)"
    return AskedValue(None, f"{text!r} is never a company's domain: {fix}")


def _read_department(text: str) -> AskedValue:
    words = " ".join(_WORD.findall(text.lower()))
    return AskedValue(words) if words else AskedValue(None, f"{text!r} has no word: write one")


ASKED_FIELDS: Mapping[FieldName, AskedField] = {
    FieldName.COUNTRY: AskedField(_read_country, list_codes()),
    FieldName.SENIORITY: _chosen(read_level, RANKS, "level"),
    FieldName.EMAIL_STATUS: _chosen(_read_status, EmailStatus, "status of an address"),
    FieldName.COMPANY_DOMAIN: AskedField(_read_domain),
    FieldName.DEPARTMENT: AskedField(_read_department),
}
"""The fields whose values rules and filters have to write in one form."""
