"""Header row: which of the first rows of a file names its columns, if any does."""

from collections import Counter
from collections.abc import Sequence

from leadflood.domain.imports.rules.cell_kinds import is_typed, kind_of_cell
from leadflood.domain.imports.rules.column_words import count_known
from leadflood.domain.imports.schemas.columns import CellKind

HEADER_WITHIN = 30
"""How many of the first rows may stand before the header."""
_MOST_CELLS = 500
_ADDRESSES = frozenset({CellKind.EMAIL, CellKind.PROFILE, CellKind.COMPANY_PAGE, CellKind.URL})


def find_header(rows: Sequence[tuple[str, ...]]) -> int | None:
    """Return the index of the header row; None when the first row is a lead already.

    It is the first row with many headers that are known: a lead below may look like one (`Owner`),
    and a title above. Where none is known, it is the first row that is as wide as most and holds no
    value (an address, a number, a date), if rows below hold some.
    """
    within = rows[:HEADER_WITHIN]
    known_counts = [_count_headers(row) for row in within]
    most = max(known_counts, default=0)
    if most:
        return next(at for at, count in enumerate(known_counts) if 3 * count >= 2 * most)
    width = _usual_width(rows)
    index = next((at for at, row in enumerate(within) if len(row) == width), 0)
    has_values_below = any(_holds_value(row) for row in rows[index + 1 :])
    return index if has_values_below and _may_be_header(rows[index]) else None


def _count_headers(row: tuple[str, ...]) -> int:
    count = count_known(row)
    if any(_is_address(cell) for cell in row[:_MOST_CELLS]):
        return 0
    return count if count > 1 or not _holds_value(row) else 0


def _is_address(cell: str) -> bool:
    """Whether a cell is an address, and no header that looks like one (`Account.Name`)."""
    return kind_of_cell(cell) in _ADDRESSES and not count_known((cell,))


def _usual_width(rows: Sequence[tuple[str, ...]]) -> int:
    return Counter(len(row) for row in rows).most_common(1)[0][0] if rows else 0


def _holds_value(row: tuple[str, ...]) -> bool:
    return any(is_typed(cell) for cell in row[:_MOST_CELLS])


def _may_be_header(row: tuple[str, ...]) -> bool:
    """Whether each cell but one is filled with a text of its own."""
    texts = {cell.strip() for cell in row} - {""}
    return len(texts) >= max(len(row) - 1, 1) and not _holds_value(row)
