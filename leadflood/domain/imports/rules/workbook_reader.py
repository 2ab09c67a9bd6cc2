"""Workbook reader: a sheet of an XLSX, XLSB, XLS or ODS as the records of a table.

The workbook is read by a process with bounds of its own (see `workbook_child`), row by row.
"""

import io
import itertools
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, NoReturn, cast

import leadflood
from leadflood.domain.imports.rules import workbook_child
from leadflood.domain.imports.rules.csv_reader import (
    CsvFile,
    CsvFormat,
    open_table,
)
from leadflood.domain.imports.rules.csv_records import Dialect, require_rows
from leadflood.domain.imports.rules.csv_sniffer import SAMPLE_ROWS
from leadflood.domain.imports.rules.header_row import HEADER_WITHIN, find_header
from leadflood.domain.imports.rules.workbook_messages import (
    SheetEnded,
    SheetOpened,
    SheetRows,
    WorkbookRefused,
    read_message,
)
from leadflood.domain.imports.schemas.records import Record
from leadflood.engine.errors import Invalid
from leadflood.engine.text import make_storable

_SHOWN_SHEETS = 10
_CODE_FOLDER = Path(leadflood.__file__).parents[1]


@contextmanager
def open_workbook(file: BinaryIO, kind: str, sheet: str | None) -> Iterator[CsvFile]:
    """Open a sheet of a workbook; None: the first with a table. Raises: Invalid."""
    with _on_disk(file) as source, _running_child(source, sheet) as answers:
        opened = read_message(answers)
        if not isinstance(opened, SheetOpened):
            _refuse(opened)
        yield _open_rows(_list_records(answers), _format_of(opened, kind, sheet))


def _format_of(opened: SheetOpened, kind: str, wanted: str | None) -> CsvFormat:
    others = [name for name in opened.sheets if name != opened.sheet]
    shown = ", ".join(map(repr, others[:_SHOWN_SHEETS]))
    warning = (
        f"the sheet {opened.sheet!r} is read; the workbook also has {shown}"
        f"{' and more' if len(others) > _SHOWN_SHEETS else ''}: name the one to read (`sheet`)"
    )
    return CsvFormat(
        encoding=kind,
        delimiter="",
        sheet=make_storable(opened.sheet),
        sheets=tuple(map(make_storable, opened.sheets)),
        warnings=(warning,) if others and wanted is None else (),
    )


@contextmanager
def _on_disk(file: BinaryIO) -> Iterator[BinaryIO]:
    """Return a file that another process can read."""
    try:
        file.fileno()
    except io.UnsupportedOperation:
        with tempfile.TemporaryFile() as copy:
            file.seek(0)
            shutil.copyfileobj(file, copy)
            copy.flush()
            yield cast("BinaryIO", copy)
    else:
        yield file


@contextmanager
def _running_child(source: BinaryIO, sheet: str | None) -> Iterator[BinaryIO]:
    """Return what the process says; it is gone when the block ends."""
    command = [sys.executable, "-m", workbook_child.__name__]
    child = subprocess.Popen(  # noqa: S603 -- our own interpreter and module
        command if sheet is None else [*command, sheet],
        cwd=_CODE_FOLDER,
        stdin=source.fileno(),
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    )
    try:
        yield cast("BinaryIO", child.stdout)
    finally:
        child.kill()
        child.communicate()


def _list_records(source: BinaryIO) -> Iterator[Record]:
    while isinstance(message := read_message(source), SheetRows):
        yield from (Record(number, cells) for number, cells in message.rows)
    if not isinstance(message, SheetEnded):
        _refuse(message)


def _refuse(message: object) -> NoReturn:
    """Say why the workbook cannot be read; nothing was said: it has passed a bound."""
    if isinstance(message, WorkbookRefused):
        raise Invalid(message.detail, code=message.code)
    raise Invalid(
        "the workbook needs more memory or time than a file may take: a sheet has cells far out, or"
        " unpacks to very much; save the sheet with the leads as CSV UTF-8 and send that",
        code="leads.workbook.too_large",
    )


def _open_rows(records: Iterator[Record], format_: CsvFormat) -> CsvFile:
    first = list(itertools.islice(records, HEADER_WITHIN + SAMPLE_ROWS))
    require_rows(first)
    rows = [record.cells for record in first]
    index = find_header(rows)
    width = max(map(len, rows[index or 0 :]))
    header_line = 0 if index is None else first[index].number
    padded = (_pad(record, width) for record in itertools.chain(first, records))
    return open_table(padded, Dialect(delimiter=",", width=width, header_line=header_line), format_)


def _pad(record: Record, width: int) -> Record:
    """Return a row with the empty cells at its end that the sheet shows too."""
    missing = width - len(record.cells)
    return Record(record.number, record.cells + ("",) * missing) if missing > 0 else record
