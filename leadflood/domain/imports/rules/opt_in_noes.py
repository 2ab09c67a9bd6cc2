"""Noes of opt-ins: whether they refuse or only never agreed is for a person to say."""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence

from leadflood.domain.imports.rules.consent_cells import Answer, read_consent_cell
from leadflood.domain.imports.rules.consent_columns import describe_column
from leadflood.domain.imports.schemas.column_fields import ColumnField
from leadflood.domain.imports.schemas.columns import Column, NoOptIn
from leadflood.domain.imports.schemas.records import Record

_SHOWN_CHARS = 40
_TEXTS = {
    Answer.UNASKED: "taken as nobody asked: no agreement is kept, and nobody is suppressed for it;"
    " `noOptIn: refused` (--no-opt-in) takes it as a no",
    Answer.NO: "taken as a no: whom it names will be suppressed; where they were never asked,"
    " `noOptIn: not_asked` (--no-opt-in) says so",
}


class OptInNoes:
    """Looks at the columns of opt-ins while the rows pass."""

    def __init__(self, columns: Sequence[Column]) -> None:
        self._columns = {
            index: describe_column(index, column.header, ColumnField.OPT_IN)
            for index, column in enumerate(columns)
            if column.guess is ColumnField.OPT_IN
        }
        self._names = [column.name for column in columns]
        self._counts: Counter[tuple[int, Answer]] = Counter()
        self._examples: dict[tuple[int, Answer], str] = {}

    def watch(self, records: Iterable[Record]) -> Iterator[Record]:
        """Pass records on, and look at them."""
        for record in records:
            if self._columns and record.problem is None:
                self._look_at(record.cells)
            yield record

    def _look_at(self, cells: tuple[str, ...]) -> None:
        for index, column in self._columns.items():
            text = cells[index] if index < len(cells) else ""
            if not text or text.isspace():
                continue
            key = (index, read_consent_cell(column, text).answer)
            self._counts[key] += 1
            self._examples.setdefault(key, text[:_SHOWN_CHARS])

    def warnings(self, choice: NoOptIn | None = None) -> list[str]:
        """Return how the noes of each column are taken, unless somebody has said it."""
        if choice is not None:
            return []
        return [
            f"column {self._names[index]!r}: {count:,} cells such as"
            f" {self._examples[index, answer]!r} are {_TEXTS[answer]}"
            for (index, answer), count in sorted(
                self._counts.items(), key=lambda item: (item[0][0], item[0][1].value)
            )
            if answer in _TEXTS
        ]
