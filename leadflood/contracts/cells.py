"""Cells of CSV files that no spreadsheet takes for formulas; pure.

Source: OWASP, CSV Injection (read 2026-01): a cell that begins with `=`, `+`, `-`, `@`, a tab, a
carriage return or a line feed may be run as a formula. Spreadsheets also look past spaces, and
some read the full-width forms as the plain ones.
"""

import unicodedata

MARK = "'"
"""Put before such a cell; also before one that begins with it, so that it can be taken off."""

_STARTS = frozenset("=+-@\t\r\n\u2212\ufe63\uff1d\uff0b\uff0d\uff20\ufe66\ufe62\ufe6b")
_UNSEEN = frozenset({"Cc", "Cf", "Zs", "Zl", "Zp"})


def neutral(cell: str) -> str:
    """Make a cell plain text for every spreadsheet; without its first mark it is as it was."""
    return MARK + cell if _may_run(cell) or cell.startswith(MARK) else cell


def _may_run(cell: str) -> bool:
    for character in cell:
        if character in _STARTS:
            return True
        if unicodedata.category(character) not in _UNSEEN:
            return False
    return False
