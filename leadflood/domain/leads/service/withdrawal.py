"""Withdrawal: what a source brought leaves the leads again, in the caller's transaction.

The caller locks the leads first; keys are locked before leads, as by everybody.
"""

from collections.abc import Collection, Iterable, Sequence
from datetime import datetime
from uuid import UUID

from leadflood.contracts.values import FieldName
from leadflood.domain.leads.repository import withdrawal
from leadflood.domain.leads.schemas.identity import LeadLoss
from leadflood.engine.db.tx import Tx


async def lock_leads(tx: Tx, lead_ids: Collection[UUID]) -> dict[UUID, UUID]:
    """Lock leads, their keys and their survivors; return the survivor of each."""
    return await withdrawal.lock_leads(tx, lead_ids)


async def delete_values(
    tx: Tx, subjects: Iterable[UUID], evidence: Iterable[str], *, source: str, method: str
) -> dict[UUID, set[FieldName]]:
    """Delete what leads and companies have by this evidence; return each lead's lost fields."""
    return await withdrawal.delete_values(tx, subjects, evidence, source=source, method=method)


async def delete_leads(tx: Tx, lead_ids: Collection[UUID]) -> dict[UUID, int]:
    """Delete leads with all that is said of them; return the last version of each."""
    return await withdrawal.delete_leads(tx, lead_ids)


async def withdraw(tx: Tx, losses: Sequence[LeadLoss], now: datetime) -> dict[UUID, int]:
    """Take from leads what they lose; return the versions of all leads that changed by it."""
    return await withdrawal.withdraw(tx, losses, now)


async def delete_unused_companies(tx: Tx, import_id: UUID, company_ids: Collection[UUID]) -> None:
    """Delete companies that an import made, once nothing names them any more."""
    await withdrawal.delete_unused_companies(tx, import_id, company_ids)
