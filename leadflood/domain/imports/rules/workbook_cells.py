"""Workbook cells: a typed cell as the text that a person would write in its place."""

from datetime import date, datetime, time, timedelta

Cell = str | int | float | bool | date | time | datetime | timedelta

_EXACT = 1e15
"""Numbers below are held exactly, so that they may be ids or phone numbers."""


def text_of(cell: Cell) -> str:
    """Return the text of a cell: whole numbers without a point, dates as ISO 8601 writes them."""
    if isinstance(cell, str):
        return cell
    if isinstance(cell, bool):
        return "TRUE" if cell else "FALSE"
    if isinstance(cell, float):
        is_whole = cell.is_integer() and abs(cell) < _EXACT
        return str(int(cell)) if is_whole else f"{cell:.15g}"
    if isinstance(cell, datetime):
        return str(cell.date()) if cell.time() == time() else cell.isoformat(" ", "seconds")
    return str(cell)
