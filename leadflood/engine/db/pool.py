"""The pool of connections, set up so that no statement, lock or idle transaction waits for ever."""

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from functools import partial
from typing import Any

import asyncpg
import msgspec

from leadflood.engine.db.errors import SessionLost
from leadflood.engine.db.sql import Query, load_queries
from leadflood.engine.db.tx import Row, Tx

SQL = load_queries(__file__)


class Settings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How the pool behaves. Times in seconds; `url` empty means the embedded server."""

    url: str = ""
    pool_size: int = 16
    connect_timeout_seconds: float = 10.0
    acquire_timeout_seconds: float = 30.0
    lock_timeout_seconds: float = 10.0
    statement_timeout_seconds: float = 60.0


class Database:
    """A pool; each method takes a connection for one statement, `transaction` for several."""

    def __init__(self, pool: asyncpg.Pool, settings: Settings) -> None:
        self._pool = pool
        self._settings = settings

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[Tx]:
        """Open a transaction: commits at the end, rolls back on any exception.

        Waits: for a free connection, up to `acquire_timeout_seconds` (TimeoutError).
        """
        async with (
            self._pool.acquire(timeout=self._settings.acquire_timeout_seconds) as connection,
            connection.transaction(),
        ):
            yield Tx(connection)

    @asynccontextmanager
    async def session(self) -> AsyncIterator[Tx]:
        """Lend one connection outside any transaction: each statement commits by itself.

        What a session keeps (`SET`, session locks, LISTEN) belongs on an `own_connection`: the next
        user of this one would find it.
        """
        async with self._pool.acquire(timeout=self._settings.acquire_timeout_seconds) as connection:
            yield Tx(connection)

    async def fetch(self, query: Query, **params: object) -> Sequence[Row]:
        """Run in a transaction of its own and return all rows."""
        async with self.session() as session:
            return await session.fetch(query, **params)

    async def fetch_one(self, query: Query, **params: object) -> Row | None:
        """Run in a transaction of its own and return the first row, if any."""
        async with self.session() as session:
            return await session.fetch_one(query, **params)

    async def fetch_value(self, query: Query, **params: object) -> Any:
        """Run in a transaction of its own and return the first value, if any."""
        async with self.session() as session:
            return await session.fetch_value(query, **params)

    async def execute(self, query: Query, **params: object) -> int:
        """Run in a transaction of its own and return how many rows it touched."""
        async with self.session() as session:
            return await session.execute(query, **params)

    def in_use(self) -> tuple[int, int]:
        """Return (connections lent, connections at most)."""
        return self._pool.get_size() - self._pool.get_idle_size(), self._settings.pool_size


@asynccontextmanager
async def open_database(settings: Settings) -> AsyncIterator[Database]:
    """Open the pool and close it at the end."""
    async with asyncpg.create_pool(
        settings.url,
        min_size=1,
        max_size=settings.pool_size,
        timeout=settings.connect_timeout_seconds,
        init=partial(_set_session, settings=_session_settings(settings)),
        reset=_keep_session,
    ) as pool:
        yield Database(pool, settings)


@asynccontextmanager
async def own_connection(settings: Settings) -> AsyncIterator[asyncpg.Connection]:
    """Open one connection outside the pool: the node's beat, LISTEN, migrations."""
    connection = await connect(settings)
    try:
        yield connection
    finally:
        await connection.close(timeout=5)


async def connect(settings: Settings, **over: str) -> asyncpg.Connection:
    """Open a connection whose session is set up, with other values where the caller needs them."""
    connection = await asyncpg.connect(settings.url, timeout=settings.connect_timeout_seconds)
    try:
        await _set_session(connection, _session_settings(settings) | over)
    except BaseException:
        connection.terminate()
        raise
    return connection


def _session_settings(settings: Settings) -> dict[str, str]:
    """List what every connection sets for itself."""
    return {
        "application_name": "leadflood",
        "TimeZone": "UTC",
        "synchronous_commit": "on",
        "lock_timeout": str(int(settings.lock_timeout_seconds * 1000)),
        "statement_timeout": str(int(settings.statement_timeout_seconds * 1000)),
        "idle_in_transaction_session_timeout": "30000",
        "jit": "off",
    }


async def _set_session(connection: asyncpg.Connection, settings: Mapping[str, str]) -> None:
    """Set up a session by statements, and read back what holds.

    A pooler refuses start-up parameters, or drops them and all limits of time with them.
    Raises: SessionLost when they do not hold.
    """
    session = Tx(connection)
    names = list(settings)
    await session.fetch(SQL.set_session_settings, names=names, values=list(settings.values()))
    rows = await session.fetch(SQL.read_session_settings, names=names)
    present = {row["name"]: row["setting"] for row in rows}
    lost = [
        f"{name} is {present.get(name)}" for name in names if present.get(name) != settings[name]
    ]
    if lost:
        raise SessionLost(
            f"a session does not keep what it was set to ({', '.join(lost)}): a pooler shares it"
            " among clients; let DATABASE_URL name the server itself, or a pool in session mode"
        )


async def _keep_session(_connection: object) -> None:
    """Skip asyncpg's RESET ALL after each use: it costs a round trip, and would reset the session.

    An open transaction is rolled back by asyncpg before this is asked.
    """
