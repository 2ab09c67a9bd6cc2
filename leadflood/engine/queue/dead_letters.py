"""Dead letters: what will not be tried again by itself, and what a person does with it."""

from collections.abc import Sequence
from datetime import datetime
from enum import StrEnum
from uuid import UUID

import msgspec

from leadflood.engine.db.tx import Reader, Row, Tx
from leadflood.engine.errors import NotFound
from leadflood.engine.ids import Ids
from leadflood.engine.queue import runs
from leadflood.engine.queue.repository import SQL

DOUBTFUL_CODES = ("effect.unsure", "effect.unknown")
"""The outside may have acted: never tried again by itself, nor by a replay."""


class DeadLetterFilter(msgspec.Struct, frozen=True, kw_only=True):
    """A filter of dead letters; a field that is None does not filter."""

    stage: str | None = None
    error_code: str | None = None
    run_id: UUID | None = None


class DeadLetter(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """A job that ended in an error, with all that is needed to understand and repeat it."""

    id: UUID
    run_id: UUID | None
    stage: str
    key: str | None
    attempts: int
    losses: int
    payload: str
    error_code: str
    error: str
    chain: str
    created_at: datetime
    died_at: datetime


class DeadLetterCount(msgspec.Struct, frozen=True, rename="camel"):
    """How many dead letters a stage has with a code."""

    stage: str
    error_code: str
    letters: int
    newest_at: datetime


class Ending(StrEnum):
    """The outcomes of a replay."""

    QUEUED = "queued"
    ALREADY_QUEUED = "already_queued"
    RUN_CANCELLED = "run_cancelled"
    DOUBTFUL = "doubtful"
    NOT_FOUND = "not_found"


class Replayed(msgspec.Struct, frozen=True, rename="camel"):
    """One dead letter after a replay; `job_id` is the new job's, None when there is none."""

    id: UUID
    stage: str
    ending: Ending
    job_id: UUID | None = None


async def list_letters(
    db: Reader, letter_filter: DeadLetterFilter, *, before: UUID | None = None, limit: int = 50
) -> list[DeadLetter]:
    """List dead letters, newest first; page on with the last id as `before`."""
    rows = await db.fetch(
        SQL.list_dead_letters,
        stage=letter_filter.stage,
        error_code=letter_filter.error_code,
        run_id=letter_filter.run_id,
        before=before,
        limit=limit,
    )
    return [_letter(row) for row in rows]


async def list_ids(
    db: Reader, letter_filter: DeadLetterFilter, *, before: UUID | None = None, limit: int = 500
) -> list[UUID]:
    """List the ids of dead letters, newest first; page on with the last one as `before`."""
    rows = await db.fetch(
        SQL.list_dead_letter_ids,
        stage=letter_filter.stage,
        error_code=letter_filter.error_code,
        run_id=letter_filter.run_id,
        before=before,
        limit=limit,
    )
    return [row["id"] for row in rows]


async def find_payloads(
    db: Reader, letter_ids: Sequence[UUID], stage: str | None = None
) -> dict[UUID, str]:
    """Read what these letters, or those of them that are of a stage, were to do."""
    rows = await db.fetch(SQL.find_payloads, ids=list(letter_ids), stage=stage)
    return {row["id"]: row["payload"] for row in rows}


async def discard(db: Reader, letter_ids: Sequence[UUID]) -> list[UUID]:
    """Delete dead letters for good; return which there were."""
    rows = await db.fetch(SQL.drop_dead_letters, ids=list(letter_ids))
    return [row["id"] for row in rows]


async def get(db: Reader, letter_id: UUID) -> DeadLetter:
    """Return a dead letter. Raises: NotFound."""
    row = await db.fetch_one(SQL.find_dead_letter, id=letter_id)
    if row is None:
        raise NotFound(
            f"there is no dead letter {letter_id}: look at `leadflood dead-letters list`",
            code="engine.dead_letter.not_found",
        )
    return _letter(row)


async def count(db: Reader) -> list[DeadLetterCount]:
    """Count dead letters by stage and code, most first."""
    rows = await db.fetch(SQL.count_dead_letters)
    return [DeadLetterCount(*row.values()) for row in rows]


async def replay(
    tx: Tx, letter_ids: Sequence[UUID], ids: Ids, now: datetime, doubtful: Sequence[UUID] = ()
) -> list[Replayed]:
    """Queue the work of dead letters again, as new jobs with no attempts spent.

    Run, payload, stage and key stay. A letter whose key is alive stays a letter, as does one whose
    run was cancelled, and one that is `doubtful`: the outside may have acted.
    """
    rows = await tx.fetch(SQL.lock_dead_letters, ids=sorted(set(letter_ids)))
    endings = await _judge(tx, rows, set(doubtful))
    chosen = [row for row in rows if endings[row["id"]] is Ending.QUEUED]
    job_ids = dict(zip([row["id"] for row in chosen], ids.take(len(chosen)), strict=True))
    inserted = await _insert(tx, chosen, job_ids, now)
    for row in chosen:
        if job_ids[row["id"]] not in inserted:
            endings[row["id"]] = Ending.ALREADY_QUEUED
    queued = [letter_id for letter_id, ending in endings.items() if ending is Ending.QUEUED]
    await tx.fetch(SQL.drop_dead_letters, ids=queued)
    stages = {row["id"]: row["stage"] for row in rows}
    return [
        Replayed(
            letter_id,
            stages.get(letter_id, ""),
            ending,
            job_ids[letter_id] if letter_id in queued else None,
        )
        for letter_id in dict.fromkeys(letter_ids)
        for ending in (endings.get(letter_id, Ending.NOT_FOUND),)
    ]


async def bury(tx: Tx, job_id: UUID, by_whom: str, ids: Ids, now: datetime) -> DeadLetter:
    """Discard a waiting job: it becomes a dead letter. Raises: NotFound.

    What was asked for again under its key while it ran is queued as a new job.
    """
    buried = await tx.fetch_one(SQL.bury_job, id=job_id, by_whom=by_whom, now=now)
    if buried is None:
        raise NotFound(
            f"no job {job_id} waits: it may run, have ended, or be a dead letter already; "
            "`leadflood status` lists the jobs that are lost again and again",
            code="engine.job.not_waiting",
        )
    letter = await get(tx, job_id)
    if buried["again"] is not None:
        await runs.hold_open(tx, {letter.run_id} if letter.run_id is not None else ())
        await tx.execute(
            SQL.insert_asked_again, id=ids.new(), payload=buried["again"], now=now, buried=job_id
        )
    return letter


async def _judge(tx: Tx, rows: Sequence[Row], doubtful: set[UUID]) -> dict[UUID, Ending]:
    keys = [row["key"] for row in rows if row["key"] is not None]
    alive = {row["key"] for row in await tx.fetch(SQL.list_live_keys, keys=keys)}
    runs_by_id = await runs.find(tx, list({row["run_id"] for row in rows if row["run_id"]}))
    cancelled = {run_id for run_id, run in runs_by_id.items() if run.cancelled}
    endings: dict[UUID, Ending] = {}
    for row in rows:
        ending = Ending.QUEUED
        if row["id"] in doubtful or row["error_code"] in DOUBTFUL_CODES:
            ending = Ending.DOUBTFUL
        elif row["run_id"] in cancelled:
            ending = Ending.RUN_CANCELLED
        elif row["key"] in alive:
            ending = Ending.ALREADY_QUEUED
        elif row["key"] is not None:
            alive.add(row["key"])
        endings[row["id"]] = ending
    return endings


async def _insert(
    tx: Tx, rows: Sequence[Row], job_ids: dict[UUID, UUID], now: datetime
) -> set[UUID]:
    await runs.hold_open(tx, {row["run_id"] for row in rows if row["run_id"] is not None})
    inserted = await tx.fetch(
        SQL.insert_replayed_jobs,
        now=now,
        ids=[job_ids[row["id"]] for row in rows],
        run_ids=[row["run_id"] for row in rows],
        turns=[row["turn"] for row in rows],
        priorities=[row["priority"] for row in rows],
        stages=[row["stage"] for row in rows],
        keys=[row["key"] for row in rows],
        payloads=[row["payload"] for row in rows],
    )
    return {row["id"] for row in inserted}


def _letter(row: Row) -> DeadLetter:
    return DeadLetter(**dict(row.items()))
