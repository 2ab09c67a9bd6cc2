from uuid import UUID

import anyio
import msgspec
import pytest
from leadflood.domain.messaging.keys import Keys
from leadflood.domain.messaging.schemas import (
    Decider,
    Edit,
    LeadUnsubscribed,
    MessageApproved,
    MessageRejected,
    MessageState,
    MessageView,
    SuppressionKind,
)
from leadflood.engine.context import Deny
from leadflood.engine.db.pool import Database
from leadflood.engine.errors import Conflict, Invalid, NotConfigured, NotFound
from leadflood.engine.queue import runs
from tests.support.messaging import SETTINGS, World
from tests.support.statements import sql

pytestmark = pytest.mark.pg


@pytest.fixture
def world(database: Database) -> World:
    return World(database)


async def edit(world: World, message_id: UUID, change: Edit, by: str) -> MessageView:
    async with world.publisher.transaction() as publication:
        return await world.service.decisions.edit(publication, message_id, Decider(by=by), change)


async def a_waiting_message(world: World) -> MessageView:
    await world.drafted([await world.lead()], await world.run("hold"), await world.icp())
    [message] = await world.service.list_messages(state=MessageState.WAITING)
    return message


async def test_approving_makes_one_ready_intent_however_often_and_by_whomever(
    world: World,
) -> None:
    message = await a_waiting_message(world)

    async with anyio.create_task_group() as group:
        for name in ("ann", "bob", "cas"):
            group.start_soon(world.service.approve, message.id, name)

    [approved] = await world.service.list_messages()
    assert approved.state is MessageState.APPROVED
    assert approved.intent_state == "ready"
    assert [type(event) for event in world.publisher.events] == [MessageApproved]


async def test_a_rejected_message_can_not_be_approved(world: World) -> None:
    message = await a_waiting_message(world)

    rejected = await world.service.reject(message.id, "ann", "wrong tone")
    await world.service.reject(message.id, "bob")

    assert (rejected.state, rejected.decided_by) == (MessageState.REJECTED, "ann")
    assert [type(event) for event in world.publisher.events] == [MessageRejected]
    with pytest.raises(Conflict):
        await world.service.approve(message.id, "bob")
    with pytest.raises(NotFound):
        await world.service.approve(world.ids.new(), "bob")


async def test_a_cancelled_run_or_a_missing_setting_keeps_a_person_from_approving(
    world: World,
) -> None:
    message = await a_waiting_message(world)
    poor = World(world.db, msgspec.structs.replace(SETTINGS, postal_address=" "))

    with pytest.raises(NotConfigured, match=r"messaging\.postal_address"):
        await poor.service.approve(message.id, "ann")
    await runs.cancel(world.db, message.run_id, "ann", world.clock.now())
    with pytest.raises(Conflict, match="run"):
        await world.service.approve(message.id, "ann")


async def test_an_edited_text_goes_out_and_no_longer_names_claims(world: World) -> None:
    message = await a_waiting_message(world)

    edited = await edit(world, message.id, Edit(body="Hi Ada, see https://example.com"), "ann")
    detail = await world.service.show(message.id)

    assert edited.writer == "person:ann"
    assert edited.subject == message.subject
    assert all(fact.claimed_at == () for fact in detail.facts)
    for blank in (Edit(subject=" "), Edit(body=""), Edit(body="Hi {{ name }}")):
        with pytest.raises(Invalid):
            await edit(world, message.id, blank, "ann")
    await world.service.approve(message.id, "ann")
    with pytest.raises(Conflict):
        await edit(world, message.id, Edit(body="too late"), "ann")


async def test_a_draft_that_lacks_data_can_be_written_by_a_person(world: World) -> None:
    lead_id = await world.lead(first_name="", full_name="", company_name="")
    await world.drafted([lead_id], await world.run(), await world.icp())
    [message] = await world.service.list_of_lead(lead_id)

    edited = await edit(world, message.id, Edit("Hello", "Hi there"), "ann")

    assert message.state is MessageState.NEEDS_DATA
    assert (edited.state, edited.reason) == (MessageState.WAITING, "")


