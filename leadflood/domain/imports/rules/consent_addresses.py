"""Addresses that a row names: those that its no is about."""

import re
from collections.abc import Iterator, Sequence

from leadflood.contracts.normalization.cells import read_cell
from leadflood.contracts.normalization.phones import callable_number
from leadflood.contracts.values import Channel, FieldName
from leadflood.domain.imports.schemas.column_fields import ColumnField
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
