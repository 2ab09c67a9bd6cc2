"""Budgets as they are read: the cap of a scope and what is used of it."""

from collections.abc import Sequence
from datetime import datetime

import msgspec

from leadflood.engine.db.sql import load_queries
from leadflood.engine.db.tx import Reader
from leadflood.engine.ids import id_at
from leadflood.engine.ledger.budget_scopes import RUN_SCOPES

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


async def prune_budgets(db: Reader, opened_before: datetime, limit: int = 5_000) -> int:
    """Delete what is used of the caps of runs opened before then, a batch of each scope."""
    run_id = id_at(opened_before)
    return sum(
        [
            await db.execute(
                SQL.prune_budgets, prefix=prefix, before=f"{prefix}{run_id}", limit=limit
            )
            for prefix in RUN_SCOPES
        ]
    )
