"""Withdrawal: what a source brought leaves the leads again, in the caller's transaction.

The caller locks the leads first; keys are locked before leads, as by everybody.
"""

from collections.abc import Collection, Iterable, Sequence
from datetime import datetime
from uuid import UUID

from leadflood.contracts.values import FieldName
from leadflood.domain.leads.repository.identity_keys import release_keys, release_keys_of_leads
from leadflood.domain.leads.repository.list_columns import refresh
from leadflood.domain.leads.repository.profiles import find_survivors
from leadflood.domain.leads.rules.provenance import evidence_bytes
from leadflood.domain.leads.schemas.identity import LeadLoss
from leadflood.engine.db.sql import load_queries
from leadflood.engine.db.tx import Tx

SQL = load_queries(__file__)

_TAG_SEPARATOR = "\x1e"


async def lock_leads(tx: Tx, lead_ids: Collection[UUID]) -> dict[UUID, UUID]:
    """Lock leads, their keys and their survivors; return the survivor of each."""
    await tx.fetch(SQL.lock_keys_of_leads, lead_ids=list(lead_ids))
    survivor_of = await find_survivors(tx, lead_ids)
    await tx.fetch(SQL.lock_leads_to_undo, ids=sorted({*lead_ids, *survivor_of.values()}))
    return survivor_of


async def delete_values(
    tx: Tx, subjects: Iterable[UUID], evidence: Iterable[str], *, source: str, method: str
) -> dict[UUID, set[FieldName]]:
    """Delete what leads and companies have by this evidence; return each lead's lost fields."""
    rows = await tx.fetch(
        SQL.drop_imported_values,
        subject_ids=list(subjects),
        evidence=[evidence_bytes(text) for text in evidence],
        source=source,
        method=method,
    )
    lost: dict[UUID, set[FieldName]] = {}
    for row in rows:
        if row["lead_id"] is not None:
            lost.setdefault(row["lead_id"], set()).add(FieldName(row["field"]))
    return lost


async def delete_leads(tx: Tx, lead_ids: Collection[UUID]) -> dict[UUID, int]:
    """Delete leads with all that is said of them; return the last version of each."""
    ids = list(lead_ids)
    if not ids:
        return {}
    await tx.execute(SQL.drop_values_of_leads, lead_ids=ids)
    await release_keys_of_leads(tx, ids)
    rows = await tx.fetch(SQL.drop_leads, lead_ids=ids)
    return {row["id"]: row["version"] for row in rows}


async def withdraw(tx: Tx, losses: Sequence[LeadLoss], now: datetime) -> dict[UUID, int]:
    """Take from leads what they lose; return the versions of all leads that changed by it."""
    if not losses:
        return {}
    await release_keys(tx, [(key, loss.lead_id) for loss in losses for key in loss.keys])
    versions = await _split(tx, losses, now)
    rows = await tx.fetch(
        SQL.touch_undone,
        ids=[loss.lead_id for loss in losses],
        lost_domains=[loss.has_lost_domain for loss in losses],
        tags=[_TAG_SEPARATOR.join(sorted(loss.tags)) for loss in losses],
        now=now,
    )
    versions |= {row["id"]: row["version"] for row in rows}
    survivors = set((await find_survivors(tx, versions)).values()) - versions.keys()
    raised = await tx.fetch(SQL.raise_versions, ids=sorted(survivors), now=now)
    versions |= {row["id"]: row["version"] for row in raised}
    await refresh(tx, list(versions))
    return versions


async def _split(tx: Tx, losses: Sequence[LeadLoss], now: datetime) -> dict[UUID, int]:
    pairs = sorted({(loser, loss.lead_id) for loss in losses for loser in loss.merged})
    if not pairs:
        return {}
    rows = await tx.fetch(
        SQL.part_again,
        ids=[loser for loser, _ in pairs],
        into_ids=[survivor for _, survivor in pairs],
        now=now,
    )
    return {row["id"]: row["version"] for row in rows}


async def delete_unused_companies(tx: Tx, import_id: UUID, company_ids: Collection[UUID]) -> None:
    """Delete companies that an import made, once nothing names them any more."""
    if company_ids:
        await tx.execute(SQL.drop_made_companies, run_id=import_id, ids=sorted(company_ids))
