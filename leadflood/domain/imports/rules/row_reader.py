"""Row reader: what a row says of its lead, and what it says of consent."""

from collections.abc import Iterable

import msgspec

from leadflood.contracts.values import FieldName
from leadflood.domain.imports.rules.consent import ConsentReader
from leadflood.domain.imports.rules.consent_addresses import (
    addresses_in,
    addresses_of,
    list_addresses,
    list_others,
)
from leadflood.domain.imports.rules.external_ids import IdReader
from leadflood.domain.imports.rules.row_marks import MarkReader
from leadflood.domain.imports.rules.row_parser import find_fault, parse_row
from leadflood.domain.imports.rules.shared_domains import DomainReader
from leadflood.domain.imports.schemas.mappings import ImportPlan
from leadflood.domain.imports.schemas.records import Record
from leadflood.domain.imports.schemas.rows import Address, BadRow, ImportRow


class RowReader:
    """Reads the rows of a file by a plan; sums are numbers in `currency`."""

    def __init__(self, plan: ImportPlan, currency: str | None = None) -> None:
        self._currency = currency
        self._plan = plan
        self._consent = ConsentReader(plan)
        self._marks = MarkReader(plan.fields)
        self._ids = IdReader(plan)
        self._domains = DomainReader()

    def read_all(self, records: Iterable[Record]) -> tuple[ImportRow | BadRow, ...]:
        """Read the rows of a part."""
        return tuple([self.read(record) for record in records])

    def read(self, record: Record) -> ImportRow | BadRow:
        """Read a row, or say why it cannot be used."""
        plan = self._plan
        fault = find_fault(record, plan.fields)
        is_broken = fault is not None
        read_consent = self._consent.read_broken if is_broken else self._consent.read
        stated = read_consent(record.cells)
        left = _without(record, stated.refused | self._marks.columns)
        if left is not record:
            fault = find_fault(left, plan.fields)
        row: ImportRow | BadRow
        ids, unread_ids = self._ids.read(left.cells)
        if fault is None:
            row = parse_row(left, plan.fields, plan.defaults, plan.order, self._currency, ids)
        else:
            row = BadRow(number=record.number, reason=fault, raw=record.cells)
        row = msgspec.structs.replace(row, raw=record.cells, consent=stated.statements)
        if stated.statements:
            row = msgspec.structs.replace(
                row, addresses=self._list_addresses(row, is_broken=is_broken)
            )
        if isinstance(row, BadRow):
            return row
        rated = {} if stated.rated is None else {FieldName.EMAIL_STATUS: stated.rated.value}
        tags, owner, notes = self._marks.read(record.cells)
        return msgspec.structs.replace(
            row,
            notes=(*row.notes, *unread_ids, *stated.notes, *notes, *self._domains.read(row)),
            values={**row.values, **rated},
            tags=tags,
            owner=owner,
        )

    def _list_addresses(self, row: ImportRow | BadRow, *, is_broken: bool) -> tuple[Address, ...]:
        """Return whom a row names; where cells may have slipped, wherever they stand."""
        if is_broken:
            return addresses_in(row.raw)
        plan = self._plan
        read = (
            addresses_of(row)
            if isinstance(row, ImportRow)
            else list_addresses(plan.fields, row.raw)
        )
        return tuple(dict.fromkeys((*read, *list_others(plan.headers, plan.fields, row.raw))))


def _without(record: Record, columns: frozenset[int]) -> Record:
    """Return a record without the cells of some columns."""
    if not columns:
        return record
    cells = ["" if index in columns else cell for index, cell in enumerate(record.cells)]
    return msgspec.structs.replace(record, cells=tuple(cells))
