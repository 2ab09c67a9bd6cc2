"""Removal of what a source brought: values, keys, tags, merges, leads and companies."""

from collections.abc import Collection, Iterable, Sequence
from datetime import datetime
from uuid import UUID

from leadflood.contracts.values import FieldName
from leadflood.domain.leads.rules.provenance import evidence_bytes
from leadflood.domain.leads.schemas import LeadLoss
from leadflood.engine.db.sql import load_queries
from leadflood.engine.db.tx import Tx

SQL = load_queries(__file__)

_TAG_SEPARATOR = "\x1e"


async def lock_with_keys(tx: Tx, lead_ids: Collection[UUID]) -> None:
    """Lock leads that may be deleted, and their keys before them."""
    await tx.fetch(SQL.lock_keys_of_leads, lead_ids=list(lead_ids))
    await tx.fetch(SQL.lock_leads_to_delete, ids=sorted(lead_ids))


async def delete_values(
    tx: Tx, subjects: Iterable[UUID], evidence: Iterable[str], *, source: str, method: str
) -> dict[UUID, set[FieldName]]:
    """Delete what leads and companies have by this evidence; return each lead's lost fields."""
    rows = await tx.fetch(
        SQL.delete_values_by_evidence,
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
    await tx.execute(SQL.delete_values_of_leads, lead_ids=ids)
    await tx.execute(SQL.delete_keys_of_leads, lead_ids=ids)
    rows = await tx.fetch(SQL.delete_leads, lead_ids=ids)
    return {row["id"]: row["version"] for row in rows}


async def delete_keys(tx: Tx, losses: Sequence[LeadLoss]) -> None:
    """Delete the identity keys that leads lose."""
    keys = [(key, loss.lead_id) for loss in losses for key in loss.keys]
    if keys:
        await tx.execute(
            SQL.delete_keys,
            kinds=[key.kind for key, _ in keys],
            values=[key.value for key, _ in keys],
            lead_ids=[lead_id for _, lead_id in keys],
        )


async def split_merged(tx: Tx, losses: Sequence[LeadLoss], now: datetime) -> dict[UUID, int]:
    """Split leads from those that they are no longer; return the versions of the former."""
    pairs = sorted({(loser, loss.lead_id) for loss in losses for loser in loss.merged})
    if not pairs:
        return {}
    rows = await tx.fetch(
        SQL.split_merged,
        ids=[loser for loser, _ in pairs],
        into_ids=[survivor for _, survivor in pairs],
        now=now,
    )
    return {row["id"]: row["version"] for row in rows}


async def withdraw_tags(tx: Tx, losses: Sequence[LeadLoss], now: datetime) -> dict[UUID, int]:
    """Take tags and lost employers from leads; return their versions."""
    rows = await tx.fetch(
        SQL.withdraw_tags,
        ids=[loss.lead_id for loss in losses],
        lost_domains=[loss.has_lost_domain for loss in losses],
        tags=[_TAG_SEPARATOR.join(sorted(loss.tags)) for loss in losses],
        now=now,
    )
    return {row["id"]: row["version"] for row in rows}


async def delete_unused_companies(tx: Tx, import_id: UUID, company_ids: Collection[UUID]) -> None:
    """Delete companies that an import made, once nothing names them any more."""
    if company_ids:
        await tx.execute(SQL.delete_unused_companies, run_id=import_id, ids=sorted(company_ids))
