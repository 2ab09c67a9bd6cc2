"""Cells: what a person, a file, a provider or a page wrote, read as the value of a field.

Everything that turns text into a value goes through here: files, the API, providers, the web.
"""

from collections.abc import Callable, Mapping

import msgspec

from leadflood.contracts.found_values import Scalar
from leadflood.contracts.normalization.consent_words import rate_email
from leadflood.contracts.normalization.countries import read_country
from leadflood.contracts.normalization.domains import company_domain, company_page
from leadflood.contracts.normalization.emails import read_emails, suggest_email, why_not_personal
from leadflood.contracts.normalization.lists import split_list
from leadflood.contracts.normalization.names import is_form_of_address
from leadflood.contracts.normalization.no_values import is_blank, is_no_value, may_be_name
from leadflood.contracts.normalization.numbers import (
    is_date,
    people_count,
    read_money,
    read_year,
)
from leadflood.contracts.normalization.phones import read_phones
from leadflood.contracts.normalization.profiles import (
    normalize_company_linkedin,
    normalize_linkedin,
)
from leadflood.contracts.normalization.text import clean_text
from leadflood.contracts.values import FieldName

_SHOWN_CHARS = 60
_CODE_CHARS = 2
_MOST_MONEY = 1e15


class CellContext(msgspec.Struct, frozen=True):
    """What is known beside a cell.

    - `region`: the country (alpha-2) of phone numbers without a country code.
    - `currency`: the installation's, in which sums of money are numbers; None: any is kept as
      it is stated.
    """

    region: str | None = None
    currency: str | None = None


class ReadCell(msgspec.Struct, frozen=True):
    """What a cell says.

    - `value`: the value in its one form; None: there is none, or it is not understood.
    - `note`: what was not understood or was changed, in words, without the field's name.
    - `others`: further values of the same cell, such as a second address.
    - `is_missing`: the cell is empty, or says that there is no value.
    """

    value: Scalar | None
    note: str | None = None
    others: tuple[Scalar, ...] = ()
    is_missing: bool = False


_Reader = Callable[[str, CellContext], ReadCell]


def read_cell(
    field: FieldName, text: str, region: str | None = None, currency: str | None = None
) -> ReadCell:
    """Read what stands in a cell of a field, alone; `rows` reads it beside its neighbors."""
    if _LISTING in text and field not in _SPLITTING:
        # Google Contacts lists the values of a field so; of one with a single value it is the first
        text = next((part for part in text.split(_LISTING) if part.strip()), "")
    cleaned = clean_text(text)
    if is_missing(field, cleaned):
        note = None if is_blank(cleaned) else f"{_shown(cleaned)} is no value"
        return ReadCell(None, note, is_missing=True)
    read = _READERS.get(field)
    # a reader splits by lines too, which a cleaned text has no more
    return ReadCell(cleaned) if read is None else read(text, CellContext(region, currency))


def read_value(field: FieldName, raw: Scalar, region: str | None = None) -> Scalar | None:
    """Return a value that may be a number or a list already in its one form; None: none."""
    if isinstance(raw, str):
        return read_cell(field, raw, region).value
    if isinstance(raw, tuple):
        return _list(raw) if field not in _READERS or field is _LISTED else None
    if field in _NUMBERS:
        return _NUMBERS[field](raw)
    if field in _READERS and field is not FieldName.TITLE:
        return None if isinstance(raw, bool) else read_cell(field, str(raw), region).value
    return raw if raw == raw and abs(raw) != float("inf") else None  # noqa: PLR0124 - NaN is what differs from itself


def is_missing(field: FieldName, text: str) -> bool:
    """Whether a cell of a field is empty or says that there is no value.

    Judged by the field: `unknown` is a status of an address, `NA` the code of Namibia, `ND` a
    state, and `Null` a family name.
    """
    if not is_no_value(text):
        return False
    is_code = len(text) == _CODE_CHARS and text.isascii() and text.isupper()
    if is_code and field in {FieldName.COUNTRY, FieldName.COMPANY_COUNTRY, FieldName.REGION}:
        return False
    is_status = field is FieldName.EMAIL_STATUS and rate_email(text) is not None
    return not is_status and not may_be_name(field, text)


def _shown(text: str) -> str:
    return repr(clean_text(text)[:_SHOWN_CHARS])


def _not_understood(text: str) -> ReadCell:
    return ReadCell(None, f"{_shown(text)} is not understood")


