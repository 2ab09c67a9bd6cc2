from uuid import uuid4

import anyio
import msgspec
import pytest
from leadflood.contracts.values import Channel
from leadflood.domain.auth.schemas.principals import Editor, Visibility
from leadflood.domain.leads.schemas.inputs import LeadChange
from leadflood.domain.leads.service.editing import LeadEditing
from leadflood.domain.messages.schemas import (
    Decider,
    Edit,
    MessageFilter,
    MessageRejected,
    MessageState,
    MessageView,
)
from leadflood.domain.messages.service.approval import MessageApproval
from leadflood.domain.sending.schemas import MessageApproved
from leadflood.domain.sending.service.outbox import Outbox
from leadflood.domain.suppressions.schemas import SuppressionKind
from leadflood.engine.db.pool import Database
from leadflood.engine.errors import Conflict, NotConfigured, NotFound, PreconditionFailed
from leadflood.engine.queue import runs
from tests.support.messaging import ADDRESS_KEY, SETTINGS, World
from tests.support.statements import sql

pytestmark = pytest.mark.pg
ANN = Decider(by="ann")


@pytest.fixture
async def world(database: Database) -> World:
    world = World(database)
    await world.release()
    return world


async def a_waiting_message(world: World) -> MessageView:
    await world.drafted(
        [await world.lead()], await world.run("hold"), await world.icp(autopilot=False)
    )
    [message] = await world.messages.list(MessageFilter(state=MessageState.WAITING))
    return message


async def send(world: World, message: MessageView, decider: Decider = ANN) -> MessageView:
    async with world.publisher.transaction() as publication:
        return await world.approval.send(publication, message.id, decider)


async def test_sending_a_waiting_message_approves_it_and_starts_its_sending(world: World) -> None:
    message = await a_waiting_message(world)

    sent = await send(world, message)

    assert (sent.state, sent.intent_state) == (MessageState.APPROVED, "ready")
    assert sent.version == message.version + 1
    assert [type(event) for event in world.publisher.events] == [MessageApproved]


async def test_sending_a_ready_message_queues_it_again_and_changes_nothing_else(
    world: World,
) -> None:
    message = await a_waiting_message(world)
    first = await send(world, message)

    again = await send(world, message)

    assert again == first
    assert [
        event.intent_id for event in world.publisher.events if isinstance(event, MessageApproved)
    ] == [first.intent_id] * 2


async def test_while_sending_is_held_nothing_is_approved_by_sending(world: World) -> None:
    message = await a_waiting_message(world)
    await world.hold("ann", "look first")

    with pytest.raises(Conflict) as refused:
        await send(world, message)

    assert refused.value.error_code == "sending.held"
    assert (await world.messages.get(message.id)).message == message
    assert not world.publisher.events


async def test_who_is_suppressed_is_not_written_to(world: World) -> None:
    message = await a_waiting_message(world)
    await world.suppress(SuppressionKind.ADDRESS, message.to_address, "asked", by="ann")

    with pytest.raises(Conflict) as refused:
        await send(world, message)

    assert refused.value.error_code == "message.suppressed"
    assert (await world.messages.get(message.id)).message.state is MessageState.WAITING


@pytest.mark.parametrize(
    ("state", "code"),
    [
        ("accepted", "message.sent"),
        ("sending", "message.sending"),
        ("unknown", "message.unknown"),
        ("refused", "message.refused"),
        ("cancelled", "message.cancelled"),
    ],
)
async def test_what_was_tried_is_not_tried_again(world: World, state: str, code: str) -> None:
    message = await a_waiting_message(world)
    sent = await send(world, message)
    await world.db.execute(
        sql(
            "UPDATE intent SET state = $2, claim = 1, job_id = id, sending_at = created_at,"
            " ended_at = CASE WHEN $2 IN ('sending', 'unknown') THEN NULL ELSE created_at END"
            " WHERE id = $1",
            "id",
            "state",
        ),
        id=sent.intent_id,
        state=state,
    )

    with pytest.raises(Conflict) as refused:
        await send(world, message)

    assert refused.value.error_code == code
    assert len(world.publisher.events) == 1


async def test_a_rejected_message_is_not_sent(world: World) -> None:
    message = await a_waiting_message(world)
    await world.reject(message.id, "ann")

    with pytest.raises(Conflict) as refused:
        await send(world, message)

    assert refused.value.error_code == "message.rejected"


async def test_without_a_sender_the_setting_is_named_and_nothing_is_approved(
    world: World,
) -> None:
    message = await a_waiting_message(world)
    missing = {Channel.EMAIL: "providers.smtp.base_url"}
    outbox = Outbox(SETTINGS, ADDRESS_KEY, world.clock, missing)
    alone = MessageApproval(SETTINGS, world.clock, world.ids, outbox)

    with pytest.raises(NotConfigured, match=r"set providers\.smtp\.base_url"):
        async with world.publisher.transaction() as publication:
            await alone.send(publication, message.id, ANN)

    assert (await world.messages.get(message.id)).message.state is MessageState.WAITING


