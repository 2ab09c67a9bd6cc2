"""A maintenance loop: repeats its work in real time and waits for a database that is away."""

from collections.abc import Awaitable, Callable
from typing import Any

from leadflood.engine.clock import REAL_TIME
from leadflood.engine.db.tx import sqlstate_of
from leadflood.engine.obs.log import log

PAUSE_SECONDS = 0.5
"""Between two tries while the database is away."""


async def repeat(every_seconds: float, duty: Callable[[], Any], name: str) -> None:
    """Do a duty again and again in real time; a database that is away is waited for."""
    while True:
        is_done = await attempt(duty, name)
        await REAL_TIME.sleep(every_seconds if is_done else max(every_seconds, PAUSE_SECONDS))


async def attempt(duty: Callable[[], Any], name: str) -> bool:
    """Do a duty once; False when the database was away."""
    try:
        await duty()
    except Exception as error:
        if sqlstate_of(error) is None and not isinstance(error, TimeoutError):
            raise
        log.warning("engine.maintenance.delayed", duty=name, error=str(error)[:200])
        return False
    return True


async def drain(delete: Callable[[], Awaitable[int]]) -> int:
    """Repeat a bounded deletion until it deletes nothing; return how many rows it deleted."""
    total = 0
    while count := await delete():
        total += count
    return total
