from pathlib import Path
from uuid import UUID

import anyio
import pytest
from leadflood.app import Storage
from leadflood.domain.bulk.schemas import BulkView, NewBulk, Parameters, Verb
from leadflood.domain.bulk.service import Begun, BulkService
from leadflood.engine.clock import REAL_TIME

from tests.chaos.points import SMALL
from tests.support.chaos import ChaosField, Nursery, open_chaos_field
from tests.support.leads import hash_of_leads, make_leads

pytestmark = [pytest.mark.chaos, pytest.mark.pg]
LEADS = 2_600
LOOK_SECONDS = 0.02


async def test_a_bulk_action_killed_again_and_again_is_finished_and_undone_exactly(
    nursery: Nursery, database_url: str, tmp_path: Path
) -> None:
    async with open_chaos_field(nursery, database_url, tmp_path, SMALL) as field:
        storage = field.storage
        ids = await make_leads(storage, LEADS)
        kept = await hash_of_leads(storage.db, ids)
        new = NewBulk(
            verb=Verb.TAG,
            lead_ids=[UUID(one) for one in ids],
            by="test",
            parameters=Parameters(tag="spring"),
        )

        tagged = await begin(storage, new)
        await die_at(field, "leads.bulk.commit.before")
        assert (await look(storage, tagged)).done_count == 0
        await die_at(field, "leads.bulk.commit.after")
        assert 0 < (await look(storage, tagged)).done_count < LEADS
        await finish(field, tagged)

        undoing = await undo(storage, tagged)
        await die_at(field, "leads.bulk.commit.after")
        await kill_in_the_middle(field, undoing)
        await finish(field, undoing)

        assert await hash_of_leads(storage.db, ids) == kept
        view = await look(storage, tagged)
        assert (view.done_count, view.undone_by) == (LEADS, undoing.run_id)
        assert (await look(storage, undoing)).done_count == LEADS


async def begin(storage: Storage, new: NewBulk) -> Begun:
    async with storage.producer().transaction() as publication:
        begun = await BulkService(storage.ids, storage.clock).begin(publication.tx, new)
        await publication.publish(begun.chunks, run_id=begun.run_id)
    return begun


async def undo(storage: Storage, done: Begun) -> Begun:
    async with storage.producer().transaction() as publication:
        service = BulkService(storage.ids, storage.clock)
        begun = await service.undo(publication.tx, done.run_id, "test", None)
        await publication.publish(begun.chunks, run_id=begun.run_id)
    return begun


async def look(storage: Storage, begun: Begun) -> BulkView:
    return await BulkService(storage.ids, storage.clock).get(storage.db, begun.run_id)


async def die_at(field: ChaosField, point: str) -> None:
    """Let a worker begin and end itself at a named moment."""
    worker = await field.worker(crash_at=point)
    assert await worker.wait() == -9
    await field.after_a_kill()


async def kill_in_the_middle(field: ChaosField, begun: Begun) -> None:
    """Kill a worker once it has done something more, wherever it is then."""
    before = (await look(field.storage, begun)).left_count
    worker = await field.worker()
    with anyio.fail_after(20):
        while (await look(field.storage, begun)).left_count == before:
            await REAL_TIME.sleep(LOOK_SECONDS)
    worker.kill()
    await worker.wait()
    await field.after_a_kill()


async def finish(field: ChaosField, begun: Begun) -> None:
    """Let a worker do what is left."""
    worker = await field.worker()
    with anyio.fail_after(20):
        while (await look(field.storage, begun)).left_count:
            await REAL_TIME.sleep(LOOK_SECONDS)
    worker.kill()
    await worker.wait()
