"""Rows of leased allowances: one per provider, key and limit."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime

from leadflood.engine.clock import Clock
from leadflood.engine.db.pool import Database
from leadflood.engine.db.sql import load_queries
from leadflood.engine.db.tx import Reader
from leadflood.engine.errors import Transient
from leadflood.engine.net.ledger_port import AllowanceRow

SQL = load_queries(__file__)


class PostgresAllowance:
    """The gateway's `Allowance`: a locked row per provider, key and limit.

    Hosts whose clocks differ share it by the database's clock; a simulation goes by its own.
    """

    def __init__(self, db: Database, clock: Clock) -> None:
        self._db = db
        self._is_real = clock.kind == "system"

    @asynccontextmanager
    async def locked(
        self, provider: str, api_key: str, limit_name: str, now: datetime
    ) -> AsyncIterator[AllowanceRow]:
        """Open a transaction that holds the row; what is set in it is written at the end."""
        key = {"provider": provider, "api_key": api_key, "limit_name": limit_name}
        async with self._db.transaction() as tx:
            locked = await tx.fetch_one(SQL.lock_rate_limit, **key)
            if locked is None:
                await tx.execute(SQL.add_rate_limit, **key, now=now)
                locked = await tx.fetch_one(SQL.lock_rate_limit, **key)
            if locked is None:  # an operator has reset it just now
                raise Transient("the allowance was reset in this moment: it is leased again")
            row = AllowanceRow(locked["state"], locked["database_now"] if self._is_real else None)
            yield row
            if row.state != locked["state"]:
                await tx.execute(SQL.write_rate_limit, **key, state=row.state, now=now)


async def reset_rate_limits(db: Reader, provider: str) -> int:
    """Forget what is leased and learned of a provider's limits; return how many there were."""
    return await db.execute(SQL.reset_rate_limits, provider=provider)
