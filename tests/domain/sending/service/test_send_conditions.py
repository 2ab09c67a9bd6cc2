"""What forbids a send is what stands at its moment, whatever stood when it was approved."""

from uuid import UUID

import pytest
from leadflood.domain.auth.schemas.principals import Editor
from leadflood.domain.leads.schemas.inputs import LeadChange
from leadflood.domain.leads.service.editing import LeadEditing
from leadflood.domain.leads.service.merging import LeadMerging
from leadflood.domain.sending.schemas import MessageApproved
from leadflood.domain.suppressions.schemas import SuppressionKind
from leadflood.engine.context import Allow, Deny
from leadflood.engine.db.pool import Database
from tests.support.messaging import World
from tests.support.statements import sql

ANN = Editor(by="ann")


@pytest.fixture
async def world(database: Database) -> World:
    world = World(database)
    await world.release()
    return world


async def code_of_decision(world: World, event: MessageApproved) -> str:
    """Return why a send is refused now; empty: it is allowed."""
    async with world.db.transaction() as tx:
        decision = await world.outbox.check(tx, event.intent_id)
    assert isinstance(decision, Allow | Deny)
    return decision.code if isinstance(decision, Deny) else ""


async def twin(world: World, **values: str) -> UUID:
    """Make a lead that is not the first one, by any key."""
    fields = {"email": "ada.private@home.example", "full_name": "Ada Twin", "company_name": ""}
    return await world.lead(**(fields | values))


async def merge(world: World, lead_id: UUID, into_id: UUID) -> None:
    async with world.db.transaction() as tx:
        await LeadMerging(world.ids, world.clock).merge(tx, lead_id, into_id, ANN)


async def unmerge(world: World, lead_id: UUID) -> None:
    async with world.db.transaction() as tx:
        await LeadMerging(world.ids, world.clock).unmerge(tx, lead_id, ANN)


async def edit(world: World, lead_id: UUID, change: LeadChange) -> None:
    async with world.db.transaction() as tx:
        await LeadEditing(world.ids, world.clock).update(tx, lead_id, change, ANN)


async def stop(world: World, lead_id: UUID) -> None:
    await world.suppress(SuppressionKind.LEAD, str(lead_id), "asked to stop", by="ann")


async def test_who_said_stop_as_another_lead_is_not_written_to_after_a_merge(
    world: World,
) -> None:
    [event] = await world.approved()
    other_id = await twin(world)
    await stop(world, other_id)
    before = await code_of_decision(world, event)

    await merge(world, other_id, event.lead_id)
    [decision] = await world.authorize(await world.load_send(event))

    assert before == ""
    assert isinstance(decision, Deny)
    assert decision.code == "suppressed"
    assert await world.state(event) == "cancelled"


async def test_the_whole_family_counts_however_long_its_chain(world: World) -> None:
    [event] = await world.approved()
    nearer, farther = await twin(world), await twin(world, email="ada@elsewhere.example")
    await merge(world, farther, nearer)
    await merge(world, nearer, event.lead_id)

    await stop(world, farther)

    assert await code_of_decision(world, event) == "suppressed"


async def test_what_another_asked_for_counts_no_more_once_the_merge_is_undone(
    world: World,
) -> None:
    [event] = await world.approved()
    other_id = await twin(world)
    await merge(world, other_id, event.lead_id)
    await stop(world, other_id)
    merged = await code_of_decision(world, event)

    await unmerge(world, other_id)

    assert (merged, await code_of_decision(world, event)) == ("suppressed", "")


async def test_a_mailbox_is_not_written_to_when_the_lead_it_identifies_said_stop(
    world: World,
) -> None:
    [event] = await world.approved(email="Mary@acme.example", full_name="Ada Mary")
    other_id = await twin(world)
    await world.db.execute(
        sql("UPDATE identity SET lead_id = $1 WHERE value = 'mary@acme.example'", "id"),
        id=other_id,
    )

    await stop(world, other_id)

    assert await code_of_decision(world, event) == "suppressed"


@pytest.mark.parametrize("email", ["ada.new@acme.example", None])
async def test_an_address_that_a_person_corrected_is_not_written_to(
    world: World, email: str | None
) -> None:
    [event] = await world.approved()
    await edit(world, event.lead_id, LeadChange(title="CTO"))
    before = await code_of_decision(world, event)

    await edit(world, event.lead_id, LeadChange(email=email))
    [decision] = await world.authorize(await world.load_send(event))

    assert before == ""
    assert isinstance(decision, Deny)
    assert decision.code == "address.changed"


async def test_an_address_that_came_with_a_merge_goes_with_its_undo(world: World) -> None:
    lead_id = await world.lead(email="", email_status="", full_name="Ada Twin", company_name="")
    other_id = await world.lead()
    await merge(world, other_id, lead_id)
    [event] = await world.drafted([lead_id], await world.run(), await world.icp())
    assert isinstance(event, MessageApproved)
    before = await code_of_decision(world, event)

    await unmerge(world, other_id)

    assert (before, await code_of_decision(world, event)) == ("", "address.changed")
