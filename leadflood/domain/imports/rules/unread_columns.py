"""Unread columns: those whose cells look like a person's, by the cells of all rows."""

from collections import Counter
from collections.abc import Iterable, Iterator

from leadflood.domain.imports.rules.cell_kinds import SHARE, is_filled, kind_of_cell
from leadflood.domain.imports.rules.column_mapping import warn_of_unread
from leadflood.domain.imports.schemas.columns import CellKind, FileColumns
from leadflood.domain.imports.schemas.records import Record

MOST_CELLS = 200
"""How many filled cells of a column are looked at."""


class UnreadColumns:
    """Looks at unknown columns while the rows pass: a column may be empty in the first ones."""

    def __init__(self, columns: FileColumns) -> None:
        self._columns = columns.columns
        self._counts: dict[int, Counter[CellKind | None]] = {
            index: Counter() for index in columns.unknown
        }
        self._open = set(columns.unknown)

    def watch(self, records: Iterable[Record]) -> Iterator[Record]:
        """Pass records on, and look at them."""
        for record in records:
            if self._open and record.problem is None:
                self._look_at(record.cells)
            yield record

    def _look_at(self, cells: tuple[str, ...]) -> None:
        for index in tuple(self._open):
            if index < len(cells) and is_filled(cells[index]):
                counts = self._counts[index]
                counts[kind_of_cell(cells[index])] += 1
                if counts.total() == MOST_CELLS:
                    self._open.discard(index)

    def warnings(self) -> list[str]:
        """Return which of them look like a person's, in words."""
        warnings = []
        for index, counts in self._counts.items():
            if not counts:
                continue
            kind, count = counts.most_common(1)[0]
            if kind is not None and count >= SHARE * counts.total():
                warnings += warn_of_unread(self._columns[index].name, kind)
        return warnings
