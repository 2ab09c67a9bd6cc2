"""A job as anybody may look it up, wherever it is now."""

from datetime import datetime
from uuid import UUID

import msgspec

from leadflood.engine.db.tx import Reader
from leadflood.engine.errors import NotFound
from leadflood.engine.queue.job import STATE_NAMES
from leadflood.engine.queue.store import SQL


class JobView(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """Where a job is: queued, running, completed, failed or cancelled.

    `finished_at` None: it is still to do. `error` None: nothing has gone wrong so far.
    """

    id: UUID
    stage: str
    run_id: UUID | None
    state: str
    attempts: int
    losses: int
    created_at: datetime
    finished_at: datetime | None
    error: str | None


async def get(db: Reader, job_id: UUID) -> JobView:
    """Look a job up, live or settled. Raises: NotFound; settled ones are kept for some days."""
    row = await db.fetch_one(SQL.find_job, id=job_id)
    if row is None:
        raise NotFound(
            f"there is no job {job_id}: it never was, or its history has been pruned",
            code="jobs.not_found",
        )
    return JobView(**{**dict(row.items()), "state": STATE_NAMES[row["state"]]})
