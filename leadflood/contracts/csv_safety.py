"""CSV safety: cells that no spreadsheet takes for formulas.

Source: OWASP, CSV Injection (read 2026-01): a cell that begins with `=`, `+`, `-`, `@`, a tab, a
carriage return or a line feed may be run as a formula. Spreadsheets also look past spaces, and
some read the full-width forms as the plain ones.
"""

import csv
import io
import unicodedata
from collections.abc import Iterable, Sequence
from typing import TextIO

MARK = "'"
"""The prefix of such a cell, and of a cell that begins with the mark, so that it can be undone."""

_STARTS = frozenset("=+-@\t\r\n\u2212\ufe63\uff1d\uff0b\uff0d\uff20\ufe66\ufe62\ufe6b")
_INVISIBLE = frozenset({"Cc", "Cf", "Zs", "Zl", "Zp"})


def write_csv(rows: Iterable[Sequence[str]]) -> bytes:
    """Return rows as CSV, every cell neutral."""
    text = io.StringIO(newline="")
    write_rows(text, rows)
    return text.getvalue().encode("utf-8", "replace")


def write_rows(file: TextIO, rows: Iterable[Sequence[str]]) -> int:
    """Write rows to an open file as CSV, every cell neutral; return the number of rows."""
    writer = csv.writer(file)
    count = 0
    for row in rows:
        writer.writerow([neutral(cell) for cell in row])
        count += 1
    return count


def neutral(cell: str) -> str:
    """Return a cell as plain text for every spreadsheet; without its first mark it is as it was."""
    return MARK + cell if _may_run(cell) or cell.startswith(MARK) else cell


def _may_run(cell: str) -> bool:
    for character in cell:
        if character in _STARTS:
            return True
        if unicodedata.category(character) not in _INVISIBLE:
            return False
    return False
