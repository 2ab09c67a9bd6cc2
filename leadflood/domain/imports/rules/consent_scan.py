"""Consent scan: which columns of a file speak of consent, by all of their cells."""

from collections.abc import Iterable, Iterator, Sequence

import msgspec

from leadflood.domain.imports.rules.consent_cells import (
    Answer,
    is_refusal,
    mentions_refusal,
    read_consent_cell,
)
from leadflood.domain.imports.rules.consent_columns import describe_column, guess_consent_field
from leadflood.domain.imports.schemas.column_fields import CONSENT_FIELDS, ColumnField
from leadflood.domain.imports.schemas.columns import Column
from leadflood.domain.imports.schemas.records import Record

_STATUSES = frozenset({ColumnField.CONTACT_STATUS, ColumnField.EMAIL_STATUS, ColumnField.TAGS})
_AGREEMENTS = frozenset({ColumnField.OPT_IN, ColumnField.OPT_IN_AT, ColumnField.OPT_IN_WORDING})


class ConsentScan:
    """Looks through all rows for a no in columns of a status and in those that are not read.

    A column whose header speaks of consent goes on to speak of it where it is filled. One whose
    cells are a no as a whole is a status; one that mentions a no is named to a person.
    """

    def __init__(self, columns: Sequence[Column]) -> None:
        self._columns = columns
        self._fields = {
            index: describe_column(index, column.header, column.guess or ColumnField.CONTACT_STATUS)
            for index, column in enumerate(columns)
            if column.guess is None or column.guess in _STATUSES
        }
        self._speaking = {index for index, column in enumerate(columns) if column.speaks_of_consent}
        self._filled: set[int] = set()
        self._refusing: set[int] = set()
        self._mentioning: set[int] = set()

    def watch(self, records: Iterable[Record]) -> Iterator[Record]:
        """Pass records on, and look at them."""
        for record in records:
            self.look_at(record)
            yield record

    def look_at(self, record: Record) -> None:
        """Look at the cells of a row, if its syntax is sound."""
        if record.problem is not None:
            return
        cells = record.cells
        self._filled.update(
            index
            for index in self._speaking - self._filled
            if index < len(cells) and cells[index].strip()
        )
        for index, column in self._fields.items():
            text = cells[index] if index < len(cells) else ""
            if not text or text.isspace() or index in self._mentioning:
                continue
            if self._columns[index].guess is not None:
                if read_consent_cell(column, text).answer is Answer.NO:
                    self._mentioning.add(index)
            elif is_refusal(text):
                self._refusing.add(index)
            elif mentions_refusal(text):
                self._mentioning.add(index)

    def describe(self) -> tuple[Column, ...]:
        """Return the columns as all rows show them."""
        return tuple(self._describe(index, column) for index, column in enumerate(self._columns))

    def _describe(self, index: int, column: Column) -> Column:
        speaks = index in self._filled | self._refusing | self._mentioning
        guess = column.guess
        if guess is None and index in self._refusing - self._mentioning - self._speaking:
            guess = ColumnField.CONTACT_STATUS
        return msgspec.structs.replace(column, guess=guess, speaks_of_consent=speaks)


def list_unread_consent(
    columns: Sequence[Column], fields: Sequence[ColumnField | None], ignored: Sequence[str]
) -> tuple[str, ...]:
    """Return the names of columns that speak of consent and are not read as such.

    A no that is read as a yes is not read either.
    """
    return tuple(
        column.name
        for column, field in zip(columns, fields, strict=True)
        if column.speaks_of_consent and not _is_read(column, field) and column.name not in ignored
    )


def _is_read(column: Column, field: ColumnField | None) -> bool:
    if field in _AGREEMENTS:
        return guess_consent_field(column.header) is not ColumnField.OPT_OUT
    return field in CONSENT_FIELDS | _STATUSES
