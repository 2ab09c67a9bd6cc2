"""Health checks: whether this process can work, as `/ready` and `doctor` show it."""

from collections.abc import Awaitable, Callable

import msgspec

from leadflood.engine.db.migrations import find_revision
from leadflood.engine.db.pool import Database
from leadflood.engine.db.sql import load_queries
from leadflood.engine.db.tx import Reader, sqlstate_of

SQL = load_queries(__file__)
PATIENCE_SECONDS = 3.0


class Check(msgspec.Struct, frozen=True, rename="camel"):
    """One thing that must be right. `detail` says how it is, or what to do."""

    name: str
    ok: bool
    detail: str


async def run_check(name: str, check: Callable[[], Awaitable[str]]) -> Check:
    """Run a check; a database that is away is a finding, not a failure."""
    try:
        return Check(name, ok=True, detail=await check())
    except CheckFailed as error:
        return Check(name, ok=False, detail=str(error))
    except Exception as error:
        if sqlstate_of(error) is None and not isinstance(error, TimeoutError):
            raise
        return Check(name, ok=False, detail=f"{type(error).__name__}: {str(error)[:200]}")


class CheckFailed(Exception):
    """The finding of a check, for a person."""


async def read_feed_lag(db: Reader) -> float:
    """Return for how many seconds an open transaction has held the event feed back."""
    return float(await db.fetch_value(SQL.read_feed_lag) or 0.0)


async def check_migrations(db: Database, newest: str | None) -> Check:
    """Whether the database stands where this code wants it."""

    async def compare() -> str:
        current = await find_revision(db)
        if current != newest:
            raise CheckFailed(
                f"the database is at {current}, this leadflood at {newest}: run leadflood migrate"
            )
        return str(current)

    return await run_check("migrations", compare)


def check_stages(reasons: list[str], paused: list[str]) -> Check:
    """Whether all stages work; a paused one is as an operator wants it."""
    if reasons:
        return Check("stages", ok=False, detail="; ".join(reasons))
    return Check("stages", ok=True, detail=f"paused: {', '.join(paused)}" if paused else "at work")
