import pytest
from leadflood.domain.sending.schemas import MessageApproved
from leadflood.domain.suppressions.schemas import SuppressionKind
from leadflood.engine.context import Allow, Deny
from leadflood.engine.db.pool import Database
from tests.support.messaging import World

pytestmark = pytest.mark.pg


async def test_sends_that_a_lifted_line_cancelled_go_after_all_unless_another_stops_them(
    database: Database,
) -> None:
    world = World(database)
    await world.release()
    first, second, late = await world.approved(3)
    line = await world.suppress(SuppressionKind.CHANNEL, "email", "a mistake", by="ann")
    for event in (first, second):
        [denied] = await world.authorize(await world.load_send(event))
        assert isinstance(denied, Deny)
    await world.suppress(SuppressionKind.LEAD, str(second.lead_id), "asked", by="ann")
    await world.lift(line.id, "bob")

    async with world.publisher.transaction() as publication:
        count = await world.suppressed_sends.restore(publication)

    assert count == 1
    again = world.publisher.events[-1]
    assert isinstance(again, MessageApproved)
    assert again.intent_id == first.intent_id
    [allowed] = await world.authorize(await world.load_send(again))
    assert isinstance(allowed, Allow)
    assert [await world.state(event) for event in (second, late)] == ["cancelled", "ready"]


async def test_a_send_whose_time_is_past_stays_cancelled(database: Database) -> None:
    world = World(database)
    await world.release()
    [event] = await world.approved()
    line = await world.suppress(SuppressionKind.CHANNEL, "email", "a mistake", by="ann")
    await world.authorize(await world.load_send(event))
    await world.lift(line.id, "bob")
    world.clock.advance(world.settings.latest_useful_hours * 3_600 + 1)

    async with world.publisher.transaction() as publication:
        assert await world.suppressed_sends.restore(publication) == 0
