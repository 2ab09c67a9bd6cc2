"""Files of whom not to write to: addresses, numbers and domains, as people and tools write them."""

from collections.abc import Callable, Iterator, Sequence
from typing import BinaryIO

import msgspec

from leadflood.contracts.csv_safety import restore
from leadflood.contracts.values import FieldName
from leadflood.domain.imports.rules.column_words import header_key
from leadflood.domain.imports.rules.consent import ConsentReader
from leadflood.domain.imports.rules.consent_addresses import addresses_in
from leadflood.domain.imports.rules.csv_reader import CsvFile
from leadflood.domain.imports.rules.file_columns import describe_columns
from leadflood.domain.imports.rules.table_file import open_table_file
from leadflood.domain.imports.schemas.column_fields import ColumnField
from leadflood.domain.imports.schemas.mappings import ImportPlan
from leadflood.domain.imports.schemas.records import Record
from leadflood.domain.suppressions.schemas import SuppressionKind, WrittenLine
from leadflood.engine.errors import Invalid

MAX_LINES = 500_000
_MARKING = frozenset({ColumnField.OPT_OUT, ColumnField.OPT_IN, ColumnField.CONTACT_STATUS})
_BY_FIELD = (FieldName.EMAIL, FieldName.PHONE, FieldName.COMPANY_DOMAIN)
"""Of a table the first of these that it has a column of is what is suppressed."""
_VALUES = frozenset({"value", "address", "entry", "identifier", "contact", "recipient"})
_Read = Callable[[Record], Iterator[WrittenLine]]
_Choice = Callable[[Record], bool]
_EXPORTED = ("kind", "value", "hint", "reason", "hash", "key")


class SuppressionFile(msgspec.Struct, frozen=True, kw_only=True):
    """A file as it was read.

    - `lines`: whom not to write to.
    - `column`: the column that names them; empty: the file has no header.
    - `unmarked_count`: rows that its columns of consent say nothing of: they are left out.
    """

    lines: tuple[WrittenLine, ...]
    column: str
    unmarked_count: int


def read_suppression_file(file: BinaryIO, sheet: str | None = None) -> SuppressionFile:
    """Read a list, a table of a mail tool, or an export of the suppression list.

    Of a table with columns of consent only the rows that say no are meant. Raises: Invalid.
    """
    with open_table_file(file, sheet) as table:
        headers = [header_key(header) for header in table.headers]
        read: _Read = _read_plain
        is_meant: _Choice = _everybody
        column = ""
        if set(map(header_key, _EXPORTED)) <= set(headers):
            read, column = _read_exported(headers), "value"
        elif len(headers) == 1:
            column = table.headers[0]
        elif any(headers):
            index, is_meant = _find_values(table)
            read, column = _read_column(index), table.headers[index]
        lines: list[WrittenLine] = []
        unmarked_count = 0
        for record in table.records:
            if not is_meant(record):
                unmarked_count += 1
                continue
            lines += read(record)
            if len(lines) > MAX_LINES:
                raise Invalid(
                    f"the file has more than {MAX_LINES:,} lines: split it",
                    code="suppression.file.too_long",
                )
    return SuppressionFile(lines=tuple(lines), column=column, unmarked_count=unmarked_count)


def _everybody(record: Record) -> bool:
    del record
    return True


def _find_values(table: CsvFile) -> tuple[int, _Choice]:
    """Return the column that names whom to suppress, and which rows are meant. Raises: Invalid."""
    columns = describe_columns(table).columns
    fields = [column.guess for column in columns]
    value_fields = [None if field is None else field.value_field for field in fields]
    places = [value_fields.index(field) for field in _BY_FIELD if field in value_fields]
    places += [
        index for index, column in enumerate(columns) if header_key(column.header) in _VALUES
    ]
    if not places:
        raise Invalid(
            "no column holds addresses, numbers or domains: call it email, phone, domain or value",
            code="suppression.file.no_column",
        )
    if not _MARKING.intersection(field for field in fields if field):
        return places[0], _everybody
    reader = ConsentReader(ImportPlan(headers=tuple(table.headers), fields=tuple(fields)))
    return places[0], lambda record: any(
        not statement.agrees for statement in reader.read(record.cells).statements
    )


def _read_column(index: int) -> _Read:
    def read(record: Record) -> Iterator[WrittenLine]:
        cell = record.cells[index].strip() if index < len(record.cells) else ""
        if cell:
            yield from _read_cell(cell)

    return read


def _read_plain(record: Record) -> Iterator[WrittenLine]:
    """Yield what a row without a header names: its first filled cell, and all addresses."""
    filled = [cell.strip() for cell in record.cells if cell.strip()]
    if filled and not filled[0].startswith("#"):
        addresses = addresses_in(filled)
        yield from (WrittenLine(value=value) for _, value in addresses)
        if not addresses:
            yield from _read_cell(filled[0])


def _read_cell(cell: str) -> Iterator[WrittenLine]:
    addresses = addresses_in([cell])
    if addresses:
        yield from (WrittenLine(value=value) for _, value in addresses)
    else:
        yield WrittenLine(value=restore(cell))


def _read_exported(headers: Sequence[str]) -> _Read:
    places = {name: headers.index(header_key(name)) for name in _EXPORTED}

    def read(record: Record) -> Iterator[WrittenLine]:
        cells = {
            name: restore(record.cells[index]).strip() if index < len(record.cells) else ""
            for name, index in places.items()
        }
        is_known = cells["kind"] in {kind.value for kind in SuppressionKind}
        yield WrittenLine(
            value=cells["value"],
            kind=SuppressionKind(cells["kind"]) if is_known else None,
            reason=cells["reason"],
            hash=cells["hash"],
            key=cells["key"],
            hint=cells["hint"],
        )

    return read
