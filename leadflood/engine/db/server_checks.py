"""Server checks: whether leadflood can keep its promises on this database server."""

from collections.abc import Sequence
from contextlib import AsyncExitStack

import asyncpg
import msgspec

from leadflood.engine.db.errors import DatabaseRefused
from leadflood.engine.db.pool import Settings, own_connection
from leadflood.engine.db.sql import load_queries
from leadflood.engine.db.tx import Tx

SQL = load_queries(__file__)
OLDEST_VERSION = 15
# what a pooler in transaction mode answers to a statement prepared elsewhere
POOLER_ERRORS = (
    asyncpg.InvalidSQLStatementNameError,
    asyncpg.DuplicatePreparedStatementError,
)


class ServerFacts(msgspec.Struct, frozen=True):
    """A server and database as found. Another identifier, timeline or oid is another history."""

    version_number: int
    version: str
    encoding: str
    fsync: bool
    full_page_writes: bool
    synchronous_commit: str
    system_identifier: int
    timeline: int
    database_oid: int
    in_recovery: bool

    def obstacles(self) -> Sequence[str]:
        """List what makes the server unusable, each with its cure."""
        problems = []
        if self.version_number < OLDEST_VERSION * 10_000:
            problems.append(f"PostgreSQL {self.version} is too old: use {OLDEST_VERSION} or newer")
        if self.encoding != "UTF8":
            problems.append(
                f"the database's encoding is {self.encoding}:"
                " make one with CREATE DATABASE leadflood ENCODING 'UTF8' TEMPLATE template0"
            )
        if self.in_recovery:
            problems.append("the server is a read-only standby: connect to the primary")
        return problems

    def dangers(self) -> Sequence[str]:
        """List what can lose what was promised to be kept, each with its cure."""
        settings = {"fsync": self.fsync, "full_page_writes": self.full_page_writes}
        return [
            f"{name} is off: a power cut can damage the database; set it on in postgresql.conf"
            for name, is_on in settings.items()
            if not is_on
        ]


async def inspect(settings: Settings) -> ServerFacts:
    """Look at the server as leadflood's own connections see it."""
    async with own_connection(settings) as connection:
        row = await Tx(connection).fetch_one(SQL.read_facts)
    return msgspec.convert(dict(row.items()) if row is not None else {}, ServerFacts)


async def require_usable(settings: Settings) -> ServerFacts:
    """Refuse a server that cannot hold the promises: too old, read-only, behind a pooler.

    Raises: DatabaseRefused, saying what to change.
    """
    try:
        await _require_own_session(settings)
        facts = await inspect(settings)
    except POOLER_ERRORS as error:
        raise _pooled(str(error).partition("\n")[0]) from error
    except asyncpg.ProtocolViolationError as error:
        raise DatabaseRefused(
            f"the database, or a pooler before it, refuses what DATABASE_URL asks for ({error}):"
            " take the parameter out of DATABASE_URL; a pool in session mode will do",
            code="database.parameter",
        ) from error
    obstacles = facts.obstacles()
    if obstacles:
        raise DatabaseRefused("; ".join(obstacles), code="database.unusable")
    return facts


async def _require_own_session(settings: Settings) -> None:
    """Show a transaction pooler: it gives our server session away while we are idle."""
    async with AsyncExitStack() as stack:
        ours = Tx(await stack.enter_async_context(own_connection(settings)))
        await ours.execute(SQL.set_session, name="leadflood.session", value="ours")
        before = await ours.fetch_one(SQL.read_session)
        other = await stack.enter_async_context(own_connection(settings))
        async with other.transaction():  # a pooler must now serve us from another session
            await Tx(other).fetch_one(SQL.read_session)
            after = await ours.fetch_one(SQL.read_session)
    if before is None or after is None or tuple(before) != tuple(after):
        raise _pooled("two statements of one connection ran in different server sessions")


def _pooled(evidence: str) -> DatabaseRefused:
    return DatabaseRefused(
        f"a pooler in transaction mode stands before the database ({evidence}); leadflood needs"
        " session features (LISTEN, locks): let DATABASE_URL name the server itself, or set"
        " pool_mode = session for its database",
        code="database.pooled",
    )
