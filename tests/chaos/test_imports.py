"""kill -9 in the middle of an import, and in the middle of its undo."""

import hashlib
import io
import random
import signal
from pathlib import Path
from uuid import UUID

import anyio
import pytest
from leadflood.domain.auth.schemas.principals import EVERYTHING, OPERATOR
from leadflood.domain.imports.schemas.mappings import Importer, ImportMapping
from leadflood.domain.imports.schemas.views import ImportState, ImportView
from leadflood.domain.imports.service.imports import ImportService
from leadflood.domain.imports.service.uploads import ImportUploads, UploadedFile
from leadflood.domain.users.service.lead_owners import LeadOwners
from leadflood.engine.clock import REAL_TIME
from leadflood.engine.db.sql import Query
from leadflood.wiring.storage import Storage

from tests.support.chaos import ChaosField, Nursery, open_chaos_field
from tests.support.pretend import Plan

pytestmark = [pytest.mark.chaos, pytest.mark.pg]

QUICK = Plan(people_count=100, dead_after_seconds=1.0)
ROWS = 2_500
POINTS = ("imports.run.commit.before", "imports.run.commit.after")
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


def imports_of(storage: Storage) -> ImportService:
    owners = LeadOwners(storage.users)
    return ImportService(storage.db, storage.clock, storage.icps, owners, storage.runs, ())


async def start(field: ChaosField, raw: bytes) -> UUID:
    """Upload a file, map it and start it, as the routes do."""
    storage = field.storage
    imports, uploads = imports_of(storage), ImportUploads(storage.ids, storage.clock)
    importer = Importer(by="operator")
    upload = UploadedFile(
        file=io.BytesIO(raw),
        name="leads.csv",
        sha256=hashlib.sha256(raw).digest(),
        byte_count=len(raw),
    )
    async with (
        uploads.read(storage.db, upload, importer) as read_file,
        storage.producer().transaction() as publication,
    ):
        import_id = await uploads.stage(publication.tx, upload, read_file, importer)
        mapping = ImportMapping(enrich=False)
        await imports.change_mapping(publication.tx, import_id, mapping, importer, None)
        await imports.start(publication, import_id, importer)
    return import_id


async def undo(field: ChaosField, import_id: UUID) -> None:
    async with field.storage.producer().transaction() as publication:
        await imports_of(field.storage).undo(publication, import_id, OPERATOR)


async def view_of(field: ChaosField, import_id: UUID) -> ImportView:
    return await imports_of(field.storage).get(import_id, EVERYTHING)


async def end_with_kills(
    field: ChaosField, import_id: UUID, state: ImportState, kill_count: int
) -> int:
    """Kill one worker after the other at named moments and at any time; tell how many died."""
    rng = random.Random(11)  # noqa: S311 - when to kill, no secret
    kills = 0
    for attempt in range(kill_count):
        at_any_time = attempt % 3 == 2
        worker = await field.worker(crash_at="" if at_any_time else POINTS[attempt % 3])
        if at_any_time:
            await worker.hear("ready")
            await REAL_TIME.sleep(rng.uniform(0.02, 0.2))
            worker.kill()
        assert await worker.wait() == -signal.SIGKILL
        kills += 1
        if (await view_of(field, import_id)).state is state:
            return kills
    worker = await field.worker()
    with anyio.fail_after(60):
        while (await view_of(field, import_id)).state is not state:
            await REAL_TIME.sleep(0.05)
    worker.kill()
    await worker.wait()
    return kills


async def test_an_import_and_its_undo_survive_kills_and_leave_no_trace(
    nursery: Nursery, database_url: str, tmp_path: Path
) -> None:
    async with open_chaos_field(nursery, database_url, tmp_path, QUICK) as field:
        db = field.storage.db
        earlier = await start(field, a_file(0, 300, "CTO"))
        await end_with_kills(field, earlier, ImportState.COMPLETED, 0)
        before = await db.fetch_value(HASH)

        import_id = await start(field, a_file(100, ROWS, "CEO"))
        kills = await end_with_kills(field, import_id, ImportState.COMPLETED, 4)
        completed = await view_of(field, import_id)
        leads, doubled = await db.fetch_value(LEADS), await db.fetch_value(TWICE)

        await undo(field, import_id)
        undo_kills = await end_with_kills(field, import_id, ImportState.UNDONE, 3)
        undone = await view_of(field, import_id)

        assert (kills, undo_kills) == (4, 3)
        assert (completed.counts.created, completed.counts.updated) == (ROWS - 200, 200)
        assert (completed.counts.bad, completed.counts.waiting) == (1, 0)
        assert (leads, doubled) == (100 + ROWS, 0)
        assert (undone.counts.undone, undone.counts.kept) == (ROWS, 0)
        assert await db.fetch_value(HASH) == before
