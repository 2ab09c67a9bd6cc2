"""Values of companies, for the slice of companies: what is said of them, and which of it wins."""

import hashlib
from collections.abc import Mapping, Sequence
from datetime import datetime
from uuid import UUID

import msgspec

from leadflood.contracts.found_values import FoundValue, Scalar
from leadflood.contracts.values import FieldName
from leadflood.domain.leads.repository import field_values
from leadflood.domain.leads.repository.value_rows import (
    FIELD,
    FIELDS,
    NO_VALUE,
    SUBJECT,
    choose_winners,
    decode_winners,
    list_history,
)
from leadflood.domain.leads.rules import prepared_values
from leadflood.domain.leads.rules.prepared_values import PreparedValues, StoredValue
from leadflood.domain.leads.rules.provenance import rank_of
from leadflood.domain.leads.schemas.identity import HUMAN_SOURCE
from leadflood.domain.leads.schemas.profiles import HistoryValue
from leadflood.engine.db.tx import Reader, Row, Tx
from leadflood.engine.ids import Ids

METHOD = "company.edit"
_encode = msgspec.json.Encoder().encode


class CompanyValues(msgspec.Struct, frozen=True):
    """The values of a company: those that win, and all ever stored."""

    values: dict[FieldName, Scalar] = {}
    history: tuple[HistoryValue, ...] = ()


def company_id_of(domain: str) -> UUID:
    """Return a company's id: it follows from the domain."""
    return prepared_values.company_id_of(domain)


async def find_company_values(db: Reader, company_ids: Sequence[UUID]) -> dict[UUID, CompanyValues]:
    """Return what is said of each company; those of which nothing is said are left out."""
    rows: dict[UUID, list[Row]] = {}
    for row in await field_values.list_company_values(db, company_ids):
        if row[FIELD] in FIELDS:
            rows.setdefault(row[SUBJECT], []).append(row)
    return {company_id: _company_values(of_company) for company_id, of_company in rows.items()}


async def record_company_edits(
    tx: Tx,
    company_id: UUID,
    edits: Mapping[FieldName, Scalar | None],
    by: str,
    ids: Ids,
    now: datetime,
) -> None:
    """Record what a person says of a company, with their word as the evidence; None: no value."""
    stored = [_store(company_id, field, value, by, now) for field, value in edits.items()]
    prepared = PreparedValues(
        values=tuple(stored), companies={}, company_id=None, company_rank=None
    )
    await field_values.insert_values(tx, [(company_id, prepared)], ids, now)


async def delete_company_values(tx: Tx, company_id: UUID) -> None:
    """Delete everything said of a company."""
    await field_values.delete_company_values(tx, company_id)


def _company_values(rows: Sequence[Row]) -> CompanyValues:
    winners = choose_winners(rows)
    return CompanyValues(decode_winners(winners), list_history(rows, winners))


def _store(
    company_id: UUID, field: FieldName, value: Scalar | None, by: str, now: datetime
) -> StoredValue:
    text = NO_VALUE if value is None else _encode(value).decode()
    evidence = hashlib.sha256(f"{by}\n{now.isoformat()}\n{field}\n{text}".encode())
    edit = FoundValue(
        field=field,
        value="" if value is None else value,
        source=HUMAN_SOURCE,
        method=METHOD,
        observed_at=now,
        confidence=1.0,
        evidence_hash=evidence.hexdigest(),
        cost_micros=0,
    )
    return StoredValue(edit, text, evidence.digest(), rank_of(field, 1.0, now), company_id)
