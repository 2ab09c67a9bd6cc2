"""Undoing an import: what it alone brought goes, what others have to do with stays and says why.

A part of the rows is one transaction. Leads that the import made, and nobody else has touched, are
deleted with all that is said of them; leads that were there before lose the values, keys, tags and
merges that the rows gave them, and nothing else. See docs/decisions/import-undo.md.
"""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from uuid import UUID

import msgspec

from leadflood.contracts.values import FieldName
from leadflood.domain.leads import importing
from leadflood.domain.leads.import_schemas import RowState
from leadflood.domain.leads.repository import list_columns
from leadflood.domain.leads.rules.lead_input import CSV_SOURCE, IMPORT_METHOD, evidence_of_row
from leadflood.domain.leads.rules.provenance import evidence_bytes
from leadflood.domain.leads.schemas import LeadDeleted, LeadUpdated
from leadflood.engine.db.sql import load_queries
from leadflood.engine.db.tx import Reader, Tx

SQL = load_queries(__file__)

OBSTACLES = {
    "merged": "it and another lead are one now",
    "assigned": "it was given to somebody else",
    "edited": "somebody has changed it",
    "activity": "somebody has worked with it",
    "judged": "somebody has told its outcome",
    "imported": "another import names it too",
    "discovered": "a discovery names it too",
    "sent": "a message was sent to it",
    "decided": "somebody has decided about its message",
    "agreed": "its agreement to be written to is on record",
    "kept": "its lead is kept",
}
"""Why a row is kept, most important last told first found."""


class UndoRow(msgspec.Struct, frozen=True, kw_only=True):
    """A row that brought something; `outcome` is what became of it by the import."""

    number: int
    outcome: RowState
    was_kept: bool
    lead_id: UUID
    company_id: UUID | None
    new_keys: tuple[str, ...]
    new_tags: tuple[str, ...]
    merged: tuple[UUID, ...]


class Undone(msgspec.Struct, frozen=True, kw_only=True):
    """What became of a part: how many rows are undone, how many newly kept or kept no more."""

    undone_count: int
    kept_count: int
    deleted: Sequence[LeadDeleted]
    updated: Sequence[LeadUpdated]


async def read_rows(db: Reader, import_id: UUID, after: int, limit: int) -> Sequence[UndoRow]:
    """Read the next rows that brought something."""
    rows = await db.fetch(SQL.read_rows_to_undo, run_id=import_id, after=after, limit=limit)
    return [
        UndoRow(
            number=row["number"],
            outcome=RowState(row["outcome"]),
            was_kept=row["was_kept"],
            lead_id=row["lead_id"],
            company_id=row["company_id"],
            new_keys=tuple(row["new_keys"]),
            new_tags=tuple(row["new_tags"]),
            merged=tuple(row["merged"]),
        )
        for row in rows
    ]


async def undo_rows(
    tx: Tx, import_id: UUID, owner: str | None, rows: Sequence[UndoRow], now: datetime
) -> Undone:
    """Undo a part of an import. `owner` is whom it gave its new leads to.

    Waits: for whoever writes to the same leads, until he has committed.
    """
    leads = {row.lead_id for row in rows}
    await tx.fetch(SQL.lock_keys_of_leads, lead_ids=list(leads))
    await tx.fetch(SQL.lock_leads_to_undo, ids=sorted(leads))
    reasons = await _reasons(tx, import_id, owner, rows)
    gone = [row for row in rows if row.number not in reasons]
    lost = await _drop_values(tx, import_id, gone)
    deleted = await _drop_leads(
        tx, [row.lead_id for row in gone if row.outcome is RowState.CREATED]
    )
    stay = [row for row in gone if row.lead_id not in deleted]
    updated = await _take_back(tx, stay, lost, now)
    await _drop_companies(tx, import_id, gone)
    await tx.execute(
        SQL.end_undone_rows,
        run_id=import_id,
        numbers=[row.number for row in rows],
        outcomes=[_end(row.number in reasons) for row in rows],
        reasons=[reasons.get(row.number) for row in rows],
    )
    were_kept = sum(row.was_kept for row in rows)
    return Undone(
        undone_count=len(gone),
        kept_count=len(reasons) - were_kept,
        deleted=[LeadDeleted(lead_id, version + 1) for lead_id, version in deleted.items()],
        updated=[
            LeadUpdated(lead_id, version, tuple(sorted(lost.get(lead_id, ()))))
            for lead_id, version in updated.items()
        ],
    )


