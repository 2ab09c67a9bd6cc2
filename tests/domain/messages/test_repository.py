from collections.abc import Sequence

import asyncpg
import pytest
from leadflood.contracts.values import Channel
from leadflood.domain.messages import repository
from leadflood.domain.messages.schemas import Message, MessageState
from leadflood.domain.messages.service.approval import make_intent
from leadflood.domain.messages.service.drafts import DraftedMessage, record_drafts
from leadflood.engine.db.pool import Database
from tests.support.messaging import World
from tests.support.statements import sql

pytestmark = pytest.mark.pg


def a_message(world: World, **over: object) -> Message:
    given: dict[str, object] = {
        "id": world.ids.new(),
        "lead_id": world.ids.new(),
        "icp_id": world.ids.new(),
        "run_id": world.ids.new(),
        "state": MessageState.REJECTED,
        "channel": Channel.EMAIL,
        "to_address": "ada@acme.example",
        "subject": "Hello",
        "body": "Hi Ada",
    }
    return Message(**(given | over))  # type: ignore[arg-type]


def whatsapp(*parameters: str) -> dict[str, object]:
    return {
        "channel": Channel.WHATSAPP,
        "to_address": "+31620000000",
        "subject": "",
        "body": "",
        "template_id": "17",
        "parameters": parameters,
        "placeholders": ("first_name", "offer"),
    }


async def queue(world: World, message: Message) -> None:
    """Write a message and try to make an intent for it, past every check of ours."""
    async with world.db.transaction() as tx:
        draft = DraftedMessage(message=message, intent_id=world.ids.new())
        await record_drafts(tx, [draft], world.outbox, world.clock.now())
    async with world.db.transaction() as tx:
        await world.outbox.add(tx, [make_intent(draft.intent_id, message)])


async def test_no_path_can_queue_a_message_with_a_blank_part(database: Database) -> None:
    world = World(database)
    blanks: Sequence[dict[str, object]] = [
        {"body": ""},
        {"body": " \n\t "},
        {"body": "\u2003"},
        {"subject": ""},
        {"subject": "  "},
        {"body": "Hi {{ first_name }}"},
        {"subject": "For {{ company_name }}"},
        {"body": "Hi {% if x %}"},
        whatsapp("Ada", ""),
        whatsapp("Ada", "  "),
        whatsapp("Ada"),
        whatsapp("Ada", "{{2}}"),
        whatsapp("Ada", "offer") | {"template_id": " "},
    ]

    for blank in blanks:
        with pytest.raises(asyncpg.ForeignKeyViolationError):
            await queue(world, a_message(world, **blank))
    await queue(world, a_message(world))
    await queue(world, a_message(world, **whatsapp("Ada", "offer")))

    assert await database.fetch_value(sql("SELECT count(*) FROM intent")) == 2


async def test_a_queued_message_cannot_be_emptied_afterwards(database: Database) -> None:
    world = World(database)
    message = a_message(world)
    await queue(world, message)

    with pytest.raises(asyncpg.ForeignKeyViolationError):
        await database.execute(
            sql("UPDATE message SET body = '' WHERE id = $1", "id"), id=message.id
        )


async def test_a_blank_message_can_neither_wait_nor_be_approved(database: Database) -> None:
    world = World(database)

    for state in (MessageState.WAITING, MessageState.APPROVED):
        with pytest.raises(asyncpg.CheckViolationError):
            await queue(world, a_message(world, state=state, body=""))


async def test_sending_and_unknown_name_the_claim_that_called(database: Database) -> None:
    world = World(database)
    await queue(world, a_message(world))

    for state in ("sending", "unknown", "accepted"):
        with pytest.raises(asyncpg.CheckViolationError):
            await database.execute(sql("UPDATE intent SET state = $1", "state"), state=state)


async def test_signs_that_postgres_refuses_are_taken_out(database: Database) -> None:
    world = World(database)
    message = a_message(world, body="Hi\x00 \ud800Ada\x1f!", reason="a\x00b")

    await queue(world, message)

    view = await repository.find_message(database, message.id)
    assert view is not None
    assert view.body == "Hi ?Ada !"
