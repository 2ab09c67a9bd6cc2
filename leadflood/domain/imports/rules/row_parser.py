"""Row parser: a record of a CSV file becomes the values of a lead, or a bad row with its reason.

A row of a company without a person is a lead identified by the company's domain.
"""

from collections.abc import Collection, Mapping, Sequence
from functools import lru_cache

from leadflood.contracts.found_values import Scalar
from leadflood.contracts.normalization.cells import is_missing
from leadflood.contracts.normalization.countries import country_code
from leadflood.contracts.normalization.fields import field_of
from leadflood.contracts.normalization.phones import callable_number
from leadflood.contracts.normalization.rows import ReadRow, read_row
from leadflood.contracts.normalization.text import clean_text
from leadflood.contracts.values import FieldName
from leadflood.domain.imports.rules.row_shape import find_shift, shape_notes
from leadflood.domain.imports.schemas.column_fields import ColumnField
from leadflood.domain.imports.schemas.records import Record
from leadflood.domain.imports.schemas.rows import BadRow, ExternalId, ImportRow

_UNIDENTIFIED = (
    "nothing tells who this is: an e-mail, a LinkedIn address, a name with a company, a phone or an"
    " external id, a company's domain, or its name with a city, a country, a phone or an external"
    " id is needed"
)
_NAMES = (FieldName.FULL_NAME, FieldName.FIRST_NAME, FieldName.LAST_NAME)
_PHONES = (FieldName.PHONE, FieldName.MOBILE_PHONE)
_PLACES = (FieldName.CITY, FieldName.COUNTRY, FieldName.COMPANY_COUNTRY, *_PHONES)
_STRONG_FIELDS = (FieldName.EMAIL, FieldName.LINKEDIN_URL, FieldName.COMPANY_DOMAIN)
_PERSONAL = frozenset({FieldName.EMAIL, FieldName.LINKEDIN_URL, *_NAMES, *_PHONES})
_IDENTIFYING = frozenset({*_PERSONAL, FieldName.COMPANY_DOMAIN, FieldName.COMPANY_NAME})


def parse_row(
    record: Record,
    fields: tuple[ColumnField | None, ...],
    defaults: Mapping[ColumnField, str] | None = None,
    order: tuple[int, ...] = (),
    currency: str | None = None,
    external_ids: tuple[ExternalId, ...] = (),
) -> ImportRow | BadRow:
    """Turn a record without a fault into values, or say why it is nobody's.

    `defaults` fill empty cells, `external_ids` are those of the row.

    `order` says which of two columns for one field is read first; empty: as they stand.
    `currency` is the one in which sums are numbers.
    """
    cells = record.cells
    texts: dict[FieldName, list[str]] = {}
    for column, field in _list_columns(fields, order):
        if column < len(cells) and (text := clean_text(cells[column])):
            texts.setdefault(field_of(field, text), []).append(cells[column])
    row = _read(texts, defaults or {}, currency)
    notes = tuple(f"{field.value}: {note}" for field, note in row.notes)
    fields_of_row = _identifying_fields(row.values)
    has_id = bool(external_ids)
    if not is_identifying(fields_of_row, has_id=has_id, of_people=_are_people(fields)):
        reason = _unidentified(row)
        return BadRow(number=record.number, reason=reason, raw=record.cells)
    return ImportRow(
        number=record.number,
        values=row.values,
        others=row.others,
        raw=record.cells,
        notes=(*shape_notes(record.cells, fields), *notes),
        external_ids=external_ids,
    )


@lru_cache(maxsize=64)
def _list_columns(
    fields: tuple[ColumnField | None, ...], order: tuple[int, ...]
) -> list[tuple[int, FieldName]]:
    """List the columns of values, with their fields."""
    columns = [(column, fields[column]) for column in order or range(len(fields))]
    return [(column, field.value_field) for column, field in columns if field and field.value_field]


def find_fault(record: Record, fields: Sequence[ColumnField | None]) -> str | None:
    """Return why the cells of a row are not those of their columns; None: they are."""
    return record.problem or _surplus_cells(record, len(fields)) or find_shift(record.cells, fields)


def _read(
    texts: dict[FieldName, list[str]], defaults: Mapping[ColumnField, str], currency: str | None
) -> ReadRow:
    """Read the cells of a row; defaults take the place of those that say nothing."""
    for column, text in defaults.items():
        field = column.value_field
        if field is not None and all(is_missing(field, cell) for cell in texts.get(field, ())):
            texts[field] = [text]
    return read_row(texts, country_code(defaults.get(ColumnField.COUNTRY, "")), currency)


def _unidentified(row: ReadRow) -> str:
    """Return why a row is nobody, with what was not understood of the cells that could tell."""
    unread = [f"{field.value}: {note}" for field, note in row.notes if field in _IDENTIFYING]
    return "; ".join([*unread, _UNIDENTIFIED])


def _surplus_cells(record: Record, column_count: int) -> str | None:
    if any(cell.strip() for cell in record.cells[column_count:]):
        return (
            f"{len(record.cells)} cells where the header has {column_count}: "
            "put a cell that contains the delimiter in quotes"
        )
    return None


@lru_cache(maxsize=64)
def _are_people(fields: tuple[ColumnField | None, ...]) -> bool:
    return any(field and field.value_field in _PERSONAL for field in fields)


def is_identifying(
    fields: Collection[FieldName], *, has_id: bool = False, of_people: bool = False
) -> bool:
    """Whether values of these fields, and an external id, say which person or company it is.

    `of_people`: an id and a company's name alone are nobody in a file of people.
    """
    if has_id and not (_PERSONAL if of_people else _IDENTIFYING).isdisjoint(fields):
        return True
    if any(field in fields for field in _STRONG_FIELDS):
        return True
    if any(field in fields for field in _NAMES):
        return any(field in fields for field in (FieldName.COMPANY_NAME, *_PHONES))
    has_place = any(field in fields for field in _PLACES)
    return FieldName.COMPANY_NAME in fields and has_place


def _identifying_fields(values: Mapping[FieldName, Scalar]) -> list[FieldName]:
    """Leave out a phone that cannot be called: it tells nobody."""
    return [
        field
        for field, value in values.items()
        if field not in _PHONES or callable_number(str(value))
    ]
