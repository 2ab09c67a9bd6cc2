"""Undo of imports: what an import alone brought goes, what others have touched stays and says why.

A part of the rows is one transaction. Leads that the import made, and nobody else has touched, are
deleted with all that is said of them; leads that were there before lose the values, keys, tags and
merges that the rows gave them, and nothing else. See docs/decisions/import-undo.md.
"""

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from uuid import UUID

import msgspec

from leadflood.contracts.values import FieldName
from leadflood.domain.auth.schemas.principals import Visibility
from leadflood.domain.auth.service.lead_ownership import LeadOwnership
from leadflood.domain.imports.repository import rows as row_table
from leadflood.domain.imports.repository.rows import UndoRow
from leadflood.domain.imports.rules.row_values import CSV_SOURCE, IMPORT_METHOD, evidence_of
from leadflood.domain.leads.schemas.events import LeadDeleted, LeadUpdated
from leadflood.domain.leads.schemas.identity import LeadLoss
from leadflood.domain.leads.service import withdrawal
from leadflood.engine.db.tx import Tx

OBSTACLES = {
    "merged": "it and another lead are one now",
    "assigned": "it was given to somebody else",
    "edited": "somebody has changed it",
    "activity": "somebody has worked with it",
    "judged": "somebody has recorded its outcome",
    "imported": "another import names it too",
    "discovered": "a discovery names it too",
    "sent": "a message was sent to it",
    "decided": "somebody has decided about its message",
    "agreed": "its agreement to be written to is on record",
    "kept": "its lead is kept",
}
"""Why a row is kept, the most important reason first."""


class UndoReach(msgspec.Struct, frozen=True, kw_only=True):
    """How far an undo reaches.

    - `owner`: whom the import gave its new leads to.
    - `visibility`: the leads that whoever undoes it may change.
    """

    owner: str | None
    visibility: Visibility


class UndonePart(msgspec.Struct, frozen=True, kw_only=True):
    """The outcome of a part: how many rows are undone, how many newly kept or kept no more."""

    undone_count: int
    kept_count: int
    deleted: Sequence[LeadDeleted]
    updated: Sequence[LeadUpdated]


async def undo_rows(
    tx: Tx, import_id: UUID, reach: UndoReach, rows: Sequence[UndoRow], now: datetime
) -> UndonePart:
    """Undo a part of an import, as far as it reaches.

    Waits: for transactions that write to the same leads.
    """
    survivor_of = await withdrawal.lock_leads(tx, {row.lead_id for row in rows})
    kept_numbers = await _find_kept(tx, import_id, reach, rows)
    undone = [row for row in rows if row.number not in kept_numbers]
    lost_fields = await _delete_values(tx, import_id, undone)
    created = {row.lead_id for row in undone if row.made_lead}
    deleted = await withdrawal.delete_leads(tx, created)
    losses = _losses([row for row in undone if row.lead_id not in deleted], lost_fields)
    touched = {survivor_of[lead_id] for lead_id in deleted} - deleted.keys()
    touched -= {loss.lead_id for loss in losses}
    losses += [LeadLoss(lead_id=lead_id) for lead_id in sorted(touched)]
    losses = _with_tags_of_merged(losses, undone, survivor_of, deleted)
    updated = await withdrawal.withdraw(tx, losses, now)
    companies = {row.company_id for row in undone if row.company_id is not None}
    await withdrawal.delete_unused_companies(tx, import_id, companies)
    await row_table.record_undone(tx, import_id, [row.number for row in rows], kept_numbers)
    return UndonePart(
        undone_count=len(undone),
        kept_count=len(kept_numbers) - sum(row.was_kept for row in rows),
        deleted=[LeadDeleted(lead_id, version + 1) for lead_id, version in deleted.items()],
        updated=[
            LeadUpdated(lead_id, version, tuple(sorted(lost_fields.get(lead_id, ()))))
            for lead_id, version in updated.items()
        ],
    )


