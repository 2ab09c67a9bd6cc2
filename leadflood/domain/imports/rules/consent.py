"""Consent of rows: what a row says of whom may be written to, and which columns say it.

A cell that is not understood is a no, with a note: never a yes.
"""

import re
from collections.abc import Container, Iterator, Sequence
from datetime import datetime

import msgspec

from leadflood.contracts.addresses import mask_addresses
from leadflood.contracts.values import EmailStatus, OptOutChannel
from leadflood.domain.imports.rules.consent_cells import (
    Answer,
    CellReading,
    is_refusal,
    mentions_refusal,
    names_the_gone,
    rate_status,
    read_consent_cell,
    read_moment,
    refuses_beside,
)
from leadflood.domain.imports.rules.consent_columns import (
    ConsentColumn,
    describe_column,
    guess_consent_field,
)
from leadflood.domain.imports.schemas.column_fields import CONSENT_FIELDS, ColumnField
from leadflood.domain.imports.schemas.mappings import ImportPlan
from leadflood.domain.imports.schemas.rows import BadRow, ImportRow, Statement

_READ = frozenset(
    {
        ColumnField.OPT_OUT,
        ColumnField.OPT_IN,
        ColumnField.CONTACT_STATUS,
        ColumnField.EMAIL_STATUS,
        ColumnField.TAGS,
    }
)
_STATUSES = _READ - {ColumnField.OPT_OUT, ColumnField.OPT_IN}
_UNDERSTOOD_SHARE = 0.6
"""So many of the first cells have to be understood before a header is believed."""
_NAMED = frozenset(
    {
        ColumnField.FULL_NAME,
        ColumnField.FIRST_NAME,
        ColumnField.LAST_NAME,
        ColumnField.EMAIL,
        ColumnField.PHONE,
        ColumnField.MOBILE_PHONE,
    }
)
"""In cells of these a phrase that is a no is one, wherever it stands."""
_PARTED = re.compile(r"[\s()\[\]{}<>|;\uff08\uff09\u3010\u3011]")
_ALL = frozenset({OptOutChannel.ALL})
_EMAIL = frozenset({OptOutChannel.EMAIL})
_MAX_EVIDENCE = 120


class RowConsent(msgspec.Struct, frozen=True, kw_only=True):
    """What a row says of consent.

    - `statements`: each yes and no.
    - `notes`: the cells that were not understood, by their field's name.
    - `rated`: what a status says of the address; None: nothing.
    - `refused`: the columns in which a no stands in the place of a value.
    """

    statements: tuple[Statement, ...] = ()
    notes: tuple[str, ...] = ()
    rated: EmailStatus | None = None
    refused: frozenset[int] = frozenset()