async def test_one_click_stops_every_channel_once_and_the_same_ever_after(world: World) -> None:
    await world.release()
    [event] = await world.approved(phone="+31620000000")
    token = Keys(SETTINGS.hash_secret).token_for(event.intent_id)

    peeked = await world.service.peek_unsubscribe(token)
    first = await world.service.unsubscribe(token)
    again = await world.service.unsubscribe(token)
    listed = await world.service.list_suppressed()
    [verdict] = await world.authorize(await world.load_send(event))

    assert (peeked.known, peeked.first_time, peeked.hint) == (True, True, "p***@a***.example")
    assert (first.first_time, again.first_time, again.known) == (True, False, True)
    assert {line.kind for line in listed} == {SuppressionKind.ADDRESS, SuppressionKind.LEAD}
    assert [type(said) for said in world.publisher.events] == [LeadUnsubscribed]
    assert isinstance(verdict, Deny)
    assert verdict.code == "suppressed"


async def test_an_unsubscribed_person_is_not_written_to_at_another_address(
    world: World,
) -> None:
    await world.release()
    [event] = await world.approved()
    await world.service.unsubscribe(Keys(SETTINGS.hash_secret).token_for(event.intent_id))
    run_id, icp_id = await world.run(), await world.icp()
    await world.lead(email="p0@acme.example", full_name="Ada B0", phone="+31620000000")
    await world.opt_in(event.lead_id)

    [later] = await world.drafted([event.lead_id], run_id, icp_id)
    assert isinstance(later, MessageApproved)
    [verdict] = await world.authorize(await world.load_send(later))

    assert isinstance(verdict, Deny)


@pytest.mark.parametrize("token", ["", "x" * 100_000, "\x00", "\ud800", "../../etc/passwd"])
async def test_a_foreign_token_does_nothing(database: Database, token: str) -> None:
    world = World(database)

    answer = await world.service.unsubscribe(token)

    assert not answer.known
    assert await world.service.list_suppressed() == ()


async def test_the_list_keeps_hashes_and_hints_only(world: World) -> None:
    for kind, value in (
        (SuppressionKind.ADDRESS, "Ada@Acme.example"),
        (SuppressionKind.ADDRESS, "+31 6 2000 0000"),
        (SuppressionKind.DOMAIN, "Bücher.example"),
    ):
        await world.service.suppress(kind, value, "asked", by="ann")
    again = await world.service.suppress(
        SuppressionKind.ADDRESS, "ada@acme.EXAMPLE", "asked twice", by="bob"
    )

    rows = await world.db.fetch(sql("SELECT row_to_json(suppression)::text FROM suppression"))
    kept = " ".join(row[0] for row in rows).casefold()
    assert len(rows) == 3
    assert again.by == "ann"
    assert "ada@" not in kept
    assert "20000000" not in kept
    assert "bücher" not in kept


async def test_what_cannot_be_suppressed_is_told_with_what_to_write(world: World) -> None:
    for kind, value in (
        (SuppressionKind.ADDRESS, "nobody"),
        (SuppressionKind.DOMAIN, "a b"),
        (SuppressionKind.CHANNEL, "pigeon"),
        (SuppressionKind.LEAD, "7"),
    ):
        with pytest.raises(Invalid, match="write"):
            await world.service.suppress(kind, value, "asked", by="ann")
    with pytest.raises(Invalid, match="reason"):
        await world.service.suppress(SuppressionKind.CHANNEL, "sms", " ", by="ann")
    poor = World(world.db, msgspec.structs.replace(SETTINGS, hash_secret=""))
    with pytest.raises(NotConfigured, match=r"messaging\.hash_secret"):
        await poor.service.suppress(SuppressionKind.CHANNEL, "sms", "x", by="ann")


async def test_a_line_is_lifted_by_value_and_only_once(world: World) -> None:
    await world.service.suppress(SuppressionKind.ADDRESS, "ada@acme.example", "x", by="ann")

    lifted = await world.service.lift_value(SuppressionKind.ADDRESS, "ADA@acme.example", "bob")

    assert lifted.lifted_at is not None
    with pytest.raises(NotFound):
        await world.service.lift(lifted.id, "bob")
    with pytest.raises(NotFound):
        await world.service.lift_value(SuppressionKind.ADDRESS, "ada@acme.example", "bob")


async def test_a_new_database_starts_held_and_release_says_who(world: World) -> None:
    before = await world.service.sending_status()
    released = await world.service.release("ann", "ready")
    held = await world.service.hold("bob", "wrong text")

    assert before.held
    assert (released.held, released.by) == (False, "ann")
    assert (held.held, held.by, held.reason) == (True, "bob", "wrong text")
    assert held.sending == ()
