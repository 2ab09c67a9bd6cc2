"""Job queries: a job by id and lists of jobs, live, finished or dead."""

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

    `subject` is what they are about: what is kept of settled ones does not say, so only
    live and dead jobs are found by it; `stages` are those that may be about such a thing.
    `owner`: of runs that this user has opened; with `subject`, of shared runs too, as jobs alone do
    not say whether what they are about may be seen.
    """

    run_id: UUID | None = None
    stage: str | None = None
    state: JobState | None = None
    subject: UUID | None = None
    stages: tuple[str, ...] = ()
    owner: str | None = None


class JobPage(msgspec.Struct, frozen=True, kw_only=True):
    """Some jobs, newest first, and the cursor behind which there may be more; None: that is all."""

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


async def find_subject(db: Reader, job_id: UUID) -> UUID | None:
    """Find what a live or dead job is about, by its key; None: unknown, or nothing."""
    key = await db.fetch_value(SQL.find_job_key, id=job_id)
    try:
        return UUID((key or "").rpartition(":")[2])
    except ValueError:
        return None


async def list_page(
    db: Reader, job_filter: JobFilter, before: UUID | None = None, limit: int = 50
) -> JobPage:
    """List jobs, newest first, behind a cursor; a page may hold fewer than `limit`.

    Every statement looks at a bounded number of rows, however many there are: where few of them
    fit, the page ends early and `next_place` says where to go on.
    """
    start = before or NEWEST
    bounds = {"before": start, "limit": limit + 1}
    scope = {
        "run_id": job_filter.run_id,
        "stage": job_filter.stage,
        "owner": job_filter.owner,
    }
    if job_filter.subject is not None:
        rows = await db.fetch(SQL.list_jobs_about, **_about(job_filter), **bounds)
    elif job_filter.state is JobState.RUNNING:
        rows = await db.fetch(SQL.list_running_jobs, **scope, **bounds)
    elif job_filter.state in {JobState.FAILED, JobState.CANCELLED}:
        states = _numbers(job_filter.state)
        rows = await db.fetch(SQL.list_ended_badly, **scope, states=states, **bounds)
    else:
        return await _search(db, job_filter, start, limit)
    more = rows[limit - 1]["id"] if len(rows) > limit else None
    return await _page(db, rows[:limit], more)


async def _search(db: Reader, job_filter: JobFilter, start: UUID, limit: int) -> JobPage:
    """Scan jobs stretch by stretch until the page is full or enough were scanned.

    A run's jobs are younger than the run, so its id is about where to stop looking.
    """
    rows_found: list[Row] = []
    cursor = start
    for stretch in _stretches(job_filter, limit):
        bounds = {**_bounds(job_filter), "before": cursor, "stretch": stretch}
        rows = await db.fetch(
            SQL.list_recent_jobs,
            **bounds,
            run_id=job_filter.run_id,
            stage=job_filter.stage,
            owner=job_filter.owner,
            states=_numbers(job_filter.state),
            limit=limit - len(rows_found) + 1,
        )
        rows_found.extend(rows)
        if len(rows_found) > limit:
            return await _page(db, rows_found[:limit], rows_found[limit - 1]["id"])
        end = await db.fetch_one(SQL.find_stretch_end, **bounds)
        if end is None or end["count"] < stretch:
            return await _page(db, rows_found, None)
        cursor = UUID(int=end["id"].int)
    return await _page(db, rows_found, cursor)


def _stretches(job_filter: JobFilter, limit: int) -> Sequence[int]:
    """Return how many jobs to scan at once: no more than a page where everything fits."""
    narrows = (job_filter.run_id, job_filter.stage, job_filter.state, job_filter.owner)
    if all(narrow is None for narrow in narrows):
        return (limit + 1,)
    return STRETCHES


def _bounds(job_filter: JobFilter) -> dict[str, object]:
    return {
        "oldest": OLDEST if job_filter.run_id is None else _well_before(job_filter.run_id),
        "with_live": job_filter.state is not JobState.COMPLETED,
        "with_settled": job_filter.state is not JobState.QUEUED,
    }


def _well_before(run_id: UUID) -> UUID:
    """Return an id that is older than a run by more than clocks of nodes may differ."""
    made_ms = run_id.int >> _TIME_BITS
    return UUID(int=max(made_ms - _CLOCKS_DIFFER_MS, 0) << _TIME_BITS)


async def _page(db: Reader, rows: Sequence[Row], next_place: UUID | None) -> JobPage:
    """Return a page of jobs; the dead ones with the error of their dead letter."""
    failed = [row["id"] for row in rows if row["state"] == FAILED]
    errors = {}
    if failed:
        dead = await db.fetch(SQL.find_dead_errors, ids=failed)
        errors = {row["id"]: row["error"] for row in dead}
    jobs = [_view(row) for row in rows]
    return JobPage(
        jobs=tuple(
            msgspec.structs.replace(job, error=errors[job.id]) if job.id in errors else job
            for job in jobs
        ),
        next_place=next_place,
    )


def _about(job_filter: JobFilter) -> dict[str, object]:
    return {
        "subject": str(job_filter.subject),
        "stages": list(job_filter.stages),
        "run_id": job_filter.run_id,
        "stage": job_filter.stage,
        "states": _numbers(job_filter.state),
        "owner": job_filter.owner,
    }


def _numbers(state: JobState | None) -> list[int] | None:
    """Return the state's numbers in the tables; None: any."""
    if state is None:
        return None
    return [number for number, name in STATE_NAMES.items() if name == state]


def _view(row: Row) -> JobView:
    return JobView(**{**dict(row.items()), "state": STATE_NAMES[row["state"]]})
