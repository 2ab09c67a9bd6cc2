"""Retention: how long login attempts, sessions and one-time links are kept."""

from datetime import datetime, timedelta

from leadflood.domain.auth.repository import pruning
from leadflood.domain.auth.schemas.settings import Settings
from leadflood.engine.db.tx import Reader

ENDED_SESSIONS_KEPT = timedelta(days=30)
BATCH_ROWS = 5_000


async def prune(db: Reader, settings: Settings, now: datetime) -> int:
    """Delete what no longer counts, a batch of each kind; return how many rows."""
    window = timedelta(minutes=settings.failure_minutes)
    return (
        await pruning.prune_login_attempts(db, now - window, BATCH_ROWS)
        + await pruning.prune_sessions(db, now - ENDED_SESSIONS_KEPT, BATCH_ROWS)
        + await pruning.prune_links(db, now, BATCH_ROWS)
    )
