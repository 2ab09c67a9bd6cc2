"""A CSV file of people or companies: its rows turned into values, or into a reason why not.

Columns are matched to fields by their headers or as a person says; each row that cannot be used
is told with the reason. A row of a company without a person is a lead known by the company's
domain.
"""

import hashlib
import io
from collections.abc import Mapping, Sequence

from leadflood.contracts.found_values import Scalar
from leadflood.contracts.normalization import (
    clean_text,
    normalize,
    normalize_email,
    normalize_phone,
)
from leadflood.contracts.values import FieldName
from leadflood.domain.leads.headers import match_headers
from leadflood.domain.leads.records import Record, Sheet, open_sheet
from leadflood.domain.leads.schemas import BadRow, HeaderMatch, ImportRow, ReadCsv

_WHO = (
    "nothing tells who this is: an e-mail, a LinkedIn address, a name with a company, "
    "or a company's domain is needed"
)
_STATUS_WORDS = {
    "verified": "valid",
    "deliverable": "valid",
    "ok": "valid",
    "accept all": "catch_all",
    "catch all": "catch_all",
    "catch-all": "catch_all",
    "unverified": "unknown",
    "likely to engage": "unknown",
    "guessed": "unknown",
    "undeliverable": "invalid",
    "bounced": "invalid",
}


def read_csv(raw: bytes) -> ReadCsv:
    """Read a file.

    Raises: Invalid where it is no CSV at all, or has no column that is understood.
    """
    rows: list[ImportRow] = []
    bad: list[BadRow] = []
    with open_sheet(io.BytesIO(raw)) as sheet:
        fields = guess_fields(sheet)
        for record in sheet.records:
            read = read_row(record, fields)
            if isinstance(read, ImportRow):
                rows.append(read)
            else:
                bad.append(read)
    return ReadCsv(
        rows=tuple(rows),
        bad=tuple(bad),
        mapping=tuple(HeaderMatch(*pair) for pair in zip(sheet.headers, fields, strict=True)),
        encoding=sheet.form.encoding,
        delimiter=sheet.form.delimiter,
        skipped_lines=sheet.skipped_lines,
        sha256=hashlib.sha256(raw).digest(),
    )


def guess_fields(sheet: Sheet) -> tuple[FieldName | None, ...]:
    """Tell what each column is, by its header and its first cells."""
    return match_headers(sheet.headers, [record.cells for record in sheet.sample])


def read_row(
    record: Record,
    fields: Sequence[FieldName | None],
    defaults: Mapping[FieldName, str] | None = None,
) -> ImportRow | BadRow:
    """Turn a record into values, or tell why it cannot be used; `defaults` fill empty cells."""
    problem = record.problem or _surplus(record, len(fields))
    if problem is not None:
        return BadRow(number=record.number, reason=problem, raw=record.cells)
    given: dict[FieldName, str] = {}
    for field, cell in zip(fields, record.cells, strict=False):
        if field is not None and (text := clean_text(cell)):
            given.setdefault(field, text)
    email = given.get(FieldName.EMAIL)
    if email is not None and normalize_email(email) is None:
        reason = f"{email[:80]!r} is no e-mail address"
        return BadRow(number=record.number, reason=reason, raw=record.cells)
    values, notes = _understand({**(defaults or {}), **given})
    if not tells_who(values):
        return BadRow(number=record.number, reason=_WHO, raw=record.cells)
    return ImportRow(number=record.number, values=values, raw=record.cells, notes=tuple(notes))


def _surplus(record: Record, columns: int) -> str | None:
    if any(cell.strip() for cell in record.cells[columns:]):
        return (
            f"{len(record.cells)} cells where the header has {columns}: "
            "put a cell that contains the delimiter in quotes"
        )
    return None


def _understand(given: Mapping[FieldName, str]) -> tuple[dict[FieldName, Scalar], list[str]]:
    values: dict[FieldName, Scalar] = {}
    notes: list[str] = []
    region = normalize(FieldName.COUNTRY, given.get(FieldName.COUNTRY, ""))
    for field, text in given.items():
        value = read_cell(field, text, region if isinstance(region, str) else None)
        if value is None:
            notes.append(f"{field.value}: {text[:60]!r} is not understood")
        else:
            values[field] = value
    return values, notes


def read_cell(field: FieldName, text: str, region: str | None) -> Scalar | None:
    """Tell a cell's value; None when it is not understood. `region` helps with phones."""
    if field is FieldName.PHONE:
        return normalize_phone(text, region)
    if field is FieldName.COMPANY_TECHNOLOGIES:
        parts = text.replace(";", ",").replace("|", ",").split(",")
        return normalize(field, tuple(part.strip() for part in parts))
    if field is FieldName.EMAIL_STATUS:
        return normalize(field, _STATUS_WORDS.get(text.casefold(), text))
    if field is FieldName.COMPANY_FOUNDED:
        return int(text) if text.isascii() and text.isdigit() and len(text) == 4 else None  # noqa: PLR2004 - a year
    return normalize(field, text)


def tells_who(values: Mapping[FieldName, Scalar]) -> bool:
    """Tell whether values (or merely their fields) say which person or company this is."""
    if {FieldName.EMAIL, FieldName.LINKEDIN_URL, FieldName.COMPANY_DOMAIN} & values.keys():
        return True
    named = FieldName.FULL_NAME in values or (
        FieldName.FIRST_NAME in values and FieldName.LAST_NAME in values
    )
    return named and FieldName.COMPANY_NAME in values
