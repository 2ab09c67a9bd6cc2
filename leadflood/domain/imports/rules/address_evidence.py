"""Address evidence: columns of names and companies, by the e-mail addresses beside them.

`Ada`, `Low`, `Orbit Inc` beside `ada.low@orbit.com` need no header.
"""

from collections.abc import Iterable, Sequence

from leadflood.contracts.normalization.domains import company_domain
from leadflood.domain.imports.rules.cell_kinds import SHARE
from leadflood.domain.imports.rules.column_words import header_key, header_tokens
from leadflood.domain.imports.schemas.column_fields import ColumnField

_SHORTEST = 2
_SHORTEST_LABEL = 3
_NAMES = frozenset({ColumnField.FULL_NAME, ColumnField.FIRST_NAME, ColumnField.LAST_NAME})


def find_in_addresses(
    fields: Sequence[ColumnField | None], unknown: Iterable[int], sample: Sequence[Sequence[str]]
) -> dict[int, ColumnField]:
    """Return the fields of those unknown columns whose cells stand in the e-mail addresses."""
    if ColumnField.EMAIL not in fields:
        return {}
    address_at = fields.index(ColumnField.EMAIL)
    pairs = {
        index: [
            (row[index], row[address_at])
            for row in sample
            if max(index, address_at) < len(row) and row[index].strip() and "@" in row[address_at]
        ]
        for index in unknown
    }
    found: dict[int, ColumnField] = {}
    if not _NAMES.intersection(fields):
        found = _find_names({index: cells for index, cells in pairs.items() if cells})
    if ColumnField.COMPANY_NAME not in fields:
        found |= _find_company({at: cells for at, cells in pairs.items() if at not in found})
    return found


def _find_names(pairs: dict[int, list[tuple[str, str]]]) -> dict[int, ColumnField]:
    places: dict[int, float] = {}
    for index, cells in pairs.items():
        positions = [_position(cell, address) for cell, address in cells]
        hits = [position for position in positions if position is not None]
        if len(hits) >= SHARE * len(cells):
            places[index] = sum(hits) / len(hits)
    whole = [index for index in places if _is_whole(pairs[index])]
    if whole:
        return {whole[0]: ColumnField.FULL_NAME}
    if len(places) != len((ColumnField.FIRST_NAME, ColumnField.LAST_NAME)):
        return {}
    first, last = sorted(places, key=lambda index: (places[index], index))
    return {first: ColumnField.FIRST_NAME, last: ColumnField.LAST_NAME}


def _position(name: str, address: str) -> int | None:
    """Return where a word of a name begins in the part of an address before the @."""
    local = header_key(address.partition("@")[0])
    places = [
        local.find(word) for word in header_tokens(name) if len(word) >= _SHORTEST and word in local
    ]
    return min(places, default=None)


def _is_whole(cells: Sequence[tuple[str, str]]) -> bool:
    several = sum(len(header_tokens(cell)) > 1 for cell, _ in cells)
    return several >= SHARE * len(cells)


def _find_company(pairs: dict[int, list[tuple[str, str]]]) -> dict[int, ColumnField]:
    for index, cells in pairs.items():
        count = sum(_names_domain(cell, address) for cell, address in cells)
        if cells and count >= SHARE * len(cells):
            return {index: ColumnField.COMPANY_NAME}
    return {}


def _names_domain(name: str, address: str) -> bool:
    domain = company_domain(address.rpartition("@")[2]) or ""
    label, key = header_key(domain.partition(".")[0]), header_key(name)
    return len(label) >= _SHORTEST_LABEL and (key.startswith(label) or label.startswith(key))
