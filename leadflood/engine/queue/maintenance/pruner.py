"""The pruner: deletes finished jobs, events, dead letters and runs past their retention."""

from datetime import datetime, timedelta
from uuid import UUID

from leadflood.engine.db.pool import Database
from leadflood.engine.db.sql import Query
from leadflood.engine.ids import id_at
from leadflood.engine.queue.guard import Guard
from leadflood.engine.queue.maintenance.loop import drain, repeat
from leadflood.engine.queue.maintenance.settings import Settings
from leadflood.engine.queue.repository import SQL
from leadflood.engine.queue.witness import EventPlace

MAX_PRUNED = 5_000


class Pruner:
    """Deletes what is past its retention, a few thousand rows a transaction."""

    def __init__(self, db: Database, guard: Guard, settings: Settings) -> None:
        self._db = db
        self._guard = guard
        self._settings = settings

    async def run(self) -> None:
        """Prune for ever."""
        await repeat(self._settings.prune_seconds, self.prune, "pruner")

    async def prune(self) -> int:
        """Delete what is past its retention by both clocks, and return how many rows."""
        now = await self._guard.agree_on_now(self._db)
        if now is None:
            return 0
        settings = self._settings
        oldest_job = id_at(now - timedelta(days=settings.history_days))
        oldest_run = id_at(now - timedelta(days=settings.run_days))
        oldest_letter_at = now - timedelta(days=settings.dead_letter_days)
        return (
            await self._drain(SQL.prune_history, oldest_job)
            + await self._drain(SQL.prune_dead_letters, oldest_letter_at)
            + await self._drain(SQL.prune_runs, oldest_run)
            + await self._prune_events(now)
        )

    async def _drain(self, query: Query, before: UUID | datetime) -> int:
        return await drain(lambda: self._db.execute(query, before=before, limit=MAX_PRUNED))

    async def _prune_events(self, now: datetime) -> int:
        """Go through the log from its beginning to the first event that is to be kept."""
        place, total = EventPlace(), 0
        while True:
            row = await self._db.fetch_one(
                SQL.prune_events,
                era=place.era,
                xid=str(place.xid),
                id=place.id,
                before=now - timedelta(days=self._settings.event_days),
                now=now,
                limit=MAX_PRUNED,
            )
            if row is None:
                return total
            total += int(row["gone"])
            if row["has_young"] or row["looked_at"] < MAX_PRUNED:
                return total
            place = EventPlace(row["era"], int(row["last_xid"]), row["id"])