async def test_a_decision_on_an_older_version_is_refused(world: World) -> None:
    message = await a_waiting_message(world)
    approval, stale = world.approval, Decider(by="ann", version=message.version + 1)

    for decide in (approval.approve, approval.reject, approval.send):
        with pytest.raises(PreconditionFailed):
            async with world.publisher.transaction() as publication:
                await decide(publication, message.id, stale)

    assert (await world.messages.get(message.id)).message == message


async def test_messages_to_other_peoples_leads_are_not_there(world: World) -> None:
    message = await a_waiting_message(world)
    owner_id = uuid4()
    await world.db.execute(sql("UPDATE lead SET owner = $1", "owner"), owner=str(owner_id))
    owner = Decider(by="owner", visibility=Visibility(owner_id))
    other = Decider(by="other", visibility=Visibility(uuid4()))

    with pytest.raises(NotFound):
        await send(world, message, other)
    with pytest.raises(NotFound):
        await world.messages.get(message.id, other.visibility)

    assert (await send(world, message, owner)).state is MessageState.APPROVED
    listed = await world.messages.list(visibility=owner.visibility)
    assert [view.id for view in listed] == [message.id]
    assert await world.messages.list(visibility=other.visibility) == ()


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


async def test_what_is_approved_while_a_setting_is_missing_says_what_it_waits_for(
    world: World,
) -> None:
    message = await a_waiting_message(world)
    poor = World(world.db, msgspec.structs.replace(SETTINGS, postal_address=" "))

    approved = await poor.approve(message.id, "ann")

    assert (approved.intent_state, approved.intent_code) == ("ready", "waits_for_setup")
    assert approved.intent_detail == "set messaging.postal_address"


async def test_a_cancelled_run_keeps_a_person_from_approving(world: World) -> None:
    message = await a_waiting_message(world)

    await runs.cancel(world.db, message.run_id, "ann", world.clock.now())
    with pytest.raises(Conflict, match="run"):
        await world.approve(message.id, "ann")


async def correct(world: World, message: MessageView, change: LeadChange) -> None:
    async with world.db.transaction() as tx:
        await LeadEditing(world.ids, world.clock).update(
            tx, message.lead_id, change, Editor(by="ann")
        )


@pytest.mark.parametrize("email", ["ada.new@acme.example", None])
async def test_a_draft_is_not_approved_to_an_address_that_was_corrected_meanwhile(
    world: World, email: str | None
) -> None:
    message = await a_waiting_message(world)
    await correct(world, message, LeadChange(email=email))

    for decide in (world.approve(message.id, "ann"), send(world, message)):
        with pytest.raises(Conflict) as refused:
            await decide
        assert refused.value.error_code == "message.address.changed"

    assert (await world.messages.get(message.id)).message == message
    assert not world.publisher.events


async def test_a_draft_to_a_suppressed_person_is_not_approved(world: World) -> None:
    message = await a_waiting_message(world)
    await world.suppress(SuppressionKind.LEAD, str(message.lead_id), "asked", by="ann")

    with pytest.raises(Conflict) as refused:
        await world.approve(message.id, "ann")

    assert refused.value.error_code == "message.suppressed"


async def test_a_draft_that_is_readdressed_goes_to_what_its_lead_has_now(world: World) -> None:
    message = await a_waiting_message(world)
    new = LeadChange(email="ada.new@acme.example", full_name="Ada Lovelace")
    await correct(world, message, new)

    async with world.db.transaction() as tx:
        edited = await world.approval.edit(tx, message.id, ANN, Edit(readdress=True))
    approved = await world.approve(message.id, "ann")

    assert (edited.to_address, edited.body) == ("ada.new@acme.example", message.body)
    assert edited.version == message.version + 1
    assert edited.writer == message.writer
    event = world.publisher.events[-1]
    assert isinstance(event, MessageApproved)
    job = await world.load_send(event)
    assert (job.input.to_address, job.input.to_name) == ("ada.new@acme.example", "Ada Lovelace")
    assert approved.intent_state == "ready"


async def test_a_draft_is_not_readdressed_to_nothing(world: World) -> None:
    message = await a_waiting_message(world)
    await correct(world, message, LeadChange(email=None))

    async with world.db.transaction() as tx:
        with pytest.raises(Conflict, match="PATCH") as refused:
            await world.approval.edit(tx, message.id, ANN, Edit(readdress=True, body="Hello"))

    assert refused.value.error_code == "message.no_address"