class ConsentReader:
    """Reads what rows say of consent, by the headers and the fields of a plan's columns."""

    def __init__(self, plan: ImportPlan) -> None:
        headers, fields = plan.headers, plan.fields
        pairs = list(enumerate(zip(headers, fields, strict=False)))
        self._columns = tuple(
            describe_column(index, header, field)
            for index, (header, field) in pairs
            if field in _READ
        )
        self._others = tuple(
            (index, header)
            for index, (header, field) in pairs
            if field is not None and field not in _READ
        )
        self._named = {index for index, (_, field) in pairs if field in _NAMED}
        self._at = [index for index, field in enumerate(fields) if field is ColumnField.OPT_IN_AT]
        self._wording = [
            index for index, field in enumerate(fields) if field is ColumnField.OPT_IN_WORDING
        ]
        self._headers = headers
        self._defaults = plan.defaults
        self._no_opt_in = plan.no_opt_in

    def read(self, cells: Sequence[str]) -> RowConsent:
        """Read a row; defaults stand for what its empty cells say."""
        refused = dict(self._refusals(cells))
        statements = [*refused.values(), *self._refusals_beside(cells, refused)]
        notes: list[str] = []
        rated = None
        for column, text in self._filled(cells):
            reading = read_consent_cell(column, text, self._no_opt_in)
            rated = rated or rate_status(column, text)
            if reading.answer is Answer.UNCLEAR:
                notes.append(f"{column.field}: {text[:60]!r} is not understood: taken as a no")
            if reading.answer in {Answer.NO, Answer.UNCLEAR}:
                statements.append(_refusal(column, text, reading))
            elif reading.answer is Answer.YES:
                statements += self._agreement(column, text, reading, cells, notes)
        if not statements:
            statements += self._dated_agreement(cells, notes)
        return RowConsent(
            statements=tuple(statements),
            notes=tuple(notes),
            rated=rated,
            refused=frozenset(refused),
        )

    def read_broken(self, cells: Sequence[str]) -> RowConsent:
        """Read a row whose cells may stand in columns that are not theirs.

        A no counts wherever it would be one: counted from the first cell, from the last, or as a
        phrase anywhere.
        """
        surplus = len(cells) - len(self._headers)
        shifted = [cells, cells[surplus:]] if surplus > 0 else [cells]
        statements = [
            statement
            for aligned in shifted
            for statement in self.read(aligned).statements
            if not statement.agrees
        ]
        statements += [
            Statement(evidence=_evidence("the row", cell))
            for cell in cells
            if mentions_refusal(cell)
        ]
        return RowConsent(statements=tuple(statements))

    def _filled(self, cells: Sequence[str]) -> Iterator[tuple[ConsentColumn, str]]:
        stated = set()
        for column in self._columns:
            if text := _cell(cells, column.index):
                stated.add(column.field)
                yield column, text
        for field in (ColumnField.OPT_OUT, ColumnField.OPT_IN, ColumnField.CONTACT_STATUS):
            if field in self._defaults and field not in stated:
                yield describe_column(-1, field.value, field), self._defaults[field]

    def _refusals(self, cells: Sequence[str]) -> Iterator[tuple[int, Statement]]:
        """Yield what stands in the place of a value: `DO NOT CONTACT` as a first name."""
        for index, header in self._others:
            text = _cell(cells, index)
            if text and is_refusal(text):
                yield index, Statement(evidence=_evidence(header, text))

    def _refusals_beside(
        self, cells: Sequence[str], refused: Container[int]
    ) -> Iterator[Statement]:
        """Yield what stands beside a value in its cell: `ada@x.com (unsubscribed)`."""
        for index, header in self._others:
            text = _cell(cells, index)
            if index in refused or not _PARTED.search(text):
                continue
            is_named = index in self._named and (mentions_refusal(text) or names_the_gone(text))
            if is_named or refuses_beside(text):
                yield Statement(evidence=_evidence(header, text))

    def _agreement(
        self,
        column: ConsentColumn,
        text: str,
        reading: CellReading,
        cells: Sequence[str],
        notes: list[str],
    ) -> Iterator[Statement]:
        beside = _first(cells, self._at) or self._defaults.get(ColumnField.OPT_IN_AT, "")
        at = read_moment(beside) if beside else reading.at
        if beside and at is None:
            notes.append(f"opt_in_at: {beside[:60]!r} is no clear date: the agreement is not kept")
            return
        wording = _first(cells, self._wording) or self._defaults.get(ColumnField.OPT_IN_WORDING, "")
        yield _yes(column.header, text, reading.channels or column.channels, wording, at)

    def _dated_agreement(self, cells: Sequence[str], notes: list[str]) -> Iterator[Statement]:
        """Yield the agreement of which only the time is told."""
        if any(column.field is ColumnField.OPT_IN for column in self._columns):
            return
        for index in self._at:
            text = _cell(cells, index)
            at = read_moment(text) if text else None
            if at is not None:
                header = self._headers[index]
                channels = describe_column(index, header, ColumnField.OPT_IN_AT).channels
                wording = _first(cells, self._wording)
                yield _yes(header, text, channels, wording, at)
                return
            if text:
                notes.append(f"opt_in_at: {text[:60]!r} is no clear date: no agreement is kept")


def _yes(
    header: str,
    text: str,
    channels: frozenset[OptOutChannel],
    wording: str,
    at: datetime | None,
) -> Statement:
    """Return an agreement; of channels that are not named it is to e-mail only."""
    evidence = _evidence(header, text)
    return Statement(
        evidence=evidence,
        agrees=True,
        channels=channels - _ALL or _EMAIL,
        wording=wording or evidence,
        obtained_at=at,
    )


def _refusal(column: ConsentColumn, text: str, reading: CellReading) -> Statement:
    channels = reading.channels or column.channels or _ALL
    if column.field in _STATUSES:
        channels = reading.channels or _ALL
    return Statement(
        evidence=_evidence(column.header, text),
        channels=_ALL if OptOutChannel.ALL in channels else channels,
        is_of_address=reading.is_of_address,
    )


def _evidence(header: str, text: str) -> str:
    """Return a column and a cell as they stand in the file; addresses in it are masked."""
    return mask_addresses(f"{header[:_MAX_EVIDENCE]}: {text[:_MAX_EVIDENCE]!r}")


def _cell(cells: Sequence[str], index: int) -> str:
    return cells[index].strip() if index < len(cells) else ""


def _first(cells: Sequence[str], indexes: Sequence[int]) -> str:
    return next((text for index in indexes if (text := _cell(cells, index))), "")


def guess_by_header(header: str, cells: Sequence[str]) -> ColumnField | None:
    """Return what a header says of consent, where enough of its first cells fit it."""
    field = guess_consent_field(header)
    if field is None or not _fits(describe_column(0, header, field), cells):
        return None
    return field


def _fits(column: ConsentColumn, cells: Sequence[str]) -> bool:
    if column.field is ColumnField.OPT_IN_WORDING:
        return True
    if column.field is ColumnField.OPT_IN_AT:
        fitting = [text for text in cells if read_moment(text) is not None]
    else:
        fitting = [
            text for text in cells if read_consent_cell(column, text).answer is not Answer.UNCLEAR
        ]
    return len(fitting) >= len(cells) * _UNDERSTOOD_SHARE


def is_clear(field: ColumnField, text: str) -> bool:
    """Whether a text says something clear in a column of a consent field."""
    column = describe_column(0, field.value, field)
    return field not in CONSENT_FIELDS or _fits(column, [text])


def says_no(row: ImportRow | BadRow) -> bool:
    """Whether a row says no to anything, and somebody is named by it."""
    is_anybody = isinstance(row, ImportRow) or bool(row.addresses)
    return is_anybody and any(not statement.agrees for statement in row.consent)
