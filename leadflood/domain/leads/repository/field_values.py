"""Field values in the database, each with its evidence, and the companies that they name."""

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

import msgspec

from leadflood.contracts.values import FieldName
from leadflood.domain.leads.rules.prepared_values import (
    PreparedValues,
    StoredValue,
    company_id_of,
)
from leadflood.domain.leads.rules.provenance import is_human, rank_of
from leadflood.domain.leads.schemas.identity import HUMAN_SOURCE
from leadflood.engine.db.sql import load_queries
from leadflood.engine.db.tx import Reader, Row, Tx
from leadflood.engine.ids import Ids

SQL = load_queries(__file__)
_CERTAIN = 1.0
_SEPARATOR = "\x1f"
"""In no field's name, and in no value: JSON escapes it."""
_Statement = tuple[UUID | None, UUID | None, str, str, bytes, datetime, float]
"""What one source says of one subject at once: the values of it differ in field and text."""


class EmptyFields(msgspec.Struct, frozen=True, kw_only=True):
    """A person's word that these fields of a lead have no value."""

    lead_id: UUID
    fields: Sequence[FieldName]
    method: str


async def add_companies(tx: Tx, prepared: Sequence[PreparedValues], now: datetime) -> None:
    """Add the companies named, sorted by domain."""
    names: dict[str, str | None] = {}
    for lead in prepared:
        for domain, name in lead.companies.items():
            names[domain] = names.get(domain) or name
    if names:
        ordered = sorted(names)
        await tx.execute(
            SQL.add_companies,
            ids=[company_id_of(domain) for domain in ordered],
            domains=ordered,
            names=[names[domain] for domain in ordered],
            now=now,
        )


async def insert_values(
    tx: Tx, leads: Sequence[tuple[UUID, PreparedValues]], ids: Ids, now: datetime
) -> None:
    """Write values in the order of their keys; the same evidence twice is one row."""
    rows = _newest_rows(leads)
    if not rows:
        return
    ordered = [rows[key] for key in sorted(rows)]
    # what values have in common is sent once: to encode it for each took half of the time
    statements: dict[_Statement, int] = {}
    places = [
        statements.setdefault(_statement_of(lead_id, value), len(statements))
        for lead_id, value in ordered
    ]
    columns = zip(*statements, strict=True)
    lead_ids, company_ids, sources, methods, evidence, observed_at, confidences = columns
    await tx.execute(
        SQL.add_values,
        ids=ids.take(len(ordered)),
        places=places,
        fields=_SEPARATOR.join([value.found.field.value for _, value in ordered]),
        values=_SEPARATOR.join([value.text for _, value in ordered]),
        costs_micros=[value.found.cost_micros for _, value in ordered],
        ranks=[value.rank for _, value in ordered],
        lead_ids=lead_ids,
        company_ids=company_ids,
        sources=sources,
        methods=methods,
        evidence=evidence,
        observed_at=observed_at,
        confidences=confidences,
        humans=[is_human(source) for source in sources],
        now=now,
    )


async def insert_empty_fields(tx: Tx, empty: EmptyFields, ids: Ids, now: datetime) -> None:
    """Write a person's word that fields have no value."""
    if empty.fields:
        await tx.execute(
            SQL.add_empty_values,
            lead_id=empty.lead_id,
            source=HUMAN_SOURCE,
            method=empty.method,
            evidence=ids.new().bytes * 2,
            ids=ids.take(len(empty.fields)),
            fields=[field.value for field in empty.fields],
            ranks=[rank_of(field, _CERTAIN, now) for field in empty.fields],
            now=now,
        )


async def list_company_values(db: Reader, company_ids: Sequence[UUID]) -> Sequence[Row]:
    """List everything ever said of companies."""
    return await db.fetch(SQL.list_company_values, ids=list(company_ids))


async def delete_company_values(tx: Tx, company_id: UUID) -> None:
    """Delete everything said of a company."""
    await tx.execute(SQL.delete_company_values, id=company_id)


def _statement_of(lead_id: UUID, value: StoredValue) -> _Statement:
    raw = value.found
    return (
        lead_id if value.company_id is None else None,
        value.company_id,
        raw.source,
        raw.method,
        value.evidence,
        raw.observed_at,
        raw.confidence,
    )


def _newest_rows(
    leads: Sequence[tuple[UUID, PreparedValues]],
) -> dict[tuple[int, str, str, str, bytes], tuple[UUID, StoredValue]]:
    """Return the newest value of each piece of evidence, by the key of its row."""
    rows: dict[tuple[int, str, str, str, bytes], tuple[UUID, StoredValue]] = {}
    for lead_id, prepared in leads:
        for value in prepared.values:
            subject = (value.company_id or lead_id).int
            raw = value.found
            key = (subject, raw.field, raw.source, raw.method, value.evidence)
            existing = rows.get(key)
            if existing is None or existing[1].found.observed_at < raw.observed_at:
                rows[key] = (lead_id, value)
    return rows