async def _find_kept(
    tx: Tx, import_id: UUID, reach: UndoReach, rows: Sequence[UndoRow]
) -> dict[int, str]:
    """Return the rows that are kept, and why."""
    created = {row.lead_id for row in rows if row.made_lead}
    merged = {lead_id for row in rows for lead_id in row.merged}
    known_ids = {row.lead_id for row in rows} - created
    kept_leads = await row_table.find_kept_leads(tx, import_id, known_ids)
    obstacles = dict.fromkeys(kept_leads, "kept")
    obstacles |= await row_table.find_obstacles(tx, import_id, created, merged, reach.owner)
    await _keep_survivors(tx, created, obstacles)
    obstacles |= dict.fromkeys(await _find_hidden(tx, known_ids, reach.visibility), "assigned")
    return {
        row.number: OBSTACLES[obstacles[row.lead_id]] for row in rows if row.lead_id in obstacles
    }


async def _keep_survivors(tx: Tx, created: Collection[UUID], obstacles: dict[UUID, str]) -> None:
    """Keep leads into which one is merged that is kept."""
    pointers = await row_table.find_pointers(tx, created)
    kept = [lead_id for lead_id in pointers if lead_id in obstacles]
    while kept:
        survivor = pointers.get(kept.pop())
        if survivor is not None and survivor in created and survivor not in obstacles:
            obstacles[survivor] = "merged"
            kept.append(survivor)


async def _find_hidden(tx: Tx, lead_ids: Collection[UUID], visibility: Visibility) -> set[UUID]:
    """Return the leads that are others' by now, whatever the import gave them."""
    if not visibility.is_limited:
        return set()
    owners = await LeadOwnership(tx).find_owners(list(lead_ids))
    return {lead_id for lead_id in lead_ids if not visibility.allows(owners.get(lead_id))}


async def _delete_values(
    tx: Tx, import_id: UUID, rows: Sequence[UndoRow]
) -> dict[UUID, set[FieldName]]:
    """Delete what rows said; return which leads lost which fields."""
    subjects = {row.lead_id for row in rows}
    subjects |= {row.company_id for row in rows if row.company_id is not None}
    return await withdrawal.delete_values(
        tx,
        subjects,
        [evidence_of(import_id, row.number) for row in rows],
        source=CSV_SOURCE,
        method=IMPORT_METHOD,
    )


def _with_tags_of_merged(
    losses: Sequence[LeadLoss],
    rows: Sequence[UndoRow],
    survivor_of: Mapping[UUID, UUID],
    deleted: Collection[UUID],
) -> list[LeadLoss]:
    """Return losses with the tags that survivors got by rows whose own leads go."""
    tags: dict[UUID, set[str]] = {}
    for row in rows:
        if row.lead_id in deleted:
            tags.setdefault(survivor_of[row.lead_id], set()).update(row.new_tags)
    return [
        msgspec.structs.replace(loss, tags=loss.tags | tags.get(loss.lead_id, set()))
        for loss in losses
    ]


def _losses(
    rows: Sequence[UndoRow], lost_fields: Mapping[UUID, Collection[FieldName]]
) -> list[LeadLoss]:
    """Return what leads that stay lose beside values, and which fields they lost."""
    by_lead: dict[UUID, list[UndoRow]] = {}
    for row in rows:
        if row.lead_id in lost_fields or row.new_tags or row.new_keys or row.merged:
            by_lead.setdefault(row.lead_id, []).append(row)
    return [
        LeadLoss(
            lead_id=lead_id,
            keys=tuple(key for row in by_lead[lead_id] for key in row.new_keys),
            tags=frozenset(tag for row in by_lead[lead_id] for tag in row.new_tags),
            merged=frozenset(loser for row in by_lead[lead_id] for loser in row.merged),
            has_lost_domain=FieldName.COMPANY_DOMAIN in lost_fields.get(lead_id, ()),
        )
        for lead_id in sorted(by_lead)
    ]
