"""Rows of leased allowances: one per provider, key and limit."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime

from leadflood.engine.db.pool import Database
from leadflood.engine.db.sql import load_queries
from leadflood.engine.net.ledger_port import (
    AllowanceRow,
)

SQL = load_queries(__file__)


class PostgresAllowance:
    """The gateway's `Allowance`: a locked row per provider, key and limit."""

    def __init__(self, db: Database) -> None:
        self._db = db

    @asynccontextmanager
    async def locked(
        self, provider: str, api_key: str, limit_name: str, now: datetime
    ) -> AsyncIterator[AllowanceRow]:
        """Open a transaction that holds the row; what is set in it is written at the end."""
        key = {"provider": provider, "api_key": api_key, "limit_name": limit_name}
        async with self._db.transaction() as tx:
            state = await tx.fetch_value(SQL.lock_rate_limit, **key)
            if state is None:
                await tx.execute(SQL.add_rate_limit, **key, now=now)
                state = await tx.fetch_value(SQL.lock_rate_limit, **key)
            row = AllowanceRow(state)
            yield row
            if row.state != state:
                await tx.execute(SQL.write_rate_limit, **key, state=row.state, now=now)
