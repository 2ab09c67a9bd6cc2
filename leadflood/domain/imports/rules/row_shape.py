"""Row shape: rows with fewer cells than their header, and cells that stand in a wrong column.

A row may leave out its last cells. One that lacks a cell before them has its other cells in wrong
columns: an address where a text belongs, or a text where an address belongs, shows it.
"""

from collections.abc import Sequence

from leadflood.contracts.normalization.cells import read_cell
from leadflood.domain.imports.rules.address_kinds import AddressKind, find_address, kind_of
from leadflood.domain.imports.schemas.column_fields import ColumnField

_TEXTS = frozenset(
    {
        ColumnField.FULL_NAME,
        ColumnField.FIRST_NAME,
        ColumnField.LAST_NAME,
        ColumnField.TITLE,
        ColumnField.SENIORITY,
        ColumnField.DEPARTMENT,
        ColumnField.CITY,
        ColumnField.REGION,
        ColumnField.COUNTRY,
        ColumnField.COMPANY_NAME,
        ColumnField.COMPANY_INDUSTRY,
        ColumnField.COMPANY_COUNTRY,
    }
)
_TYPED = frozenset(
    {
        ColumnField.EMAIL,
        ColumnField.EMAIL_STATUS,
        ColumnField.PHONE,
        ColumnField.MOBILE_PHONE,
        ColumnField.LINKEDIN_URL,
        ColumnField.COUNTRY,
        ColumnField.COMPANY_DOMAIN,
        ColumnField.COMPANY_SIZE,
        ColumnField.COMPANY_COUNTRY,
        ColumnField.COMPANY_FOUNDED,
        ColumnField.COMPANY_LINKEDIN_URL,
    }
)
_KINDS = {
    ColumnField.EMAIL: {AddressKind.EMAIL},
    ColumnField.PHONE: {AddressKind.PHONE},
    ColumnField.MOBILE_PHONE: {AddressKind.PHONE},
    ColumnField.LINKEDIN_URL: {AddressKind.URL},
    ColumnField.COMPANY_LINKEDIN_URL: {AddressKind.URL},
    ColumnField.COMPANY_DOMAIN: {AddressKind.URL, AddressKind.EMAIL},
}
"""Fields whose cells look like no address of another kind."""
_SHOWN_CHARS = 60

Fields = Sequence[ColumnField | None]


def describe_width(cells: Sequence[str], fields: Fields) -> str | None:
    """Return how many cells a row has where it lacks some that are read, or has more; else None."""
    if len(cells) == len(fields) or (len(cells) < len(fields) and not any(fields[len(cells) :])):
        return None
    return _width(cells, fields)


def _width(cells: Sequence[str], fields: Fields) -> str:
    return f"{len(cells)} cells where the header has {len(fields)}"


def shape_notes(cells: Sequence[str], fields: Fields) -> tuple[str, ...]:
    """Return the note of a row that lacks cells, or has more."""
    width = describe_width(cells, fields)
    return () if width is None else (f"row: {width}",)


def find_shift(cells: Sequence[str], fields: Fields) -> str | None:
    """Return why the cells of a row stand in wrong columns; None: nothing shows that they do."""
    if len(cells) == len(fields):
        return _find_lost_email(cells, fields)
    fits = _fits if describe_width(cells, fields) else _may_fit
    for field, cell in zip(fields, cells, strict=False):
        text = cell.strip()
        if field and text and not fits(field, text):
            return (
                f"{_width(cells, fields)}, and {text[:_SHOWN_CHARS]!r} stands in the column of"
                f" {field.value}: a cell before it is"
                f" {'missing' if len(cells) < len(fields) else 'too many'}"
            )
    return _find_lost_email(cells, fields)


def _find_lost_email(cells: Sequence[str], fields: Fields) -> str | None:
    pairs = list(zip(fields, cells, strict=False))
    emails = [cell.strip() for field, cell in pairs if field is ColumnField.EMAIL]
    if not emails or any(emails):
        return None
    for field, cell in pairs:
        text = cell.strip()
        if field in _TEXTS and "@" in text and kind_of(text) is AddressKind.EMAIL:
            return (
                f"the e-mail address {text[:_SHOWN_CHARS]!r} stands in the column of {field.value},"
                " and the column for it is empty"
            )
    return None


def _may_fit(field: ColumnField, text: str) -> bool:
    """Whether nothing but a cell that no column reads is known to be left out.

    A value that is not understood is a fault of its own; an address of another kind is a shift.
    """
    if field in _TEXTS:
        return _fits(field, text)
    kind = kind_of(text)
    return kind is None or field not in _KINDS or kind in _KINDS[field]


def _fits(field: ColumnField, text: str) -> bool:
    if field in _TEXTS and (find_address(text) or kind_of(text) is not None):
        return False
    if field not in _TYPED or field.value_field is None:
        return True
    cell = read_cell(field.value_field, text)
    return cell.value is not None or cell.is_missing
