"""One connection at work, in a transaction or not; and what a database error means."""

from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager
from typing import Any, Protocol

import asyncpg
from asyncpg.pool import PoolConnectionProxy

from leadflood.engine.db.sql import Query, load_queries

SQL = load_queries(__file__)
Connection = asyncpg.Connection | PoolConnectionProxy

LOST_CONNECTION = "08006"
BAD_VALUE = "22000"
LOCK_NOT_AVAILABLE = "55P03"
TIMEOUTS = (LOCK_NOT_AVAILABLE, "57014")
"""`lock_timeout` and `statement_timeout`: what waited is not at fault, nor is what came with it."""


class Row(Protocol):
    """A row: values by column name or position."""

    def __getitem__(self, key: str | int) -> Any: ...
    def __iter__(self) -> Iterator[Any]: ...
    def __len__(self) -> int: ...
    def keys(self) -> Iterator[str]:
        """Name the columns."""

    def values(self) -> Iterator[Any]:
        """List the values in column order."""

    def items(self) -> Iterator[tuple[str, Any]]:
        """List the columns' names with their values."""


class Reader(Protocol):
    """A reader: runs queries; `Tx` and `Database` both are one."""

    async def fetch(self, query: Query, **params: object) -> Sequence[Row]:
        """Run and return all rows."""

    async def fetch_one(self, query: Query, **params: object) -> Row | None:
        """Run and return the first row, if any."""

    async def fetch_value(self, query: Query, **params: object) -> Any:
        """Run and return the first column of the first row; None when there is none."""

    async def execute(self, query: Query, **params: object) -> int:
        """Run and return how many rows it touched."""


class Tx:
    """A transaction that is open. Made by `Database.transaction`, never by hand."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    async def fetch(self, query: Query, **params: object) -> Sequence[Row]:
        """Run and return all rows."""
        return await self._connection.fetch(query.text, *query.arrange(params))

    async def fetch_one(self, query: Query, **params: object) -> Row | None:
        """Run and return the first row, if any."""
        return await self._connection.fetchrow(query.text, *query.arrange(params))

    async def fetch_value(self, query: Query, **params: object) -> Any:
        """Run and return the first column of the first row; None when there is none."""
        return await self._connection.fetchval(query.text, *query.arrange(params))

    async def execute(self, query: Query, **params: object) -> int:
        """Run and return how many rows it touched."""
        status: str = await self._connection.execute(query.text, *query.arrange(params))
        count = status.rpartition(" ")[2]
        return int(count) if count.isdigit() else 0

    async def limit_lock_waits(self, seconds: float) -> None:
        """Wait this long at most for a lock from here to the end of the transaction."""
        await self.fetch_value(SQL.limit_lock_waits, value=str(max(1, round(seconds * 1_000))))

    @asynccontextmanager
    async def savepoint(self) -> AsyncIterator[None]:
        """Undo just what the block did when it raises, and let go of the locks it took."""
        async with self._connection.transaction():
            yield


def sqlstate_of(error: BaseException) -> str | None:
    """Return the SQLSTATE of a database error; None when it is not one.

    A closed or cut connection, a refused one and a pool without a free connection carry none and
    are raised as 08006; a value that the driver cannot encode as 22000, like the server's.
    """
    if isinstance(error, asyncpg.PostgresError):
        return error.sqlstate
    if isinstance(error, asyncpg.InterfaceError):
        return _sqlstate_of_driver(error)
    if isinstance(error, OSError | asyncpg.InternalClientError):
        return LOST_CONNECTION
    return None


def _sqlstate_of_driver(error: asyncpg.InterfaceError) -> str | None:
    if isinstance(error, ValueError):
        return BAD_VALUE
    # the driver has one class for a closed connection and for its wrong use; only the text differs
    return LOST_CONNECTION if "clos" in str(error) or "released" in str(error) else None


def is_lost(error: BaseException) -> bool:
    """Whether the connection or the server is gone, not the statement at fault."""
    state = sqlstate_of(error)
    return state is not None and state.startswith(("08", "57P0"))
