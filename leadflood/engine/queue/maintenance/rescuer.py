"""The rescuer: takes back the claims of nodes that are gone."""

from leadflood.engine.clock import Clock
from leadflood.engine.db.pool import Database
from leadflood.engine.obs.log import log
from leadflood.engine.queue.maintenance.loop import repeat
from leadflood.engine.queue.maintenance.settings import Settings
from leadflood.engine.queue.repository import SQL
from leadflood.engine.queue.wakeups import Wakeups

MAX_RESCUED = 5_000


class Rescuer:
    """Takes back every claim whose node is not a row, whenever it was made."""

    def __init__(self, db: Database, clock: Clock, wakeups: Wakeups, settings: Settings) -> None:
        self._db = db
        self._clock = clock
        self._wakeups = wakeups
        self._settings = settings

    async def run(self) -> None:
        """Rescue for ever."""
        await repeat(self._settings.rescue_seconds, self.rescue, "rescuer")

    async def rescue(self) -> int:
        """Take back what dead nodes held; return how many."""
        total = 0
        while True:
            rows = await self._db.fetch(
                SQL.rescue_claims,
                now=self._clock.now(),
                patience=self._settings.loss_patience,
                backoff_seconds=self._settings.loss_backoff_seconds,
                limit=MAX_RESCUED,
            )
            for stage in {row["stage"] for row in rows}:
                self._wakeups.wake(stage)
            total += len(rows)
            if len(rows) < MAX_RESCUED:
                break
        if total:
            self._wakeups.wake_timer()
            log.info("engine.claims.rescued", count=total)
        return total
