"""Companies: what is said of them, by whom, and which of it wins."""

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

import msgspec
from msgspec import UNSET

from leadflood.contracts.found_values import FoundValue, Scalar
from leadflood.contracts.values import FieldName
from leadflood.domain.leads.canon import canonical
from leadflood.domain.leads.company_schemas import (
    CompanyLead,
    CompanySummary,
    CompanyView,
    CompanyWords,
)
from leadflood.domain.leads.provenance import is_better, rank_of
from leadflood.domain.leads.schemas import HUMAN_SOURCE, HistoryValue, LeadStatus
from leadflood.domain.leads.writing import Prepared, StoredValue, write_values
from leadflood.engine.db.sql import load_queries
from leadflood.engine.db.tx import Reader, Row, Tx
from leadflood.engine.errors import Invalid
from leadflood.engine.ids import Ids

SQL = load_queries(__file__)

MOST_LEADS = 20
EXACT = 10_000
METHOD = "company.edit"
FIELDS = {
    "industry": FieldName.COMPANY_INDUSTRY,
    "size": FieldName.COMPANY_SIZE,
    "country": FieldName.COMPANY_COUNTRY,
    "technologies": FieldName.COMPANY_TECHNOLOGIES,
    "founded": FieldName.COMPANY_FOUNDED,
    "revenue": FieldName.COMPANY_REVENUE,
    "linkedin_url": FieldName.COMPANY_LINKEDIN_URL,
}
"""The words of a person by the field they are about; a company's name stands in its own row."""

_NONE = "null"
_KNOWN = {field.value: field for field in FieldName}
_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(str | int | float | bool | tuple[str, ...] | None).decode


def read_words(words: CompanyWords) -> dict[FieldName, Scalar | None]:
    """Bring what a person said into its one form; None: there is no value. Raises: Invalid."""
    told: dict[FieldName, Scalar | None] = {}
    for name, field in FIELDS.items():
        given = getattr(words, name)
        if given is UNSET:
            continue
        value = None if given is None else canonical(field, given)
        if given is not None and value is None:
            path = "linkedinUrl" if name == "linkedin_url" else name
            problem = f"{given!r} is none that can be understood"
            raise Invalid.field(path, problem, code="leads.company.invalid")
        told[field] = value
    return told


async def write_words(
    tx: Tx, company_id: UUID, told: Mapping[FieldName, Scalar | None], by: str, ids: Ids,
    now: datetime,
) -> None:  # fmt: skip
    """Write what a person said, with his word as the evidence."""
    stored = [_stored(company_id, field, value, by, now) for field, value in told.items()]
    said = Prepared(values=tuple(stored), companies={}, company_id=None, company_rank=None)
    await write_values(tx, [(company_id, said)], ids, now)


async def summaries(db: Reader, rows: Sequence[Row]) -> list[CompanySummary]:
    """Show companies with the values that win."""
    said = await _said(db, [row["id"] for row in rows])
    return [CompanySummary(**_shown(row), values=_values(said.get(row["id"], ()))) for row in rows]


async def view(db: Reader, row: Row, seen_by: str | None) -> CompanyView:
    """Show a company with all that is known; of its leads those that may be seen."""
    company_id: UUID = row["id"]
    said = (await _said(db, [company_id])).get(company_id, [])
    won = {one["id"] for one in _winners(said).values()}
    count = await db.fetch_value(
        SQL.count_company_leads, id=company_id, seen_by=seen_by, bound=EXACT
    )
    leads = await db.fetch(SQL.list_company_leads, id=company_id, seen_by=seen_by, limit=MOST_LEADS)
    ordered = sorted(said, key=lambda one: (one["field"], -one["is_human"], -one["rank"]))
    return CompanyView(
        **_shown(row),
        values=_values(said),
        provenance=tuple(_history(one, is_current=one["id"] in won) for one in ordered),
        lead_count=count,
        leads=tuple(
            CompanyLead(
                id=lead["id"], full_name=lead["full_name"], title=lead["title"],
                status=LeadStatus(lead["status"]),
            )
            for lead in leads
        ),
    )  # fmt: skip


async def _said(db: Reader, company_ids: Sequence[UUID]) -> dict[UUID, list[Row]]:
    said: dict[UUID, list[Row]] = {}
    for row in await db.fetch(SQL.find_company_values, ids=list(company_ids)):
        if row["field"] in _KNOWN:
            said.setdefault(row["subject_id"], []).append(row)
    return said


def _winners(rows: Iterable[Row]) -> dict[FieldName, Row]:
    won: dict[FieldName, Row] = {}
    for row in rows:
        field = _KNOWN[row["field"]]
        known = won.get(field)
        if known is None or is_better(_standing(row), _standing(known)):
            won[field] = row
    return won


def _standing(row: Row) -> tuple[bool, float, bytes, str]:
    return (row["is_human"], row["rank"], row["evidence_hash"], row["value"])


def _values(rows: Iterable[Row]) -> dict[FieldName, Scalar]:
    decoded = {field: _decode(row["value"]) for field, row in sorted(_winners(rows).items())}
    return {field: value for field, value in decoded.items() if value is not None}


def _shown(row: Row) -> dict[str, Any]:
    names = ("id", "version", "domain", "name", "created_at", "updated_at")
    return {name: row[name] for name in names}


def _history(row: Row, *, is_current: bool) -> HistoryValue:
    return HistoryValue(
        id=row["id"], field=_KNOWN[row["field"]], value=_decode(row["value"]),
        source=row["source"], method=row["method"], observed_at=row["observed_at"],
        recorded_at=row["recorded_at"], confidence=row["confidence"],
        cost_micros=row["cost_micros"], evidence_hash=row["evidence_hash"].hex(),
        is_current=is_current, is_human=row["is_human"], lead_id=None,
        company_id=row["company_id"],
    )  # fmt: skip


def _stored(
    company_id: UUID, field: FieldName, value: Scalar | None, by: str, now: datetime
) -> StoredValue:
    text = _NONE if value is None else _encode(value).decode()
    evidence = hashlib.sha256(f"{by}\n{now.isoformat()}\n{field}\n{text}".encode())
    found = FoundValue(
        field=field, value="" if value is None else value, source=HUMAN_SOURCE, method=METHOD,
        observed_at=now, confidence=1.0, evidence_hash=evidence.hexdigest(), cost_micros=0,
    )  # fmt: skip
    return StoredValue(found, text, evidence.digest(), rank_of(field, 1.0, now), company_id)
