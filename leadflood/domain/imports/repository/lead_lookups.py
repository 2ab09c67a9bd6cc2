"""Lookups of leads and companies while an import writes, and its savepoint."""

from collections.abc import Iterable, Sequence
from datetime import datetime
from uuid import UUID

import msgspec

from leadflood.engine.db.sql import load_queries
from leadflood.engine.db.tx import Reader, Tx

SQL = load_queries(__file__)


async def find_users(db: Reader, addresses: Iterable[str]) -> dict[str, str]:
    """Find the users of addresses whom leads may be given to."""
    rows = await db.fetch(SQL.find_users, addresses=list(addresses))
    return {row["address"]: row["id"] for row in rows}


class Namesake(msgspec.Struct, frozen=True, kw_only=True):
    """A lead of a person as lists show it; `kept_apart`: whom somebody has told them apart from."""

    lead_id: UUID
    full_name: str
    company_name: str
    email: str | None
    owner: str | None
    kept_apart: Sequence[UUID]


async def find_namesakes(db: Reader, names: Iterable[str], limit: int) -> list[Namesake]:
    """Find the leads with a company whose persons have these names, as lists are sorted."""
    rows = await db.fetch(SQL.find_namesakes, names=list(names), limit=limit)
    return [msgspec.convert(dict(row), Namesake, strict=False) for row in rows]


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
