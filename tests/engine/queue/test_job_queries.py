from datetime import UTC, datetime
from uuid import UUID, uuid4

import pytest
from leadflood.engine.clock import ManualClock
from leadflood.engine.db.pool import Database
from leadflood.engine.ids import Ids
from leadflood.engine.queue import job_queries
from leadflood.engine.queue.job_queries import JobFilter, JobState, JobView
from tests.support.statements import sql

pytestmark = pytest.mark.pg
NOW = datetime(2026, 1, 1, tzinfo=UTC)
STATES = {"queued": 0, "running": 1, "completed": 3, "failed": 4, "cancelled": 5}


@pytest.fixture
def ids() -> Ids:
    return Ids(ManualClock(), seed=3)


async def add(
    db: Database, job_id: UUID, state: str, *, run_id: UUID | None = None, stage: str = "a.run"
) -> UUID:
    """Write a job as the engine leaves it."""
    number = STATES[state]
    if number < 2:
        text = (
            "INSERT INTO job (id, run_id, created_at, state, stage, payload, key)"
            " VALUES ($1, $2, $3, $4, $5, '{}', $6)"
        )
    else:
        text = (
            "INSERT INTO history (id, run_id, created_at, finished_at, state, attempts, losses,"
            " stage, error_code) VALUES ($1, $2, $3, $3, $4, 1, 0, $5, left($6, 0))"
        )
    await db.execute(
        sql(text, "id", "run", "now", "state", "stage", "key"),
        id=job_id,
        run=run_id,
        now=NOW,
        state=number,
        stage=stage,
        key=f"{stage}:{run_id}:{job_id}",
    )
    return job_id


async def bury(db: Database, job_id: UUID, key: str = "") -> None:
    await db.execute(
        sql(
            "INSERT INTO dead_letter (id, stage, key, turn, priority, attempts, losses, payload,"
            " error_code, error, chain, created_at, died_at)"
            " VALUES ($1, 'a.run', $2, 0, 0, 3, 0, '{}', 'x.broken', 'it broke', '', $3, $3)",
            "id",
            "key",
            "now",
        ),
        id=job_id,
        key=key,
        now=NOW,
    )


async def read_all(db: Database, job_filter: JobFilter, limit: int) -> list[JobView]:
    jobs: list[JobView] = []
    position: UUID | None = None
    while True:
        page = await job_queries.list_page(db, job_filter, position, limit)
        assert len(page.jobs) <= limit
        jobs.extend(page.jobs)
        position = page.next_place
        if position is None:
            return jobs


@pytest.mark.parametrize("limit", [1, 3, 50])
async def test_live_settled_and_dead_jobs_are_one_list_newest_first(
    database: Database, ids: Ids, limit: int
) -> None:
    job_ids = [await add(database, ids.new(), state) for state in (*STATES, *STATES)]

    jobs = await read_all(database, JobFilter(), limit)

    assert [job.id for job in jobs] == job_ids[::-1]
    assert [job.state for job in jobs] == [*STATES, *STATES][::-1]


@pytest.mark.parametrize("state", list(JobState))
async def test_each_state_finds_its_own(database: Database, ids: Ids, state: JobState) -> None:
    job_ids = {name: [await add(database, ids.new(), name) for _ in range(3)] for name in STATES}

    jobs = await read_all(database, JobFilter(state=state), 2)

    assert [job.id for job in jobs] == job_ids[state][::-1]


async def test_a_run_and_a_stage_narrow_the_list(database: Database, ids: Ids) -> None:
    run_id = ids.new()
    job_id = await add(database, ids.new(), "completed", run_id=run_id, stage="b.run")
    for state in STATES:
        await add(database, ids.new(), state, run_id=run_id)
        await add(database, ids.new(), state, stage="b.run")

    jobs = await read_all(database, JobFilter(run_id=run_id, stage="b.run"), 2)

    assert [job.id for job in jobs] == [job_id]


async def test_rare_jobs_are_found_stretch_by_stretch(
    database: Database, ids: Ids, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(job_queries, "STRETCHES", (2, 3))
    rare = [await add(database, ids.new(), "completed", stage="rare.run")]
    for _ in range(15):
        await add(database, ids.new(), "completed")
    rare.append(await add(database, ids.new(), "completed", stage="rare.run"))

    first = await job_queries.list_page(database, JobFilter(stage="rare.run"), None, 10)
    jobs = await read_all(database, JobFilter(stage="rare.run"), 10)

    assert [job.id for job in first.jobs] == [rare[1]]
    assert first.next_place is not None
    assert [job.id for job in jobs] == rare[::-1]


async def test_dead_jobs_show_their_error_whether_history_is_kept_or_not(
    database: Database, ids: Ids
) -> None:
    kept = await add(database, ids.new(), "failed")
    pruned = ids.new()
    for job_id in (kept, pruned):
        await bury(database, job_id)

    jobs = await read_all(database, JobFilter(state=JobState.FAILED), 1)

    assert [(job.id, job.error) for job in jobs] == [(pruned, "it broke"), (kept, "it broke")]


async def test_jobs_about_a_thing_are_found_while_they_live_and_when_they_are_dead(
    database: Database, ids: Ids
) -> None:
    subject, run_id = uuid4(), ids.new()
    live, dead = ids.new(), ids.new()
    await add(database, live, "queued", run_id=run_id)
    await add(database, ids.new(), "queued", run_id=run_id)
    await database.execute(
        sql("UPDATE job SET key = 'a.run:' || run_id || ':' || $2 WHERE id = $1", "id", "about"),
        id=live,
        about=str(subject),
    )
    await bury(database, dead, f"a.run:{run_id}:{subject}")
    await database.execute(
        sql(
            "INSERT INTO event (era, id, at, subject, run_id, type, payload)"
            " VALUES (1, $1, $2, $3, $4, 'x', '{}')",
            "id",
            "now",
            "subject",
            "run",
        ),
        id=ids.new(),
        now=NOW,
        subject=subject,
        run=run_id,
    )

    jobs = await read_all(database, JobFilter(subject=subject, stages=("a.run", "b.run")), 1)

    assert [job.id for job in jobs] == [dead, live]
