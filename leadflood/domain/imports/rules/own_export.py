"""Files of ours that come back: known by their headers, their guarding apostrophes taken off."""

from collections.abc import Sequence

import msgspec

from leadflood.contracts.csv_safety import restore
from leadflood.contracts.lead_columns import ATTRIBUTES, ID, OWNER_EMAIL, TAGS, VALUES
from leadflood.domain.imports.rules.csv_reader import CsvFile
from leadflood.domain.imports.rules.text_marks import find_marked_columns, without_marks
from leadflood.domain.imports.schemas.column_fields import ColumnField
from leadflood.domain.imports.schemas.records import Record
from leadflood.domain.imports.schemas.rows import BAD_ROWS_HEADERS

_READ = {
    **{header: ColumnField(field.value) for header, field in VALUES.items()},
    TAGS: ColumnField.TAGS,
    OWNER_EMAIL: ColumnField.OWNER,
}
_HEADERS = frozenset({*_READ, *ATTRIBUTES})
_LEAD_ID = "lead_id"
_SCORED = frozenset({"why", "found_full_name", _LEAD_ID})
"""Some of the columns that `leadflood run` adds to a file."""


def is_own_export(headers: Sequence[str]) -> bool:
    """Whether headers are those of an export of ours: its names, as they stand, and no other."""
    return ID in headers and len(headers) > 1 and _HEADERS.issuperset(headers)


def own_fields(headers: Sequence[str]) -> tuple[ColumnField | None, ...]:
    """Return the fields of an export's columns; what the installation knows of a lead is none."""
    return tuple(_READ.get(header) for header in headers)


def without_own_ids(
    headers: Sequence[str], fields: Sequence[ColumnField | None]
) -> tuple[ColumnField | None, ...]:
    """Return fields without the ids of our own leads that `leadflood run` writes beside rows."""
    is_scored = _SCORED.issubset(headers)
    return tuple(
        None if is_scored and header == _LEAD_ID else field
        for header, field in zip(headers, fields, strict=True)
    )


def restore_cells(file: CsvFile) -> CsvFile:
    """Return a CSV of ours with the cells that it guards as they were.

    Exports are ours, bad rows, and what `leadflood run` writes; in any other file only a
    spreadsheet's marks of text are taken off.
    """
    is_ours = is_own_export(file.headers) or _SCORED.issubset(file.headers)
    return _restore_all(file) if is_ours else restore_workbook(file)


def restore_workbook(file: CsvFile) -> CsvFile:
    """Return a table without guards where it is of bad rows of ours, else without marks of text.

    Of our exports only those in CSV have guards: a workbook holds texts as they are.
    """
    width = len(BAD_ROWS_HEADERS)
    if file.headers[:width] == BAD_ROWS_HEADERS:
        return _restore_all(file)
    return file if is_own_export(file.headers) else _unmark_all(file)


def _unmark_all(file: CsvFile) -> CsvFile:
    marked = find_marked_columns([record.cells for record in file.sample], len(file.headers))
    return msgspec.structs.replace(
        file,
        sample=tuple(without_marks(iter(file.sample), marked)),
        records=without_marks(file.records, marked),
    )


def _restore_all(file: CsvFile) -> CsvFile:
    return msgspec.structs.replace(
        file,
        headers=tuple(map(restore, file.headers)),
        sample=tuple(map(_restore, file.sample)),
        records=map(_restore, file.records),
    )


def _restore(record: Record) -> Record:
    if record.problem is not None:
        return record
    return msgspec.structs.replace(record, cells=tuple(map(restore, record.cells)))
