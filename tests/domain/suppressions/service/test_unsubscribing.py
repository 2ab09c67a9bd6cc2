import pytest
from leadflood.domain.sending.schemas import MessageApproved
from leadflood.domain.suppressions.rules.address_hash import AddressHasher
from leadflood.domain.suppressions.schemas import LeadUnsubscribed, SuppressionKind
from leadflood.engine.context import Deny
from leadflood.engine.db.pool import Database
from tests.support.messaging import ADDRESS_KEY, World

pytestmark = pytest.mark.pg


@pytest.fixture
def world(database: Database) -> World:
    return World(database)


async def test_one_click_stops_every_channel_once_and_the_same_ever_after(world: World) -> None:
    await world.release()
    [event] = await world.approved(phone="+31620000000")
    token = AddressHasher(ADDRESS_KEY).unsubscribe_token(event.intent_id)

    peeked = await world.unsubscribing.find(token)
    first = await world.unsubscribe(token)
    again = await world.unsubscribe(token)
    listed = await world.suppressions.list()
    [decision] = await world.authorize(await world.load_send(event))

    assert (peeked.known, peeked.first_time, peeked.hint) == (True, True, "p***@a***.example")
    assert (first.first_time, again.first_time, again.known) == (True, False, True)
    assert {line.kind for line in listed} == {SuppressionKind.ADDRESS, SuppressionKind.LEAD}
    assert [type(published) for published in world.publisher.events] == [LeadUnsubscribed]
    assert isinstance(decision, Deny)
    assert decision.code == "suppressed"


async def test_an_unsubscribed_person_is_not_written_to_at_another_address(
    world: World,
) -> None:
    await world.release()
    [event] = await world.approved()
    run_id, icp_id = await world.run(), await world.icp()
    await world.lead(email="p0@acme.example", full_name="Ada B0", phone="+31620000000")
    await world.opt_in(event.lead_id)
    [later] = await world.drafted([event.lead_id], run_id, icp_id)
    assert isinstance(later, MessageApproved)

    await world.unsubscribe(AddressHasher(ADDRESS_KEY).unsubscribe_token(event.intent_id))
    [decision] = await world.authorize(await world.load_send(later))

    assert isinstance(decision, Deny)


@pytest.mark.parametrize("token", ["", "x" * 100_000, "\x00", "\ud800", "../../etc/passwd"])
async def test_a_foreign_token_does_nothing(database: Database, token: str) -> None:
    world = World(database)

    answer = await world.unsubscribe(token)

    assert not answer.known
    assert await world.suppressions.list() == ()
