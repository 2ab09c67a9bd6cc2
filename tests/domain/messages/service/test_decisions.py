from uuid import UUID

import anyio
import msgspec
import pytest
from leadflood.domain.messages.schemas import (
    Decider,
    Edit,
    MessageFilter,
    MessageRejected,
    MessageState,
    MessageView,
)
from leadflood.domain.sending.schemas import MessageApproved
from leadflood.engine.db.pool import Database
from leadflood.engine.errors import Conflict, Invalid, NotConfigured, NotFound
from leadflood.engine.queue import runs
from tests.support.messaging import SETTINGS, World

pytestmark = pytest.mark.pg


@pytest.fixture
def world(database: Database) -> World:
    return World(database)


async def edit(world: World, message_id: UUID, change: Edit, by: str) -> MessageView:
    async with world.db.transaction() as tx:
        return await world.approval.edit(tx, message_id, Decider(by=by), change)


async def a_waiting_message(world: World) -> MessageView:
    await world.drafted([await world.lead()], await world.run("hold"), await world.icp())
    [message] = await world.messages.list(MessageFilter(state=MessageState.WAITING))
    return message


async def test_approving_makes_one_ready_intent_however_often_and_by_whomever(
    world: World,
) -> None:
    message = await a_waiting_message(world)

    async with anyio.create_task_group() as group:
        for name in ("ann", "bob", "cas"):
            group.start_soon(world.approve, message.id, name)

    [approved] = await world.messages.list()
    assert approved.state is MessageState.APPROVED
    assert approved.intent_state == "ready"
    assert [type(event) for event in world.publisher.events] == [MessageApproved]


async def test_a_rejected_message_can_not_be_approved(world: World) -> None:
    message = await a_waiting_message(world)

    rejected = await world.reject(message.id, "ann", "wrong tone")
    await world.reject(message.id, "bob")

    assert (rejected.state, rejected.decided_by) == (MessageState.REJECTED, "ann")
    assert [type(event) for event in world.publisher.events] == [MessageRejected]
    with pytest.raises(Conflict):
        await world.approve(message.id, "bob")
    with pytest.raises(NotFound):
        await world.approve(world.ids.new(), "bob")


async def test_a_cancelled_run_or_a_missing_setting_keeps_a_person_from_approving(
    world: World,
) -> None:
    message = await a_waiting_message(world)
    poor = World(world.db, msgspec.structs.replace(SETTINGS, postal_address=" "))

    with pytest.raises(NotConfigured, match=r"messaging\.postal_address"):
        await poor.approve(message.id, "ann")
    await runs.cancel(world.db, message.run_id, "ann", world.clock.now())
    with pytest.raises(Conflict, match="run"):
        await world.approve(message.id, "ann")


async def test_an_edited_text_goes_out_and_no_longer_names_claims(world: World) -> None:
    message = await a_waiting_message(world)

    edited = await edit(world, message.id, Edit(body="Hi Ada, see https://example.com"), "ann")
    detail = await world.messages.get(message.id)

    assert edited.writer == "person:ann"
    assert edited.subject == message.subject
    assert all(fact.claimed_at == () for fact in detail.facts)
    for blank in (Edit(subject=" "), Edit(body=""), Edit(body="Hi {{ name }}")):
        with pytest.raises(Invalid):
            await edit(world, message.id, blank, "ann")
    await world.approve(message.id, "ann")
    with pytest.raises(Conflict):
        await edit(world, message.id, Edit(body="too late"), "ann")


async def test_a_draft_that_lacks_data_can_be_written_by_a_person(world: World) -> None:
    lead_id = await world.lead(first_name="", full_name="", company_name="")
    await world.drafted([lead_id], await world.run(), await world.icp())
    [message] = await world.messages.list(MessageFilter(lead_id=lead_id))

    edited = await edit(world, message.id, Edit("Hello", "Hi there"), "ann")

    assert message.state is MessageState.NEEDS_DATA
    assert (edited.state, edited.reason) == (MessageState.WAITING, "")
