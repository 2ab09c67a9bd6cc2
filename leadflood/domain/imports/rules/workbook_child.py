"""Workbook child: a process that reads one sheet of the workbook on its standard input.

    python -m leadflood.domain.imports.rules.workbook_child [sheet]

It is a process of its own because a small workbook can ask for any amount of memory, and its
reader then aborts. Cells are values as they were saved: no formula is evaluated.
"""

import contextlib
import itertools
import re
import sys
import zipfile
from collections.abc import Iterator, Sequence
from typing import BinaryIO

import python_calamine

from leadflood.domain.imports.rules.column_words import count_known
from leadflood.domain.imports.rules.workbook_cells import text_of
from leadflood.domain.imports.rules.workbook_messages import (
    SheetEnded,
    SheetOpened,
    SheetRows,
    WorkbookRefused,
    write_message,
)

MEMORY_BYTES = 2_000_000_000
CPU_SECONDS = 120
MAX_SHEETS = 1_000
_LOOKED_AT = 30
"""How many sheets, and rows of each, are looked at for a table."""
_MIN_HEADERS = 2
_BATCH_ROWS = 500
# The stream of an encrypted XLSX, or the record behind the first one of an encrypted XLS.
_ENCRYPTED_EXCEL = re.compile(
    b"%s|\x09\x08\x10\x00\x00[\x05\x06].{10,300}?\x2f\x00[\x04\x36]\x00"
    % "EncryptedPackage".encode("utf-16-le"),
    re.DOTALL,
)
_ENCRYPTED = WorkbookRefused(
    "leads.workbook.encrypted",
    "the workbook is encrypted: save it without a password and send that",
)


def limit_resources() -> None:
    """Limit what this process may use, where the system can."""
    with contextlib.suppress(ImportError):
        import resource  # noqa: PLC0415 - not on Windows

        resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES, MEMORY_BYTES))
        resource.setrlimit(resource.RLIMIT_CPU, (CPU_SECONDS, CPU_SECONDS))
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def main(sheet: str | None, source: BinaryIO, target: BinaryIO) -> None:
    """Send the rows of a sheet, of the first with a table where none is named."""
    source.seek(0)
    try:
        workbook = python_calamine.load_workbook(source)
        refusal = _send_sheet(workbook, sheet, target)
    except python_calamine.PasswordError:
        refusal = _ENCRYPTED
    except (python_calamine.CalamineError, ValueError, OSError) as error:
        refusal = _ENCRYPTED if _is_encrypted(source) else _refuse(error)
    write_message(target, refusal or SheetEnded())


def _is_encrypted(source: BinaryIO) -> bool:
    """Whether a workbook that was not recognized is encrypted: of Excel old or new, or an ODS."""
    source.seek(0)
    if _ENCRYPTED_EXCEL.search(source.read()):
        return True
    try:
        with zipfile.ZipFile(source) as archive:
            return b"encryption-data" in archive.read("META-INF/manifest.xml")
    except (zipfile.BadZipFile, KeyError):
        return False


def _refuse(error: Exception) -> WorkbookRefused:
    return WorkbookRefused(
        "leads.workbook.unreadable",
        f"the workbook cannot be read ({str(error)[:200]}): open it, and save it as XLSX or CSV",
    )


def _send_sheet(
    workbook: python_calamine.CalamineWorkbook, sheet: str | None, target: BinaryIO
) -> WorkbookRefused | None:
    names = _list_sheets(workbook)
    if sheet is None and len(names) > MAX_SHEETS:
        return WorkbookRefused(
            "leads.workbook.sheets",
            f"the workbook has {len(names):,} sheets: name the one to read (`sheet`)",
        )
    chosen = _find_table(workbook, names) if sheet is None else sheet
    if chosen not in workbook.sheet_names:
        shown = ", ".join(names[:20]) or "none"
        return WorkbookRefused(
            "leads.workbook.no_sheet", f"the workbook has no such sheet: it has {shown}"
        )
    write_message(target, SheetOpened(chosen, tuple(names[:MAX_SHEETS])))
    rows = _list_rows(workbook, chosen)
    while batch := list(itertools.islice(rows, _BATCH_ROWS)):
        write_message(target, SheetRows(batch))
    return None


def _list_sheets(workbook: python_calamine.CalamineWorkbook) -> list[str]:
    """List the sheets that hold cells, those that are shown first."""
    sheets = [
        sheet
        for sheet in workbook.sheets_metadata
        if sheet.typ is python_calamine.SheetTypeEnum.WorkSheet
    ]
    sheets.sort(key=lambda sheet: sheet.visible is not python_calamine.SheetVisibleEnum.Visible)
    return [sheet.name for sheet in sheets]


def _find_table(workbook: python_calamine.CalamineWorkbook, names: Sequence[str]) -> str:
    """Return the first sheet with known headers above a row; else the first with two rows."""
    second = None
    for name in names[:_LOOKED_AT]:
        rows = [cells for _, cells in itertools.islice(_list_rows(workbook, name), _LOOKED_AT)]
        if any(count_known(cells) >= _MIN_HEADERS for cells in rows[:-1]):
            return name
        if second is None and len(rows) > 1:
            second = name
    return second or next(iter(names), "")


def _list_rows(
    workbook: python_calamine.CalamineWorkbook, name: str
) -> Iterator[tuple[int, tuple[str, ...]]]:
    for number, row in enumerate(workbook.get_sheet_by_name(name).iter_rows(), 1):
        while row and row[-1] == "":
            row.pop()
        if row:
            cells = tuple([text_of(cell) for cell in row])
            if any(map(str.strip, cells)):
                yield number, cells


if __name__ == "__main__":
    limit_resources()
    main(sys.argv[1] if len(sys.argv) > 1 else None, sys.stdin.buffer, sys.stdout.buffer)
