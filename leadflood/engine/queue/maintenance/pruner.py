"""The pruner: deletes finished jobs and events past their retention."""

from datetime import datetime, timedelta
from uuid import UUID

from leadflood.engine.clock import Clock
from leadflood.engine.db.pool import Database
from leadflood.engine.db.sql import Query
from leadflood.engine.ids import id_at
from leadflood.engine.queue.maintenance.loop import drain, repeat
from leadflood.engine.queue.maintenance.settings import Settings
from leadflood.engine.queue.repository import SQL

MAX_PRUNED = 5_000


class Pruner:
    """Deletes settled jobs and events past their retention, a few thousand a transaction."""

    def __init__(self, db: Database, clock: Clock, settings: Settings) -> None:
        self._db = db
        self._clock = clock
        self._settings = settings

    async def run(self) -> None:
        """Prune for ever."""
        await repeat(self._settings.prune_seconds, self.prune, "pruner")

    async def prune(self) -> int:
        """Delete what is past its retention, and return how many rows."""
        now = self._clock.now()
        history_limit = id_at(now - timedelta(days=self._settings.history_days))
        event_limit = now - timedelta(days=self._settings.event_days)
        return await self._drain(SQL.prune_history, history_limit) + await self._drain(
            SQL.prune_events, event_limit
        )

    async def _drain(self, query: Query, before: UUID | datetime) -> int:
        return await drain(lambda: self._db.execute(query, before=before, limit=MAX_PRUNED))
