"""Budgets as they are read: the cap of a scope and what is used of it."""

from collections.abc import Sequence

import msgspec

from leadflood.engine.db.sql import load_queries
from leadflood.engine.db.tx import Reader

SQL = load_queries(__file__)


class Budget(msgspec.Struct, frozen=True):
    """A scope's cap (None: none) and what is used of it."""

    scope: str
    cap_micros: int | None
    spent_micros: int
    reserved_micros: int


async def find_budgets(db: Reader, scopes: Sequence[str]) -> list[Budget]:
    """Find caps and what is used of them."""
    rows = await db.fetch(SQL.find_budgets, scopes=list(scopes))
    return [Budget(*row.values()) for row in rows]
