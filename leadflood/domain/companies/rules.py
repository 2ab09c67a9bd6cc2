"""Corrections of a company, and the filter of a list of companies. Pure."""

import msgspec
from msgspec import UNSET

from leadflood.contracts.found_values import Scalar
from leadflood.contracts.normalization.cells import ReadCell, read_cell, read_value
from leadflood.contracts.text_search import read_search
from leadflood.contracts.values import FieldName
from leadflood.domain.companies.schemas import CompanyFilter, CompanyWords
from leadflood.engine.errors import Invalid

FIELDS = {
    "industry": FieldName.COMPANY_INDUSTRY,
    "size": FieldName.COMPANY_SIZE,
    "country": FieldName.COMPANY_COUNTRY,
    "technologies": FieldName.COMPANY_TECHNOLOGIES,
    "founded": FieldName.COMPANY_FOUNDED,
    "revenue": FieldName.COMPANY_REVENUE,
    "linkedin_url": FieldName.COMPANY_LINKEDIN_URL,
}
"""The fields that a person may edit, by name; a company's name stands in its own row."""


class StoredFilter(msgspec.Struct, frozen=True, kw_only=True):
    """A filter in the words of the tables; None asks for nothing."""

    domain: str | None
    country: str | None
    industry: str | None
    words: str | None


def read_edits(words: CompanyWords, currency: str | None = None) -> dict[FieldName, Scalar | None]:
    """Bring what a person says into its one form; None: there is no value.

    Sums are numbers in `currency`. Raises: Invalid.
    """
    edits: dict[FieldName, Scalar | None] = {}
    for name, field in FIELDS.items():
        raw = getattr(words, name)
        if raw is UNSET:
            continue
        cell = _read(field, raw, currency)
        if raw is not None and cell.value is None:
            path = "linkedinUrl" if name == "linkedin_url" else name
            problem = cell.note or f"{raw!r} is none that can be understood"
            raise Invalid.field(path, problem, code="leads.company.invalid")
        edits[field] = cell.value
    return edits


def _read(field: FieldName, raw: Scalar | None, currency: str | None) -> ReadCell:
    if isinstance(raw, str):
        return read_cell(field, raw, currency=currency)
    return ReadCell(None if raw is None else read_value(field, raw))


def read_filter(companies: CompanyFilter) -> StoredFilter | None:
    """Return a filter in the words of the tables; None: nothing can fit."""
    words = None if companies.q is None else read_search(companies.q)
    if companies.q is not None and not words:
        return None
    return StoredFilter(
        domain=companies.domain,
        country=_stored_text(FieldName.COMPANY_COUNTRY, companies.country),
        industry=_stored_text(FieldName.COMPANY_INDUSTRY, companies.industry),
        words=words,
    )


def _stored_text(field: FieldName, text: str | None) -> str | None:
    """Return a value as it is stored; what cannot be one is found nowhere."""
    if text is None:
        return None
    return msgspec.json.encode(read_value(field, text) or text).decode()
