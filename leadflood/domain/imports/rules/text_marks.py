"""Text marks: the apostrophe by which spreadsheets mark a cell as text, which is none of it.

It is a mark before a number, a formula or an e-mail address, and in columns where nearly all
cells have one. Names such as `'t Hooft` and `'s-Hertogenbosch` begin with one of their own.
"""

import re
from collections.abc import Iterator, Sequence

import msgspec

from leadflood.contracts.csv_safety import MARK
from leadflood.domain.imports.schemas.records import Record

_MOSTLY = 0.9
_BEFORE_SIGN = re.compile(r"'(?:[\d+=@-][^']*|[^\s'@]+@[^\s'@]+)\Z")
_OF_NAME = re.compile(r"'[^\W\d_A-Z]{1,2}[\s-]")
"""Dutch words that are written short: `'t`, `'s`, `'n`."""


def find_marked_columns(rows: Sequence[Sequence[str]], width: int) -> frozenset[int]:
    """Return the columns of which nearly all filled cells begin with a mark."""
    marked = set()
    for column in range(width):
        cells = (row[column] for row in rows if column < len(row))
        filled = [cell for cell in cells if cell.strip() and not _OF_NAME.match(cell)]
        count = sum(map(_may_be_marked, filled))
        if count and count >= _MOSTLY * len(filled):
            marked.add(column)
    return frozenset(marked)


def without_marks(records: Iterator[Record], marked: frozenset[int]) -> Iterator[Record]:
    """Yield records without the marks of their cells."""
    for record in records:
        if any(cell[:1] == MARK for cell in record.cells):
            cells = tuple(
                _unmark(cell, is_marked=column in marked)
                for column, cell in enumerate(record.cells)
            )
            yield msgspec.structs.replace(record, cells=cells)
        else:
            yield record


def _may_be_marked(cell: str) -> bool:
    is_quoted = len(cell) > 1 and cell.endswith(MARK)
    return cell.startswith(MARK) and not is_quoted and not _OF_NAME.match(cell)


def _unmark(cell: str, *, is_marked: bool) -> str:
    is_mark = _may_be_marked(cell) if is_marked else _BEFORE_SIGN.match(cell)
    return cell[1:] if is_mark else cell