def _plainly(form: Callable[[str], Scalar | None]) -> _Reader:
    def read(text: str, _context: CellContext) -> ReadCell:
        value = form(clean_text(text))
        return _not_understood(text) if value is None else ReadCell(value)

    return read


def _email(text: str, _context: CellContext) -> ReadCell:
    read = read_emails(text)
    if not read.addresses:
        return ReadCell(None, f"{_shown(text)} is no e-mail address")
    # an address that reaches a person goes before one that does not
    first, *others = sorted(read.addresses, key=lambda each: why_not_personal(each) is not None)
    notes = [f"{_shown(piece)} is no e-mail address" for piece in read.unread]
    if (meant := suggest_email(first)) is not None:
        notes.append(f"{_shown(first)} may be a typing error: did they mean {meant}?")
    return ReadCell(first, "; ".join(notes) or None, tuple(others))


def _email_status(text: str) -> str | None:
    rating = rate_email(text)
    return None if rating is None else rating.value


def _phone(text: str, context: CellContext) -> ReadCell:
    read = read_phones(text, context.region)
    if read.numbers:
        return ReadCell(read.numbers[0], read.note, read.numbers[1:])
    return ReadCell(read.kept, read.note)


def _country(text: str, _context: CellContext) -> ReadCell:
    read = read_country(text)
    if read.code is None:
        return ReadCell(None, read.note or f"{_shown(text)} is not understood")
    return ReadCell(read.code)


def _title(text: str, _context: CellContext) -> ReadCell:
    if is_form_of_address(text):
        return ReadCell(None, f"{_shown(text)} is a form of address, no job title")
    return ReadCell(clean_text(text))


def _size(text: str, _context: CellContext) -> ReadCell:
    count = people_count(text)
    if count is None and is_date(text):
        note = f"{_shown(text)} is a date: a spreadsheet made it of a range such as 2-10"
        return ReadCell(None, note)
    return _not_understood(text) if count is None else ReadCell(count)


def _revenue(text: str, context: CellContext) -> ReadCell:
    money = read_money(text, context.currency)
    if money is None:
        return _not_understood(text)
    if money.currency in {None, context.currency}:
        return ReadCell(money.amount)
    kept = f"{money.amount} {money.currency}"
    if context.currency is None:
        return ReadCell(kept)
    note = f"{_shown(text)} is kept as {kept!r}, which rules cannot use: they count in"
    return ReadCell(kept, f"{note} {context.currency}")


def _technologies(text: str, _context: CellContext) -> ReadCell:
    value = _list(split_list(text.replace("\n", ",")))
    return _not_understood(text) if value is None else ReadCell(value)


def _list(items: tuple[str, ...]) -> tuple[str, ...] | None:
    texts = [text for item in items if (text := clean_text(item)) and not is_no_value(text)]
    return tuple(dict.fromkeys(texts)) or None


def _money(raw: float) -> Scalar | None:
    is_sum = not isinstance(raw, bool) and 0 <= raw < _MOST_MONEY
    return raw if is_sum else None


_LISTED = FieldName.COMPANY_TECHNOLOGIES
_LISTING = ":::"
_SPLITTING = frozenset({FieldName.EMAIL, FieldName.PHONE, FieldName.MOBILE_PHONE, _LISTED})
_READERS: Mapping[FieldName, _Reader] = {
    FieldName.EMAIL: _email,
    FieldName.EMAIL_STATUS: _plainly(_email_status),
    FieldName.PHONE: _phone,
    FieldName.MOBILE_PHONE: _phone,
    FieldName.TITLE: _title,
    FieldName.LINKEDIN_URL: _plainly(normalize_linkedin),
    FieldName.COMPANY_LINKEDIN_URL: _plainly(normalize_company_linkedin),
    FieldName.COMPANY_DOMAIN: _plainly(company_domain),
    FieldName.COMPANY_PAGE: _plainly(company_page),
    FieldName.COUNTRY: _country,
    FieldName.COMPANY_COUNTRY: _country,
    FieldName.COMPANY_SIZE: _size,
    FieldName.COMPANY_FOUNDED: _plainly(read_year),
    FieldName.COMPANY_REVENUE: _revenue,
    FieldName.COMPANY_TECHNOLOGIES: _technologies,
}
_NUMBERS: Mapping[FieldName, Callable[[float], Scalar | None]] = {
    FieldName.COMPANY_SIZE: people_count,
    FieldName.COMPANY_FOUNDED: read_year,
    FieldName.COMPANY_REVENUE: _money,
}
