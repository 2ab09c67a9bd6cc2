"""Lookups of leads and companies while an import writes, and its savepoint."""

from collections.abc import Iterable
from datetime import datetime
from uuid import UUID

from leadflood.engine.db.sql import load_queries
from leadflood.engine.db.tx import Reader, Tx

SQL = load_queries(__file__)


async def find_users(db: Reader, addresses: Iterable[str]) -> dict[str, str]:
    """Find the users of addresses whom leads may be given to."""
    rows = await db.fetch(SQL.find_users, addresses=list(addresses))
    return {row["address"]: row["id"] for row in rows}


async def find_new_companies(db: Reader, ids: Iterable[UUID], now: datetime) -> set[UUID]:
    """Find which companies were made at this very moment."""
    rows = await db.fetch(SQL.find_new_companies, ids=list(set(ids)), now=now)
    return {row["id"] for row in rows}


async def set_savepoint(tx: Tx) -> None:
    """Set the savepoint of a chunk."""
    await tx.execute(SQL.set_savepoint)


async def roll_back(tx: Tx) -> None:
    """Roll back what was written since the savepoint."""
    await tx.execute(SQL.roll_back)
