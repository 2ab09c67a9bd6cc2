"""Rows that no longer count: one function per query."""

from datetime import datetime

from leadflood.domain.auth.repository.statements import SQL
from leadflood.engine.db.tx import Reader


async def prune_login_attempts(db: Reader, before: datetime, limit: int) -> int:
    """Delete attempts made before an instant; return how many."""
    return await db.execute(SQL.prune_login_attempts, before=before, limit=limit)


async def prune_sessions(db: Reader, before: datetime, limit: int) -> int:
    """Delete sessions that expired before an instant; return how many."""
    return await db.execute(SQL.prune_sessions, before=before, limit=limit)


async def prune_links(db: Reader, now: datetime, limit: int) -> int:
    """Delete expired links; return how many."""
    return await db.execute(SQL.prune_links, now=now, limit=limit)
