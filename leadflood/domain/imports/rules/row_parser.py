"""Row parser: a record of a CSV file becomes the values of a lead, or a bad row with its reason.

A row of a company without a person is a lead identified by the company's domain.
"""

from collections.abc import Collection, Mapping, Sequence

from leadflood.contracts.found_values import Scalar
from leadflood.contracts.normalization.cells import read_cell
from leadflood.contracts.normalization.emails import normalize_email
from leadflood.contracts.normalization.fields import field_of, normalize
from leadflood.contracts.normalization.profiles import normalize_company_linkedin
from leadflood.contracts.normalization.text import clean_text
from leadflood.contracts.values import FieldName
from leadflood.domain.imports.rules.row_shape import find_shift, shape_notes
from leadflood.domain.imports.schemas.column_fields import ColumnField
from leadflood.domain.imports.schemas.records import Record
from leadflood.domain.imports.schemas.rows import BadRow, ImportRow

_UNIDENTIFIED = (
    "nothing tells who this is: an e-mail, a LinkedIn address, an external id, a name with a"
    " company or a phone, a company's domain, or its name with a city, a country or a phone is"
    " needed"
)
_NAMES = (FieldName.FULL_NAME, FieldName.FIRST_NAME, FieldName.LAST_NAME)
_PLACES = (FieldName.CITY, FieldName.COUNTRY, FieldName.COMPANY_COUNTRY, FieldName.PHONE)
_STRONG_FIELDS = (FieldName.EMAIL, FieldName.LINKEDIN_URL, FieldName.COMPANY_DOMAIN)


def parse_row(
    record: Record,
    fields: Sequence[ColumnField | None],
    defaults: Mapping[ColumnField, str] | None = None,
    order: Sequence[int] = (),
) -> ImportRow | BadRow:
    """Turn a record into values, or say why it cannot be used; `defaults` fill empty cells.

    `order` says which of two columns for one field is read first; empty: as they stand.
    """
    problem = find_fault(record, fields)
    if problem is not None:
        return BadRow(number=record.number, reason=problem, raw=record.cells)
    texts: dict[ColumnField, str] = {}
    for column in order or range(len(fields)):
        field = fields[column]
        if field is None or column >= len(record.cells):
            continue
        if text := clean_text(record.cells[column]):
            texts.setdefault(field, text)
    email = texts.get(ColumnField.EMAIL)
    if email is not None and normalize_email(email) is None:
        reason = f"{email[:80]!r} is no e-mail address"
        return BadRow(number=record.number, reason=reason, raw=record.cells)
    values, notes = _parse_cells({**(defaults or {}), **texts})
    external_id = texts.get(ColumnField.EXTERNAL_ID)
    if external_id is None and not is_identifying(_identifying_fields(values)):
        return BadRow(number=record.number, reason=_UNIDENTIFIED, raw=record.cells)
    return ImportRow(
        number=record.number,
        values=values,
        raw=record.cells,
        notes=(*shape_notes(record.cells, fields), *notes),
        external_id=external_id,
    )


def find_fault(record: Record, fields: Sequence[ColumnField | None]) -> str | None:
    """Return why the cells of a row are not those of their columns; None: they are."""
    return record.problem or _surplus_cells(record, len(fields)) or find_shift(record.cells, fields)


def _surplus_cells(record: Record, column_count: int) -> str | None:
    if any(cell.strip() for cell in record.cells[column_count:]):
        return (
            f"{len(record.cells)} cells where the header has {column_count}: "
            "put a cell that contains the delimiter in quotes"
        )
    return None


def _parse_cells(texts: Mapping[ColumnField, str]) -> tuple[dict[FieldName, Scalar], list[str]]:
    values: dict[FieldName, Scalar] = {}
    notes: list[str] = []
    region = normalize(FieldName.COUNTRY, texts.get(ColumnField.COUNTRY, ""))
    for column, text in texts.items():
        if column.value_field is None:
            continue
        field = field_of(column.value_field, text)
        cell = read_cell(field, text, region if isinstance(region, str) else None)
        if cell.value is not None:
            values[field] = cell.value
        elif field is FieldName.LINKEDIN_URL and (page := normalize_company_linkedin(text)):
            values.setdefault(FieldName.COMPANY_LINKEDIN_URL, page)
            notes.append(f"{field.value}: {text[:60]!r} is a company's page, kept as that")
            continue
        if cell.note is not None:
            notes.append(f"{field.value}: {cell.note}")
    return values, notes


def is_identifying(fields: Collection[FieldName]) -> bool:
    """Whether values of these fields say which person or company it is."""
    if any(field in fields for field in _STRONG_FIELDS):
        return True
    if any(field in fields for field in _NAMES):
        return any(field in fields for field in (FieldName.COMPANY_NAME, FieldName.PHONE))
    has_place = any(field in fields for field in _PLACES)
    return FieldName.COMPANY_NAME in fields and has_place


def _identifying_fields(values: Mapping[FieldName, Scalar]) -> list[FieldName]:
    """Leave out a phone that cannot be called: it tells nobody."""
    return [
        field
        for field, value in values.items()
        if field is not FieldName.PHONE or str(value).startswith("+")
    ]
