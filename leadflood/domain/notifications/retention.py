"""Retention: how long notifications are kept."""

from datetime import datetime, timedelta

from leadflood.domain.notifications import repository
from leadflood.domain.notifications.schemas import Settings
from leadflood.engine.db.pool import Database
from leadflood.engine.ids import id_at

BATCH_ROWS = 5_000


async def prune(db: Database, settings: Settings, now: datetime) -> int:
    """Delete notifications past their time with their marks, a batch; return how many."""
    before = id_at(now - timedelta(days=settings.keep_days))
    return await repository.prune(db, before, BATCH_ROWS)
