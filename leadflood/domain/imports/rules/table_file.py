"""Table file: a CSV, a workbook, or a zip with one of them, opened as a table."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import BinaryIO

from leadflood.domain.imports.rules.csv_reader import CsvFile, open_csv
from leadflood.domain.imports.rules.file_kind import FileKind, find_kind
from leadflood.domain.imports.rules.own_export import restore_cells, restore_workbook
from leadflood.domain.imports.rules.packed_files import open_only_member
from leadflood.domain.imports.rules.workbook_reader import open_workbook
from leadflood.engine.errors import Invalid

MAX_SHEET_NAME = 200


@contextmanager
def open_table_file(file: BinaryIO, sheet: str | None = None) -> Iterator[CsvFile]:
    """Open a file by what it is; `sheet` None: the first of a workbook with a table.

    Raises: Invalid, saying what it is and what to send.
    """
    kind = find_kind(file)
    if kind is not FileKind.PACKED:
        with _open(file, kind, sheet) as table:
            yield table
        return
    with open_only_member(file) as member:
        inner = find_kind(member)
        if inner is FileKind.PACKED:
            raise Invalid("the zip holds a zip: unpack it", code="leads.zip.files")
        with _open(member, inner, sheet) as table:
            yield table


def headings_of(file: CsvFile) -> tuple[str, ...]:
    """Return what stands above a table: the name of its sheet, and the lines before its header."""
    return tuple(text for text in (file.format.sheet, *file.skipped_lines) if text)


@contextmanager
def _open(file: BinaryIO, kind: FileKind, sheet: str | None) -> Iterator[CsvFile]:
    if kind is not FileKind.CSV:
        with open_workbook(file, kind.value, sheet) as table:
            yield restore_workbook(table)
        return
    if sheet is not None:
        raise Invalid(
            f"the file is a CSV: it has no sheet {sheet[:MAX_SHEET_NAME]!r}",
            code="leads.workbook.no_sheet",
        )
    with open_csv(file) as table:
        yield restore_cells(table)
