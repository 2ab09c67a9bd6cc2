"""One connection at work, in a transaction or not; and what a database error means."""

from collections.abc import Iterator, Sequence
from typing import Any, Protocol

import asyncpg

from leadflood.engine.db.sql import Query

LOST_CONNECTION = "08006"


class Row(Protocol):
    """A row: values by column name or position."""

    def __getitem__(self, key: str | int) -> Any: ...
    def __iter__(self) -> Iterator[Any]: ...
    def __len__(self) -> int: ...
    def keys(self) -> Iterator[str]:
        """Name the columns."""

    def values(self) -> Iterator[Any]:
        """List the values in column order."""


class Reader(Protocol):
    """What a store needs to run queries; `Tx` and `Database` both are one."""

    async def fetch(self, query: Query, **given: object) -> Sequence[Row]:
        """Run and return all rows."""

    async def fetch_one(self, query: Query, **given: object) -> Row | None:
        """Run and return the first row, if any."""

    async def fetch_value(self, query: Query, **given: object) -> Any:
        """Run and return the first column of the first row; None when there is none."""

    async def execute(self, query: Query, **given: object) -> int:
        """Run and return how many rows it touched."""


class Tx:
    """A transaction that is open. Made by `Database.transaction`, never by hand."""

    def __init__(self, connection: asyncpg.Connection) -> None:
        self._connection = connection

    async def fetch(self, query: Query, **given: object) -> Sequence[Row]:
        """Run and return all rows."""
        return await self._connection.fetch(query.text, *query.arrange(given))  # type: ignore[no-any-return]

    async def fetch_one(self, query: Query, **given: object) -> Row | None:
        """Run and return the first row, if any."""
        return await self._connection.fetchrow(query.text, *query.arrange(given))

    async def fetch_value(self, query: Query, **given: object) -> Any:
        """Run and return the first column of the first row; None when there is none."""
        return await self._connection.fetchval(query.text, *query.arrange(given))

    async def execute(self, query: Query, **given: object) -> int:
        """Run and return how many rows it touched."""
        status: str = await self._connection.execute(query.text, *query.arrange(given))
        count = status.rpartition(" ")[2]
        return int(count) if count.isdigit() else 0


def sqlstate_of(error: BaseException) -> str | None:
    """Tell the SQLSTATE of a database error; None when it is not one.

    A closed or cut connection, which carries no SQLSTATE, is told as 08006.
    """
    if isinstance(error, asyncpg.PostgresError):
        return error.sqlstate
    if isinstance(error, asyncpg.InterfaceError | ConnectionError | OSError):
        return LOST_CONNECTION
    return None
