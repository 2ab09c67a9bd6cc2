from pathlib import Path
from uuid import UUID

import anyio
import pytest
from leadflood.domain.auth.schemas.principals import OPERATOR
from leadflood.domain.bulk_actions.schemas import (
    BulkAction,
    BulkView,
    NewBulkAction,
    Parameters,
    StartedAction,
)
from leadflood.domain.bulk_actions.service import BulkActionService
from leadflood.domain.lead_views.service.lists import LeadLists
from leadflood.engine.clock import REAL_TIME
from leadflood.wiring.storage import Storage

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
        before = await hash_of_leads(storage.db, ids)
        new = NewBulkAction(
            action=BulkAction.TAG,
            lead_ids=[UUID(lead_id) for lead_id in ids],
            by="test",
            parameters=Parameters(tag="spring"),
        )

        tagged = await start(storage, new)
        await die_at(field, "bulk.run.commit.before")
        assert (await view_of(storage, tagged)).done_count == 0
        await die_at(field, "bulk.run.commit.after")
        assert 0 < (await view_of(storage, tagged)).done_count < LEADS
        await finish(field, tagged)

        undo_action = await undo(storage, tagged)
        await die_at(field, "bulk.run.commit.after")
        await kill_in_the_middle(field, undo_action)
        await finish(field, undo_action)

        assert await hash_of_leads(storage.db, ids) == before
        view = await view_of(storage, tagged)
        assert (view.done_count, view.undone_by) == (LEADS, undo_action.run_id)
        assert (await view_of(storage, undo_action)).done_count == LEADS


def actions_of(storage: Storage) -> BulkActionService:
    return BulkActionService(storage.db, storage.clock, storage.runs, LeadLists(storage.db))


async def start(storage: Storage, new: NewBulkAction) -> StartedAction:
    async with storage.producer().transaction() as publication:
        return await actions_of(storage).start(publication, new)


async def undo(storage: Storage, action: StartedAction) -> StartedAction:
    async with storage.producer().transaction() as publication:
        return await actions_of(storage).undo(publication, action.run_id, OPERATOR)


async def view_of(storage: Storage, action: StartedAction) -> BulkView:
    return await actions_of(storage).get(action.run_id, OPERATOR)


async def die_at(field: ChaosField, point: str) -> None:
    """Let a worker begin and end itself at a named moment."""
    worker = await field.worker(crash_at=point)
    assert await worker.wait() == -9
    await field.after_a_kill()


async def kill_in_the_middle(field: ChaosField, action: StartedAction) -> None:
    """Kill a worker once it has done something more, wherever it is then."""
    before = (await view_of(field.storage, action)).left_count
    worker = await field.worker()
    with anyio.fail_after(20):
        while (await view_of(field.storage, action)).left_count == before:
            await REAL_TIME.sleep(LOOK_SECONDS)
    worker.kill()
    await worker.wait()
    await field.after_a_kill()


async def finish(field: ChaosField, action: StartedAction) -> None:
    """Let a worker do what is left."""
    worker = await field.worker()
    with anyio.fail_after(20):
        while (await view_of(field.storage, action)).left_count:
            await REAL_TIME.sleep(LOOK_SECONDS)
    worker.kill()
    await worker.wait()
