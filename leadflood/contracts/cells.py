"""CSV as we write it: no spreadsheet takes a cell for a formula; pure.

Source: OWASP, CSV Injection (read 2026-01): a cell that begins with `=`, `+`, `-`, `@`, a tab, a
carriage return or a line feed may be run as a formula. Spreadsheets also look past spaces, and
some read the full-width forms as the plain ones.
"""

import csv
import io
import unicodedata
from collections.abc import Iterable, Sequence

MARK = "'"
"""Put before such a cell; also before one that begins with it, so that it can be taken off."""

_STARTS = frozenset("=+-@\t\r\n\u2212\ufe63\uff1d\uff0b\uff0d\uff20\ufe66\ufe62\ufe6b")
_UNSEEN = frozenset({"Cc", "Cf", "Zs", "Zl", "Zp"})


def write_csv(rows: Iterable[Sequence[str]]) -> bytes:
    """Return rows as CSV, every cell neutral."""
    text = io.StringIO(newline="")
    writer = csv.writer(text)
    for row in rows:
        writer.writerow([neutral(cell) for cell in row])
    return text.getvalue().encode("utf-8", "replace")


def neutral(cell: str) -> str:
    """Make a cell plain text for every spreadsheet; `restored` gives it back as it was."""
    return MARK + cell if _may_run(cell) or cell.startswith(MARK) else cell


def restored(cell: str) -> str:
    """Give back what `neutral` was given: without the one mark it begins with."""
    return cell.removeprefix(MARK)


def _may_run(cell: str) -> bool:
    for character in cell:
        if character in _STARTS:
            return True
        if unicodedata.category(character) not in _UNSEEN:
            return False
    return False
