from uuid import UUID

import pytest
from leadflood.contracts.values import Channel
from leadflood.domain.drafting.schemas import Settings
from leadflood.domain.messages.schemas import (
    Decider,
    Edit,
    Message,
    MessageFilter,
    MessageState,
    MessageView,
)
from leadflood.domain.messages.service.editing import apply_edit
from leadflood.engine.db.pool import Database
from leadflood.engine.errors import Conflict, Invalid
from tests.support.messaging import World

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


@pytest.mark.parametrize(
    ("channel", "change", "path"),
    [
        (Channel.WHATSAPP, Edit(body="A text of mine"), "body"),
        (Channel.WHATSAPP, Edit(subject="New"), "body"),
        (Channel.EMAIL, Edit(parameters=("x",)), "parameters"),
        (Channel.EMAIL, Edit(), "body"),
    ],
)
async def test_what_the_channel_does_not_send_is_refused(
    world: World, channel: Channel, change: Edit, path: str
) -> None:
    """It would be kept as if it had been sent: WhatsApp sends its template and the parameters."""
    view = await a_waiting_message(world)
    message = Message(
        id=view.id,
        lead_id=view.lead_id,
        icp_id=view.icp_id,
        run_id=view.run_id,
        state=view.state,
        channel=channel,
    )

    with pytest.raises(Invalid) as refused:
        apply_edit(message, change, "ann", Settings())

    assert [field.path for field in refused.value.fields] == [path]


async def test_a_draft_that_lacks_data_can_be_written_by_a_person(world: World) -> None:
    lead_id = await world.lead(first_name="", full_name="", company_name="")
    await world.drafted([lead_id], await world.run(), await world.icp())
    [message] = await world.messages.list(MessageFilter(lead_id=lead_id))

    edited = await edit(world, message.id, Edit("Hello", "Hi there"), "ann")

    assert message.state is MessageState.NEEDS_DATA
    assert (edited.state, edited.reason) == (MessageState.WAITING, "")


@pytest.mark.parametrize(
    ("change", "code"),
    [
        (Edit(subject="A question\u2028about you"), "subject.line_break"),
        (Edit(subject="A question\x85about you"), "subject.line_break"),
        (Edit(subject="A question\x07"), "subject.hidden"),
        (Edit(subject="=?utf-8?q?You_have_won?="), "subject.hidden"),
        (Edit(body="Pay to \u202egro.live\u202c now"), "text.hidden"),
        (Edit(body="Go to ev\u200bil.example"), "text.hidden"),
    ],
)
async def test_a_person_writes_nothing_that_a_reader_does_not_see(
    world: World, change: Edit, code: str
) -> None:
    message = await a_waiting_message(world)

    with pytest.raises(Invalid) as caught:
        await edit(world, message.id, change, "ann")

    assert code in [field.path for field in caught.value.fields]


async def test_a_person_writes_the_signs_that_their_language_needs(world: World) -> None:
    message = await a_waiting_message(world)
    subject = "\u05e9\u05d0\u05dc\u05d4 C++\u200f!"

    edited = await edit(world, message.id, Edit(subject, "Donau\u00addampf\u00adschiff"), "ann")

    assert (edited.subject, edited.body) == (subject, "Donau\u00addampf\u00adschiff")
