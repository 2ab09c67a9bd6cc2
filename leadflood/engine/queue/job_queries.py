"""Jobs as anybody may look them up, wherever they are now."""

from collections.abc import Sequence
from datetime import datetime
from enum import StrEnum
from uuid import UUID

import msgspec

from leadflood.engine.db.tx import Reader, Row
from leadflood.engine.errors import NotFound
from leadflood.engine.queue.job import FAILED, STATE_NAMES
from leadflood.engine.queue.repository import SQL

NEWEST = UUID(int=2**128 - 1)
OLDEST = UUID(int=0)
STRETCHES = (1_000, 5_000, 20_000)
"""How many jobs are looked at, one statement after another, before a page is answered as it is."""
_TIME_BITS = 80
_CLOCKS_DIFFER_MS = 3_600_000


class JobState(StrEnum):
    """Where a job is."""

    QUEUED = "queued"
    RUNNING = "running"
    COMPLETED = "completed"
    FAILED = "failed"
    CANCELLED = "cancelled"


class JobFilter(msgspec.Struct, frozen=True, kw_only=True):
    """Which jobs; None asks for nothing.

    `subject` is what they are about: what is kept of settled ones does not tell that, so only
    live and dead jobs are found by it; `stages` are those that may be about such a thing.
    """

    run_id: UUID | None = None
    stage: str | None = None
    state: JobState | None = None
    subject: UUID | None = None
    stages: tuple[str, ...] = ()


class JobPage(msgspec.Struct, frozen=True, kw_only=True):
    """Some jobs, newest first, and the place behind which there may be more; None: that is all."""

    jobs: tuple["JobView", ...]
    next_place: UUID | None


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
    return _view(row)


async def list_page(
    db: Reader, wanted: JobFilter, before: UUID | None = None, limit: int = 50
) -> JobPage:
    """List jobs, newest first, behind a place; a page may hold fewer than asked for.

    Every statement looks at a bounded number of rows, however many there are: where few of them
    fit, the page ends early and `next_place` says where to go on.
    """
    start = before or NEWEST
    if wanted.subject is not None:
        rows = await db.fetch(SQL.list_jobs_about, **_about(wanted), before=start, limit=limit + 1)
    elif wanted.state is JobState.RUNNING:
        rows = await db.fetch(
            SQL.list_running_jobs,
            run_id=wanted.run_id,
            stage=wanted.stage,
            before=start,
            limit=limit + 1,
        )
    elif wanted.state in {JobState.FAILED, JobState.CANCELLED}:
        rows = await db.fetch(
            SQL.list_ended_badly,
            run_id=wanted.run_id,
            stage=wanted.stage,
            states=_numbers(wanted.state),
            before=start,
            limit=limit + 1,
        )
    else:
        return await _search(db, wanted, start, limit)
    more = rows[limit - 1]["id"] if len(rows) > limit else None
    return await _page(db, rows[:limit], more)


async def _search(db: Reader, wanted: JobFilter, start: UUID, limit: int) -> JobPage:
    """Go through jobs stretch by stretch until the page is full or it has been long enough.

    A run's jobs are younger than the run, so its id is about where to stop looking.
    """
    found: list[Row] = []
    place = start
    for stretch in _stretches(wanted, limit):
        bounds = {**_bounds(wanted), "before": place, "stretch": stretch}
        rows = await db.fetch(
            SQL.list_recent_jobs,
            **bounds,
            run_id=wanted.run_id,
            stage=wanted.stage,
            states=_numbers(wanted.state),
            limit=limit - len(found) + 1,
        )
        found.extend(rows)
        if len(found) > limit:
            return await _page(db, found[:limit], found[limit - 1]["id"])
        end = await db.fetch_one(SQL.find_stretch_end, **bounds)
        if end is None or end["count"] < stretch:
            return await _page(db, found, None)
        place = UUID(int=end["id"].int)
    return await _page(db, found, place)


def _stretches(wanted: JobFilter, limit: int) -> Sequence[int]:
    """Tell how far to look at once: no farther than the page where everything fits."""
    if wanted.run_id is None and wanted.stage is None and wanted.state is None:
        return (limit + 1,)
    return STRETCHES


def _bounds(wanted: JobFilter) -> dict[str, object]:
    return {
        "oldest": OLDEST if wanted.run_id is None else _well_before(wanted.run_id),
        "with_live": wanted.state is not JobState.COMPLETED,
        "with_settled": wanted.state is not JobState.QUEUED,
    }


def _well_before(run_id: UUID) -> UUID:
    """Tell an id that is older than a run by more than clocks of nodes may differ."""
    made_ms = run_id.int >> _TIME_BITS
    return UUID(int=max(made_ms - _CLOCKS_DIFFER_MS, 0) << _TIME_BITS)


async def _page(db: Reader, rows: Sequence[Row], next_place: UUID | None) -> JobPage:
    """Show jobs, those that died with the words of their dead letter."""
    failed = [row["id"] for row in rows if row["state"] == FAILED]
    told = {}
    if failed:
        dead = await db.fetch(SQL.find_dead_errors, ids=failed)
        told = {row["id"]: row["error"] for row in dead}
    jobs = [_view(row) for row in rows]
    return JobPage(
        jobs=tuple(
            msgspec.structs.replace(job, error=told[job.id]) if job.id in told else job
            for job in jobs
        ),
        next_place=next_place,
    )


def _about(wanted: JobFilter) -> dict[str, object]:
    return {
        "subject": str(wanted.subject),
        "stages": list(wanted.stages),
        "run_id": wanted.run_id,
        "stage": wanted.stage,
        "states": _numbers(wanted.state),
    }


def _numbers(state: JobState | None) -> list[int] | None:
    """Tell the numbers in the tables; None: any."""
    if state is None:
        return None
    return [number for number, name in STATE_NAMES.items() if name == state]


def _view(row: Row) -> JobView:
    return JobView(**{**dict(row.items()), "state": STATE_NAMES[row["state"]]})
