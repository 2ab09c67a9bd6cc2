"""What was approved is taken in once."""

import msgspec
from leadflood.contracts.values import Channel
from leadflood.domain.sending.schemas import NewIntent
from leadflood.engine.db.pool import Database
from tests.support.messaging import World
from tests.support.statements import sql


async def test_a_step_that_has_an_intent_keeps_it_and_its_way_to_say_stop(
    database: Database,
) -> None:
    world = World(database)
    [event] = await world.approved()
    run_id = await database.fetch_value(sql("SELECT run_id FROM intent"))
    again = NewIntent(
        id=event.intent_id,
        message_id=event.message_id,
        lead_id=event.lead_id,
        run_id=run_id,
        step=1,
        channel=Channel.EMAIL,
        to_address="p0@acme.example",
    )

    for intent in (again, msgspec.structs.replace(again, id=world.ids.new())):
        async with database.transaction() as tx:
            await world.outbox.add(tx, [intent])

    rows = await database.fetch(
        sql(
            "SELECT intent.id, token_hash FROM intent LEFT JOIN unsubscribe_token"
            " ON intent_id = intent.id"
        )
    )
    assert [row["id"] for row in rows] == [event.intent_id]
    assert rows[0]["token_hash"] is not None
