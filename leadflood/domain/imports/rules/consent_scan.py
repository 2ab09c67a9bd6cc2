"""Consent scan: which columns of a file speak of consent, by all of their cells."""

from collections.abc import Iterable, Iterator, Sequence

import msgspec

from leadflood.domain.imports.rules.consent_cells import (
    Answer,
    is_answer,
    is_refusal,
    is_said_no,
    mentions_refusal,
    read_consent_cell,
    says_nothing,
)
from leadflood.domain.imports.rules.consent_columns import (
    describe_column,
    guess_consent_field,
    guess_status_field,
    is_no_answer,
    speaks_of_consent,
)
from leadflood.domain.imports.rules.consent_parts import (
    Meaning,
    has_left,
    may_be_asked,
    may_refuse,
    read_parts,
)
from leadflood.domain.imports.schemas.column_fields import CONSENT_FIELDS, ColumnField
from leadflood.domain.imports.schemas.columns import Column
from leadflood.domain.imports.schemas.records import Record

_STATUSES = frozenset({ColumnField.CONTACT_STATUS, ColumnField.EMAIL_STATUS, ColumnField.TAGS})
_AGREEMENTS = frozenset({ColumnField.OPT_IN, ColumnField.OPT_IN_AT, ColumnField.OPT_IN_WORDING})
_ADDRESSES = frozenset({ColumnField.EMAIL, ColumnField.PHONE, ColumnField.MOBILE_PHONE})
_NOES = frozenset({Meaning.OPT_OUT, Meaning.MAYBE_OPT_OUT})
_MOST_FILLED = 2
"""How many cells of a row a heading fills at most."""
_SHOWN_CHARS, _SHOWN_LINES = 60, 5


class ConsentScan:
    """Looks through all rows for a no in columns of a status and in those that are not read.

    A column whose header speaks of consent goes on to speak of it where it is filled. One whose
    cells are a no as a whole is a status; one that mentions a no is named to a person, and so is
    one of yes and no below a header about contact, and the first column below a heading that says
    no.
    """

    def __init__(self, columns: Sequence[Column], headings: Iterable[str] = ()) -> None:
        self._columns = columns
        self._fields = {
            index: describe_column(index, column.header, column.guess or ColumnField.CONTACT_STATUS)
            for index, column in enumerate(columns)
            if column.guess is None or column.guess in _STATUSES
        }
        self._speaking = {index for index, column in enumerate(columns) if column.speaks_of_consent}
        self._only_noes = {
            index: describe_column(index, columns[index].header, ColumnField.OPT_OUT)
            for index in self._speaking
            if read_parts(columns[index].header) in _NOES
            and not speaks_of_consent(columns[index].header)
        }
        self._named_twice = {
            index
            for index, column in enumerate(columns)
            if column.guess is not None
            and column.guess.value_field is not None
            and guess_status_field(column.header) is not None
        }
        self._asking = {
            index
            for index, column in enumerate(columns)
            if index not in self._speaking and _may_be_asked(column)
        }
        self._answering: set[int] = set()
        self._filled: set[int] = set()
        self._refusing: set[int] = set()
        self._mentioning: set[int] = set()
        self._lines = [heading for heading in headings if says_no_above(heading)]
        self._heading = {0} if self._lines and columns else set()

    def watch(self, records: Iterable[Record]) -> Iterator[Record]:
        """Pass records on, and look at them."""
        for record in records:
            self.look_at(record)
            yield record

    def look_at(self, record: Record) -> None:
        """Look at the cells of a row; of one whose syntax is broken, whether it is a heading."""
        self._look_for_heading(record)
        if record.problem is not None:
            return
        cells = record.cells
        self._filled.update(
            index
            for index in self._speaking - self._filled
            if index < len(cells) and self._is_filled(index, cells[index])
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
            elif _may_be_no(text):
                self._mentioning.add(index)
        self._look_for_answers(cells)

    def _is_filled(self, index: int, text: str) -> bool:
        """Whether a cell says anything; nobody has been blocked where it is a no."""
        if not text.strip():
            return False
        column = self._only_noes.get(index)
        return column is None or read_consent_cell(column, text).answer is not Answer.NOTHING

    def _look_for_answers(self, cells: Sequence[str]) -> None:
        for index in tuple(self._asking):
            text = cells[index] if index < len(cells) else ""
            if not text or text.isspace() or says_nothing(text):
                continue
            if not is_answer(text):
                self._asking.discard(index)
            elif _is_proof(text, is_of_addresses=self._columns[index].guess is not None):
                self._answering.add(index)
        for index in tuple(self._named_twice):
            if index < len(cells) and (is_said_no(cells[index]) or is_refusal(cells[index])):
                self._named_twice.discard(index)
                self._refusing.add(index)

    def _look_for_heading(self, record: Record) -> None:
        filled = [index for index, cell in enumerate(record.cells) if cell and not cell.isspace()]
        if not 0 < len(filled) <= _MOST_FILLED or filled[0] >= len(self._columns):
            return
        text = record.cells[filled[0]]
        guess = self._columns[filled[0]].guess
        is_answer_column = guess in CONSENT_FIELDS | _STATUSES
        if is_answer_column or any("@" in record.cells[index] for index in filled):
            return
        if says_no_above(text):
            self._heading.add(filled[0])
            self._lines.append(f"line {record.number}: {text}")

    def warnings(self) -> list[str]:
        """Return which headings say no to whoever stands below them, in words."""
        return [
            f"{line[:_SHOWN_CHARS]!r} is a heading that may say no for those below it, and nobody"
            " is suppressed for it: take them out, or add them to the list of whom not to write to"
            " (leadflood suppress import), then name the column in ignoreConsentColumns"
            for line in self._lines[:_SHOWN_LINES]
        ]

    def describe(self) -> tuple[Column, ...]:
        """Return the columns as all rows show them."""
        return tuple(self._describe(index, column) for index, column in enumerate(self._columns))

    def _describe(self, index: int, column: Column) -> Column:
        is_asked = index in self._asking & self._answering
        speaking = self._filled | self._refusing | self._mentioning | self._heading
        unclear = self._mentioning | self._speaking | self._heading
        guess = None if is_asked else column.guess
        if index in self._refusing - unclear:
            guess = ColumnField.CONTACT_STATUS
        return msgspec.structs.replace(
            column, guess=guess, speaks_of_consent=is_asked or index in speaking
        )


def _may_be_no(text: str) -> bool:
    return is_said_no(text) or mentions_refusal(text) or has_left(text) or may_refuse(text)


def says_no_above(text: str) -> bool:
    """Whether a heading may say no for those who stand below it."""
    return (
        is_refusal(text.strip(" :-*#="))
        or mentions_refusal(text)
        or may_refuse(text)
        or read_parts(text) is Meaning.OPT_OUT
    )


def _is_proof(text: str, *, is_of_addresses: bool) -> bool:
    """Whether an answer is none by chance: a number may count, an `x` stand for an address."""
    stripped = text.strip()
    return len(stripped) > 1 if is_of_addresses else not stripped.isdecimal()


def _may_be_asked(column: Column) -> bool:
    """Whether yes and no in a column would be about being written to."""
    if is_no_answer(column.header):
        return False
    is_of_addresses = column.guess in _ADDRESSES
    is_open = column.guess is None or is_of_addresses
    return is_open and may_be_asked(column.header, is_of_addresses=is_of_addresses)


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
