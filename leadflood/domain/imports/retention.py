"""Retention: how long an uploaded file waits to be started."""

from datetime import datetime, timedelta

from leadflood.domain.imports.repository import imports
from leadflood.engine.db.tx import Tx

UPLOADS_KEPT = timedelta(days=1)


async def prune(tx: Tx, now: datetime) -> int:
    """Delete uploads that nobody started in time, a few at a time; return how many."""
    return await imports.delete_stale_uploads(tx, now - UPLOADS_KEPT)
