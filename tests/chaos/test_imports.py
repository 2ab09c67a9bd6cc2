"""kill -9 in the middle of an import, and in the middle of its undo."""

import hashlib
import io
import random
import signal
from pathlib import Path
from uuid import UUID

import anyio
import pytest
from leadflood.domain.leads.import_schemas import (
    ImportMapping,
    ImportPartWanted,
    ImportState,
    ImportView,
    UndoPartWanted,
)
from leadflood.domain.leads.import_service import Asker, ImportService, Source
from leadflood.engine.clock import REAL_TIME
from leadflood.engine.db.sql import Query
from leadflood.engine.queue import runs
from leadflood.engine.queue.runs import NewRun

from tests.support.chaos import ChaosField, Nursery, open_chaos_field
from tests.support.pretend import Plan

pytestmark = [pytest.mark.chaos, pytest.mark.pg]

QUICK = Plan(people_count=100, dead_after_seconds=1.0)
ROWS = 2_500
ME = Asker(by="operator")
POINTS = ("leads.import.commit.before", "leads.import.commit.after")
HASH = Query(
    "hash",
    """
    SELECT md5(
        (SELECT coalesce(string_agg((to_jsonb(lead) - 'version' - 'updated_at')::text, '|'
            ORDER BY id), '') FROM lead)
        || (SELECT coalesce(string_agg(company::text, '|' ORDER BY id), '') FROM company)
        || (SELECT coalesce(string_agg(identity::text, '|' ORDER BY kind, value), '')
            FROM identity)
        || (SELECT coalesce(string_agg(lead_text::text, '|' ORDER BY lead_id), '')
            FROM lead_text)
        || (SELECT coalesce(string_agg(field_value::text, '|' ORDER BY id), '')
            FROM field_value))
    """,
    (),
)
TWICE = Query(
    "twice",
    "SELECT count(*) FROM (SELECT value FROM field_value WHERE field = 'email'"
    " GROUP BY value HAVING count(DISTINCT subject_id) > 1) AS doubled",
    (),
)
LEADS = Query("leads", "SELECT count(*) FROM lead", ())


def a_file(first: int, count: int, title: str) -> bytes:
    lines = ["email,first name,last name,company,website,title"]
    lines += [
        f"p{n}@c{n // 5}.example,Pat{n},Doe{n},C{n // 5},https://c{n // 5}.example,{title}"
        for n in range(first, first + count)
    ]
    return "\n".join([*lines, "no address,,,,,"]).encode()


async def start(field: ChaosField, raw: bytes) -> UUID:
    """Stage a file and queue its first part, as the route does."""
    storage = field.storage
    imports = ImportService(storage.ids, storage.clock)
    source = Source(
        file=io.BytesIO(raw),
        name="leads.csv",
        sha256=hashlib.sha256(raw).digest(),
        byte_count=len(raw),
        owner=None,
        made_by="operator",
    )
    async with storage.producer().transaction() as publication:
        tx = publication.tx
        import_id = await imports.stage(tx, source)
        locked = await imports.lock(tx, import_id, None)
        await imports.map(tx, locked, ImportMapping(enrich=False), None, ME)
        locked = await imports.lock(tx, import_id, None)
        await runs.create(tx, NewRun(id=import_id, kind="import"), storage.clock.now())
        await imports.begin(tx, locked, imports.told(locked, ME), None)
        await publication.publish([ImportPartWanted(import_id, 0)], run_id=import_id)
    return import_id


async def undo(field: ChaosField, import_id: UUID) -> None:
    storage = field.storage
    imports = ImportService(storage.ids, storage.clock)
    async with storage.producer().transaction() as publication:
        await runs.cancel(publication.tx, import_id, "operator", storage.clock.now())
        (job_id,) = await publication.publish([UndoPartWanted(import_id, 0)])
        await imports.begin_undo(publication.tx, import_id, job_id)


async def look(field: ChaosField, import_id: UUID) -> ImportView:
    imports = ImportService(field.storage.ids, field.storage.clock)
    return await imports.get(field.storage.db, import_id, None)


async def end_with_kills(
    field: ChaosField, import_id: UUID, wanted: ImportState, kills_wanted: int
) -> int:
    """Kill one worker after the other at named moments and at any time; tell how many died."""
    rng = random.Random(11)  # noqa: S311 - when to kill, no secret
    kills = 0
    for turn in range(kills_wanted):
        at_any_time = turn % 3 == 2
        worker = await field.worker(crash_at="" if at_any_time else POINTS[turn % 3])
        if at_any_time:
            await worker.hear("ready")
            await REAL_TIME.sleep(rng.uniform(0.02, 0.2))
            worker.kill()
        assert await worker.wait() == -signal.SIGKILL
        kills += 1
        if (await look(field, import_id)).state is wanted:
            return kills
    worker = await field.worker()
    with anyio.fail_after(60):
        while (await look(field, import_id)).state is not wanted:
            await REAL_TIME.sleep(0.05)
    worker.kill()
    await worker.wait()
    return kills


async def test_an_import_and_its_undo_survive_kills_and_leave_no_trace(
    nursery: Nursery, database_url: str, tmp_path: Path
) -> None:
    async with open_chaos_field(nursery, database_url, tmp_path, QUICK) as field:
        db = field.storage.db
        there = await start(field, a_file(0, 300, "CTO"))
        await end_with_kills(field, there, ImportState.COMPLETED, 0)
        before = await db.fetch_value(HASH)

        import_id = await start(field, a_file(100, ROWS, "CEO"))
        kills = await end_with_kills(field, import_id, ImportState.COMPLETED, 4)
        done = await look(field, import_id)
        leads, doubled = await db.fetch_value(LEADS), await db.fetch_value(TWICE)

        await undo(field, import_id)
        undo_kills = await end_with_kills(field, import_id, ImportState.UNDONE, 3)
        gone = await look(field, import_id)

        assert (kills, undo_kills) == (4, 3)
        assert (done.counts.created, done.counts.updated) == (ROWS - 200, 200)
        assert (done.counts.bad, done.counts.waiting) == (1, 0)
        assert (leads, doubled) == (100 + ROWS, 0)
        assert (gone.counts.undone, gone.counts.kept) == (ROWS, 0)
        assert await db.fetch_value(HASH) == before
