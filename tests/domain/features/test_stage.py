from uuid import UUID

import anyio
import pytest
from leadflood.contracts.values import FieldName
from leadflood.domain.enrichment.schemas import LeadEnriched
from leadflood.domain.features import repository
from leadflood.domain.features.schemas import SNAPSHOT_VERSION
from leadflood.domain.leads.schemas.lead_states import LeadStatus
from leadflood.domain.leads.service import kernel as leads
from leadflood.engine.db.pool import Database
from leadflood.engine.db.sql import Query
from leadflood.engine.db.tx import sqlstate_of
from leadflood.engine.queue.outcome import Cancelled, Discard
from leadflood.engine.queue.stage import FinishedTask
from tests.domain.icp.icps import an_icp
from tests.domain.scoring.saved import World

NOBODY = UUID(int=1)
pytestmark = pytest.mark.pg


async def count(database: Database) -> int:
    return int(await database.fetch_value(Query("c", "SELECT count(*) FROM feature_snapshot", ())))


async def test_a_batch_of_leads_gets_a_snapshot_and_an_event_each(database: Database) -> None:
    world = World(database)
    icp = await world.icp(an_icp())
    first = await world.lead("1", full_name="Mira A", title="VP Operations", country="DE")
    second = await world.lead("2", full_name="Ivo B")

    events = await world.computed([first, second], icp)

    found = await repository.find_snapshots(database, [event.snapshot_id for event in events])
    assert [event.lead_id for event in events] == [first, second]
    assert found[events[0].snapshot_id].vector["title_matches"] is True
    assert "title_matches" not in found[events[1].snapshot_id].vector
    assert {one.snapshot_version for one in found.values()} == {SNAPSHOT_VERSION}


async def test_equal_inputs_give_the_same_snapshot_however_often(database: Database) -> None:
    world = World(database)
    icp = await world.icp(an_icp())
    lead = await world.lead("1", full_name="Mira A", title="VP Operations")

    first = await world.computed([lead], icp)
    again = await world.computed([lead, lead], icp)

    assert {event.snapshot_id for event in again} == {first[0].snapshot_id}
    assert await count(database) == 1


async def test_a_batch_committed_twice_leaves_the_same_rows(database: Database) -> None:
    world = World(database)
    icp = await world.icp(an_icp())
    lead = await world.lead("1", full_name="Mira A")
    ended = await world.ended(world.features, [LeadEnriched(lead_id=lead, icp_id=icp.id)])

    first = await world.commit(world.features, ended)
    second = await world.commit(world.features, ended)

    assert first == second
    assert await count(database) == 1


async def test_batches_of_two_nodes_at_once_meet_in_one_snapshot(database: Database) -> None:
    one, other = World(database), World(database)
    icp = await one.icp(an_icp())
    lead_ids = [await one.lead(str(key), full_name=f"Mira {key}") for key in range(20)]
    told: list[frozenset[UUID]] = []

    async def compute(world: World, order: list[UUID]) -> None:
        events = await world.computed(order, icp)
        told.append(frozenset(event.snapshot_id for event in events))

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(compute, one, lead_ids)
        tasks.start_soon(compute, other, lead_ids[::-1])

    assert told[0] == told[1]
    assert await count(database) == 20


async def test_values_found_later_make_a_new_snapshot(database: Database) -> None:
    world = World(database)
    icp = await world.icp(an_icp())
    lead = await world.lead("1", full_name="Mira A")
    before = await world.computed([lead], icp)

    await world.lead("1", full_name="Mira A", title="COO")
    after = await world.computed([lead], icp)

    assert after[0].snapshot_id != before[0].snapshot_id
    assert await count(database) == 2


async def test_a_lead_or_icp_that_is_gone_ends_the_task_with_its_code(database: Database) -> None:
    world = World(database)
    icp = await world.icp(an_icp())
    lead = await world.lead("1", full_name="Mira A")
    tasks = [
        LeadEnriched(lead_id=NOBODY, icp_id=icp.id),
        LeadEnriched(lead_id=lead, icp_id=NOBODY),
    ]

    ended = await world.ended(world.features, tasks)
    events = await world.commit(world.features, ended)

    profile = (await leads.find_profiles(database, [lead]))[lead]
    assert events == []
    assert (profile.status, profile.failed_code) == (LeadStatus.FAILED, "features.icp.not_found")


async def test_a_cancelled_task_leaves_its_lead_unchanged(database: Database) -> None:
    world = World(database)
    icp = await world.icp(an_icp())
    lead = await world.lead("1", full_name="Mira A")
    ended = await world.ended(world.features, [LeadEnriched(lead_id=lead, icp_id=icp.id)])

    await world.commit(
        world.features,
        [FinishedTask(ended[0].claimed, Discard(Cancelled("the run was cancelled")))],
    )

    assert (await leads.find_profiles(database, [lead]))[lead].status is LeadStatus.PROCESSING


async def test_a_snapshot_cannot_be_changed_but_goes_with_its_lead(database: Database) -> None:
    world = World(database)
    icp = await world.icp(an_icp())
    lead = await world.lead("1", full_name="Mira A")
    await world.computed([lead], icp)

    with pytest.raises(Exception, match="never changed") as caught:
        await database.execute(Query("tamper", "UPDATE feature_snapshot SET vector = '{}'", ()))
    await database.execute(Query("erase", "DELETE FROM lead WHERE id = $1", ("id",)), id=lead)

    assert sqlstate_of(caught.value) == "23514"
    assert await count(database) == 0


async def test_text_of_any_kind_is_stored_unchanged(database: Database) -> None:
    world = World(database)
    icp = await world.icp(an_icp())
    lead = await world.lead("1", full_name="Mira A", title='"Ü\\ \x1f {VP}')
    title = (await leads.find_profiles(database, [lead]))[lead].text(FieldName.TITLE)

    events = await world.computed([lead], icp)

    found = await repository.find_snapshots(database, [events[0].snapshot_id])
    assert found[events[0].snapshot_id].vector["title"] == title