async def _reasons(
    tx: Tx, import_id: UUID, owner: str | None, rows: Sequence[UndoRow]
) -> dict[int, str]:
    """Tell which rows are kept, and why."""
    made = {row.lead_id for row in rows if row.outcome is RowState.CREATED}
    told: dict[UUID, str] = {}
    others = {row.lead_id for row in rows} - made
    for kept in await tx.fetch(SQL.find_kept_leads, run_id=import_id, lead_ids=list(others)):
        told[kept["lead_id"]] = OBSTACLES["kept"]
    found = await tx.fetch(SQL.find_obstacles, lead_ids=list(made), run_id=import_id, owner=owner)
    for obstacle in found:
        told.setdefault(obstacle["lead_id"], OBSTACLES[obstacle["obstacle"]])
    return {row.number: told[row.lead_id] for row in rows if row.lead_id in told}


async def _drop_values(
    tx: Tx, import_id: UUID, rows: Sequence[UndoRow]
) -> dict[UUID, set[FieldName]]:
    """Drop what rows said; tell which leads lost which fields."""
    subjects = {one for row in rows for one in (row.lead_id, row.company_id) if one is not None}
    dropped = await tx.fetch(
        SQL.drop_imported_values,
        subject_ids=list(subjects),
        evidence=[evidence_bytes(evidence_of_row(import_id, row.number)) for row in rows],
        source=CSV_SOURCE,
        method=IMPORT_METHOD,
    )
    lost: dict[UUID, set[FieldName]] = {}
    for value in dropped:
        if value["lead_id"] is not None:
            lost.setdefault(value["lead_id"], set()).add(FieldName(value["field"]))
    return lost


async def _drop_leads(tx: Tx, lead_ids: Iterable[UUID]) -> dict[UUID, int]:
    """Delete leads with all that is said of them; tell the last version of each."""
    ids = list(set(lead_ids))
    if not ids:
        return {}
    await tx.execute(SQL.drop_values_of_leads, lead_ids=ids)
    await tx.execute(SQL.drop_keys_of_leads, lead_ids=ids)
    rows = await tx.fetch(SQL.drop_leads, lead_ids=ids)
    return {row["id"]: row["version"] for row in rows}


async def _take_back(
    tx: Tx, rows: Sequence[UndoRow], lost: Mapping[UUID, set[FieldName]], now: datetime
) -> dict[UUID, int]:
    """Take from leads that stay what rows gave them beside values; tell their versions."""
    keys = [
        (*key.partition(importing.WITHIN)[::2], row.lead_id) for row in rows for key in row.new_keys
    ]
    if keys:
        await tx.execute(
            SQL.drop_added_keys,
            kinds=[kind for kind, _, _ in keys],
            values=[value for _, value, _ in keys],
            lead_ids=[lead_id for _, _, lead_id in keys],
        )
    versions = await _part(tx, rows, now)
    tags: dict[UUID, set[str]] = {}
    for row in rows:
        if row.lead_id in lost or row.new_tags or row.new_keys or row.merged:
            tags.setdefault(row.lead_id, set()).update(row.new_tags)
    if tags:
        ordered = sorted(tags)
        touched = await tx.fetch(
            SQL.touch_undone,
            ids=ordered,
            lost_domains=[FieldName.COMPANY_DOMAIN in lost.get(each, ()) for each in ordered],
            tags=[importing.BETWEEN.join(sorted(tags[each])) for each in ordered],
            now=now,
        )
        versions |= {row["id"]: row["version"] for row in touched}
    await list_columns.refresh(tx, list(versions))
    return versions


async def _part(tx: Tx, rows: Sequence[UndoRow], now: datetime) -> dict[UUID, int]:
    pairs = sorted({(loser, row.lead_id) for row in rows for loser in row.merged})
    if not pairs:
        return {}
    parted = await tx.fetch(
        SQL.part_again,
        ids=[loser for loser, _ in pairs],
        into_ids=[winner for _, winner in pairs],
        now=now,
    )
    return {row["id"]: row["version"] for row in parted}


async def _drop_companies(tx: Tx, import_id: UUID, rows: Sequence[UndoRow]) -> None:
    companies = sorted({row.company_id for row in rows if row.company_id is not None})
    if companies:
        await tx.execute(SQL.drop_made_companies, run_id=import_id, ids=companies)


def _end(is_kept: bool) -> str:  # noqa: FBT001 - one private question
    return (RowState.KEPT if is_kept else RowState.UNDONE).value
