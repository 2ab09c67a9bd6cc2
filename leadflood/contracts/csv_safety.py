"""CSV safety: cells that no spreadsheet takes for formulas.

Source: OWASP, CSV Injection (read 2026-01): a cell that begins with `=`, `+`, `-`, `@`, a tab, a
carriage return or a line feed may be run as a formula. Spreadsheets also look past spaces, and
some read the full-width forms as the plain ones.
"""

import csv
import io
import re
import unicodedata
from collections.abc import Iterable, Sequence
from typing import TextIO

MARK = "'"
"""The prefix of such a cell, and of what begins with the mark, so that it can be undone."""

_STARTS = frozenset("=+-@\t\r\n\u2212\ufe63\uff1d\uff0b\uff0d\uff20\ufe66\ufe62\ufe6b")
_SEPARATOR = re.compile(r"[;\t|\r\n]")
_PARTS = re.compile(r"[^;\t|\r\n]*(?:[;\t|\r\n]|\Z)")
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
    """Return a cell as plain text for every spreadsheet; `restore` gives it back.

    A spreadsheet may be told, or guess, another separator than the file's: what stands behind one
    within the cell begins a cell there.
    """
    if _SEPARATOR.search(cell) is None:
        return _mark(cell)
    return "".join(_mark(part) for part in _PARTS.findall(cell))


def restore(cell: str) -> str:
    """Return a cell as it was before `neutral` made it so; one that it cannot have made stays."""
    if MARK not in cell:
        return cell
    return "".join(_take_mark_off(part) for part in _PARTS.findall(cell))


def _mark(part: str) -> str:
    return MARK + part if part.startswith(MARK) or _may_run(part) else part


def _take_mark_off(part: str) -> str:
    if not part.startswith(MARK):
        return part
    rest = part.removeprefix(MARK)
    return rest if _mark(rest) == part else part


def _may_run(cell: str) -> bool:
    for character in cell:
        if character in _STARTS:
            return True
        if unicodedata.category(character) not in _INVISIBLE:
            return False
    return False
