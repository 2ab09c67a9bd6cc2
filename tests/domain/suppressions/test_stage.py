"""A person who asked a provider to be left alone is left alone by us."""

from leadflood.domain.leads.schemas.events import PersonClaimed
from leadflood.domain.suppressions.stage import SuppressStage
from leadflood.engine.context import Deny
from leadflood.engine.db.pool import Database
from leadflood.engine.queue.outcome import Done
from leadflood.engine.queue.stage import FinishedTask, Policy
from tests.support.messaging import ADDRESS_KEY, World


async def _suppress(world: World, event: PersonClaimed) -> None:
    stage = SuppressStage(Policy(), ADDRESS_KEY, world.clock, world.ids)
    claimed = world.claim(event, None)
    [profile] = await stage.load(world.db, [claimed])
    async with world.db.transaction() as tx:
        await stage.commit(tx, [FinishedTask(claimed, Done(profile), profile)])  # type: ignore[arg-type]


async def test_who_claimed_an_address_at_a_provider_gets_no_message_of_ours(
    database: Database,
) -> None:
    world = World(database)
    await world.release()
    [approved] = await world.approved()
    job = await world.load_send(approved)

    await _suppress(world, PersonClaimed(lead_id=approved.lead_id, provider="hunter"))
    [decision] = await world.authorize(job)

    assert isinstance(decision, Deny)
    assert await world.state(approved) == "cancelled"


async def test_suppressing_the_same_person_twice_changes_nothing(database: Database) -> None:
    world = World(database)
    [approved] = await world.approved()
    event = PersonClaimed(lead_id=approved.lead_id, provider="hunter")

    await _suppress(world, event)
    first = await world.suppressions.list()
    await _suppress(world, event)

    assert await world.suppressions.list() == first
    assert {line.reason for line in first} == {"asked to be left alone"}
