"""Addresses that a row names: those that its no is about."""

import re
from collections.abc import Iterator, Sequence

from leadflood.contracts.normalization.cells import read_cell
from leadflood.contracts.normalization.phones import callable_number
from leadflood.contracts.values import Channel, FieldName
from leadflood.domain.imports.rules.cell_kinds import kind_of_cell
from leadflood.domain.imports.rules.column_words import is_of_other
from leadflood.domain.imports.schemas.column_fields import ColumnField
from leadflood.domain.imports.schemas.columns import CellKind
from leadflood.domain.imports.schemas.rows import Address, ImportRow

_CHANNELS = {
    FieldName.EMAIL: Channel.EMAIL,
    FieldName.PHONE: Channel.WHATSAPP,
    FieldName.MOBILE_PHONE: Channel.WHATSAPP,
}
_WRITTEN = re.compile(r"[^\s@<>()\[\],;:'\"|]{1,64}@[^\s@<>()\[\],;:'\"|]{1,253}")
_MOST = 20
"""So many addresses of one row at most."""


def addresses_of(row: ImportRow) -> tuple[Address, ...]:
    """Return every address that was read of a row."""
    return tuple(
        dict.fromkeys(
            (channel, value)
            for field, channel in _CHANNELS.items()
            for value in (row.values.get(field), *row.others.get(field, ()))
            if isinstance(value, str)
        )
    )[:_MOST]


def list_addresses(
    fields: Sequence[ColumnField | None], cells: Sequence[str]
) -> tuple[Address, ...]:
    """Return every address in the columns of addresses of a row that cannot be used."""
    countries = (
        cell
        for field, cell in zip(fields, cells, strict=False)
        if field is ColumnField.COUNTRY and cell.strip()
    )
    country = read_cell(FieldName.COUNTRY, next(countries, "")).value
    region = country if isinstance(country, str) else None
    return tuple(dict.fromkeys(_read(fields, cells, region)))[:_MOST]


def list_others(
    headers: Sequence[str], fields: Sequence[ColumnField | None], cells: Sequence[str]
) -> tuple[Address, ...]:
    """Return the addresses in cells that were not read as such; not those of who owns the row.

    E-mail addresses wherever they stand; numbers in columns that are not read and are called so.
    """
    own = [
        (field, cell)
        for header, field, cell in zip(headers, fields, cells, strict=False)
        if cell and field is not ColumnField.OWNER and not (field is None and is_of_other(header))
    ]
    mails = addresses_in([cell for _, cell in own if "@" in cell])
    numbers = (callable_number(_number_in(cell)) for field, cell in own if field is None)
    return (*mails, *((Channel.WHATSAPP, number) for number in numbers if number is not None))


def _number_in(cell: str) -> str:
    """Return a number that is written as one with its country; empty: it is none."""
    if not cell.lstrip().startswith(("+", "00")) or kind_of_cell(cell) is not CellKind.PHONE:
        return ""
    value = read_cell(FieldName.PHONE, cell).value
    return value if isinstance(value, str) else ""


def _read(
    fields: Sequence[ColumnField | None], cells: Sequence[str], region: str | None
) -> Iterator[Address]:
    for field, text in zip(fields, cells, strict=False):
        name = None if field is None else field.value_field
        if name not in _CHANNELS or not text.strip():
            continue
        cell = read_cell(name, text, region)
        values = [value for value in (cell.value, *cell.others) if isinstance(value, str)]
        for value in values:
            address = value if name is FieldName.EMAIL else callable_number(value)
            if address is not None:
                yield _CHANNELS[name], address
        if not values and name is FieldName.EMAIL:
            yield from addresses_in([text])


def addresses_in(cells: Sequence[str]) -> tuple[Address, ...]:
    """Return the e-mail addresses that stand anywhere in cells."""
    values = (
        read_cell(FieldName.EMAIL, match).value
        for cell in cells
        for match in _WRITTEN.findall(cell)
    )
    addresses = ((Channel.EMAIL, value) for value in values if isinstance(value, str))
    return tuple(dict.fromkeys(addresses))[:_MOST]
