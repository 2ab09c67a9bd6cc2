"""Cells: what a person, a file, a provider or a page wrote, read as the value of a field.

Everything that turns text into a value goes through here: files, the API, providers, the web.
"""

import msgspec

from leadflood.contracts.found_values import Scalar
from leadflood.contracts.normalization.consent_words import rate_email
from leadflood.contracts.normalization.fields import normalize
from leadflood.contracts.normalization.lists import split_list
from leadflood.contracts.normalization.phones import normalize_phone
from leadflood.contracts.normalization.text import clean_text
from leadflood.contracts.values import FieldName

_YEAR = 4
"""How many digits a year has."""


class ReadCell(msgspec.Struct, frozen=True):
    """What a cell says.

    - `value`: the value in its one form; None: there is none, or it is not understood.
    - `note`: what was not understood or was changed, in words, without the field's name.
    - `others`: further values of the same cell, such as a second address.
    """

    value: Scalar | None
    note: str | None = None
    others: tuple[Scalar, ...] = ()


def read_cell(field: FieldName, text: str, region: str | None = None) -> ReadCell:
    """Read what stands in a cell of a field; `region` (alpha-2) is for phone numbers."""
    cleaned = clean_text(text)
    if not cleaned:
        return ReadCell(None)
    value = _read(field, cleaned, region)
    note = f"{cleaned[:60]!r} is not understood" if value is None else None
    return ReadCell(value, note)


def read_value(field: FieldName, raw: Scalar, region: str | None = None) -> Scalar | None:
    """Return a value that may be a number or a list already in its one form."""
    if isinstance(raw, str):
        return read_cell(field, raw, region).value
    return normalize(field, raw)


def _read(field: FieldName, text: str, region: str | None) -> Scalar | None:
    if field is FieldName.PHONE:
        return normalize_phone(text, region)
    if field is FieldName.COMPANY_TECHNOLOGIES:
        return normalize(field, split_list(text))
    if field is FieldName.EMAIL_STATUS:
        rating = rate_email(text)
        return None if rating is None else rating.value
    if field is FieldName.COMPANY_FOUNDED:
        return int(text) if text.isascii() and text.isdigit() and len(text) == _YEAR else None
    return normalize(field, text)
