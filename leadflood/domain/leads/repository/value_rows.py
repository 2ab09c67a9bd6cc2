"""Rows of field values: which row of each field wins, and the row as history.

Rows are read by column index: there are many of them for every lead.
"""

from collections.abc import Mapping, Sequence
from operator import itemgetter
from typing import cast
from uuid import UUID

import msgspec

from leadflood.contracts.found_values import Scalar
from leadflood.contracts.values import FieldName
from leadflood.domain.leads.rules.provenance import Standing, is_better
from leadflood.domain.leads.schemas.profiles import HistoryValue
from leadflood.engine.db.tx import Row

SUBJECT, FIELD, HUMAN, RANK, EVIDENCE, VALUE, ID, _SOURCE, _METHOD, _OBSERVED = range(10)
"""The first columns of every query of values."""

NO_VALUE = "null"
"""The text of a value by which a person says that there is none."""

FIELDS = {field.value: field for field in FieldName}
_decode = msgspec.json.Decoder(str | int | float | bool | tuple[str, ...] | None).decode
_standing_columns = itemgetter(HUMAN, RANK, _OBSERVED, EVIDENCE, VALUE)


def choose_winners(rows: Sequence[Row]) -> dict[str, Row]:
    """Choose the winner of each field; an e-mail's status must come from its own evidence."""
    winners: dict[str, Row] = {}
    for row in rows:
        field = row[FIELD]
        best = winners.get(field)
        if best is None or is_better(_standing(row), _standing(best)):
            winners[field] = row
    address, status = winners.get(FieldName.EMAIL), winners.get(FieldName.EMAIL_STATUS)
    if address is None or status is None or status[EVIDENCE] == address[EVIDENCE]:
        return winners
    if address[VALUE] == NO_VALUE:
        del winners[FieldName.EMAIL_STATUS]
        return winners
    return _choose_status_again(winners, rows, address)


def _choose_status_again(
    winners: dict[str, Row], rows: Sequence[Row], address: Row
) -> dict[str, Row]:
    """Leave out the statuses of other addresses."""
    evidence_of_others = {
        row[EVIDENCE]
        for row in rows
        if row[FIELD] == FieldName.EMAIL and row[VALUE] != address[VALUE]
    }
    if winners[FieldName.EMAIL_STATUS][EVIDENCE] not in evidence_of_others:
        return winners
    del winners[FieldName.EMAIL_STATUS]
    statuses = [row for row in rows if row[FIELD] == FieldName.EMAIL_STATUS]
    return winners | choose_winners(
        [row for row in statuses if row[EVIDENCE] not in evidence_of_others]
    )


def decode_winners(winners: Mapping[str, Row]) -> dict[FieldName, Scalar]:
    """Return the winning values, in the order of the fields; those of no value are left out."""
    return {
        FIELDS[field]: cast("Scalar", _decode(winners[field][VALUE]))
        for field in sorted(winners)
        if winners[field][VALUE] != NO_VALUE
    }


def list_history(rows: Sequence[Row], winners: Mapping[str, Row]) -> tuple[HistoryValue, ...]:
    """List everything ever said, field by field, the weightiest first."""
    current = {row[ID] for row in winners.values()}
    return tuple(
        [_history(row, is_current=row[ID] in current) for row in sorted(rows, key=_by_weight)]
    )


def _standing(row: Row) -> Standing:
    return cast("Standing", _standing_columns(row))


def _by_weight(row: Row) -> tuple[str, bool, float, UUID]:
    return (row[FIELD], not row[HUMAN], -row[RANK], row[ID])


def _history(row: Row, *, is_current: bool) -> HistoryValue:
    (
        _,
        field,
        is_human,
        _,
        evidence,
        value,
        value_id,
        source,
        method,
        observed_at,
        confidence,
        recorded_at,
        cost_micros,
        lead_id,
        company_id,
    ) = row
    return HistoryValue(
        id=value_id,
        field=FIELDS[field],
        value=_decode(value),
        source=source,
        method=method,
        observed_at=observed_at,
        recorded_at=recorded_at,
        confidence=confidence,
        cost_micros=cost_micros,
        evidence_hash=evidence.hex(),
        is_current=is_current,
        is_human=is_human,
        lead_id=lead_id,
        company_id=company_id,
    )
