"""Leads whose duplicates have not been looked for since they changed."""

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from uuid import UUID

from leadflood.domain.leads.repository.identity_keys import describe_leads
from leadflood.domain.leads.rules.identity_graph import Bearer
from leadflood.engine.db.sql import load_queries
from leadflood.engine.db.tx import Reader, Tx

SQL = load_queries(__file__)


STALE = timedelta(minutes=5)
"""How long a search may take before its leads are taken again."""


async def take_unsearched(tx: Tx, limit: int, now: datetime) -> list[UUID]:
    """Take leads to search; two nodes take others."""
    rows = await tx.fetch(SQL.take_unsearched, limit=limit, now=now, stale=now - STALE)
    return [row["lead_id"] for row in rows]


async def record_searched(tx: Tx, lead_ids: Sequence[UUID], taken_at: datetime) -> None:
    """Record that leads taken then are searched, but for those that changed meanwhile."""
    await tx.execute(SQL.record_searched, ids=lead_ids, taken_at=taken_at)


async def describe(
    db: Reader, lead_ids: Iterable[UUID]
) -> tuple[Sequence[Bearer], dict[UUID, str]]:
    """Return the survivors of leads with their members, and where each of these works."""
    bearers = await describe_leads(db, lead_ids)
    ids = [member for bearer in bearers for member in bearer.members]
    rows = await db.fetch(SQL.find_names, lead_ids=ids)
    return bearers, {row["id"]: row["company_name"] for row in rows if row["company_name"]}


async def keep_from_going(tx: Tx, lead_ids: Iterable[UUID]) -> set[UUID]:
    """Lock leads against deletion; return those that stay."""
    rows = await tx.fetch(SQL.keep_from_going, ids=sorted(set(lead_ids)))
    return {row["id"] for row in rows}


async def wait_and_keep(tx: Tx, lead_ids: Iterable[UUID]) -> set[UUID]:
    """Lock leads against deletion, after those who delete them; return those that are left."""
    rows = await tx.fetch(SQL.wait_and_keep, ids=sorted(set(lead_ids)))
    return {row["id"] for row in rows}


async def keep_apart(tx: Tx, pairs: Iterable[tuple[UUID, UUID]], now: datetime) -> None:
    """Record on locked leads that others are not they."""
    ordered = sorted(pairs)
    await tx.execute(
        SQL.keep_apart,
        ids=[lead_id for lead_id, _ in ordered],
        other_ids=[other_id for _, other_id in ordered],
        now=now,
    )
