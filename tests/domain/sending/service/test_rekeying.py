import pytest
from leadflood.domain.sending.schemas import MessageApproved
from leadflood.domain.suppressions.rules.address_hash import AddressHasher
from leadflood.domain.suppressions.schemas import AddressKey, RekeyCounts, SuppressionKind
from leadflood.engine.context import Deny
from leadflood.engine.db.pool import Database
from tests.support.messaging import ADDRESS_KEY, World
from tests.support.statements import sql

pytestmark = pytest.mark.pg
NEXT_KEY = AddressKey(b"the key of another master secret")
_ADDRESS_OF = sql("SELECT to_address FROM intent WHERE id = $1", "id")


@pytest.fixture
def world(database: Database) -> World:
    return World(database)


async def rekey(world: World) -> tuple[World, RekeyCounts]:
    """Replace the key; return the same world under the next one."""
    after = World(world.db, key=NEXT_KEY)
    async with world.db.transaction() as tx:
        counts = await after.rekeying.rekey(tx, "ann")
    return after, counts


async def decide(world: World, event: MessageApproved) -> object:
    await world.release()
    [decision] = await world.authorize(await world.load_send(event))
    return decision


async def test_lines_of_known_values_go_on_to_stop_and_others_are_void_on_the_list(
    world: World,
) -> None:
    [event] = await world.approved(email="ada@acme.example")
    for kind, value in (
        (SuppressionKind.ADDRESS, "p0@acme.example"),
        (SuppressionKind.ADDRESS, "nobody@wrote.example"),
        (SuppressionKind.DOMAIN, "somewhere.example"),
        (SuppressionKind.LEAD, str(world.ids.new())),
        (SuppressionKind.CHANNEL, "sms"),
    ):
        await world.suppress(kind, value, "asked", by="ann")
    intent = await world.db.fetch_one(_ADDRESS_OF, id=event.intent_id)
    assert intent is not None
    await world.suppress(SuppressionKind.ADDRESS, intent["to_address"], "asked", by="ann")

    after, counts = await rekey(world)

    assert (await after.sending.status()).held
    listed = await after.suppressions.list()
    void = {line.hint for line in listed if line.voided_at is not None}
    assert counts.kept + counts.void == len(listed)
    assert void >= {"n***@w***.example", "so***.example"}
    assert counts.void == len([line for line in listed if line.voided_at is not None])
    for kind, value in (
        (SuppressionKind.ADDRESS, intent["to_address"]),
        (SuppressionKind.CHANNEL, "sms"),
    ):
        line = await after.suppressions.find(kind, value)
        assert line is not None
        assert line.voided_at is None


async def test_what_was_approved_before_is_stopped_by_what_is_suppressed_after(
    world: World,
) -> None:
    [event] = await world.approved()
    after, _ = await rekey(world)
    await after.suppress(SuppressionKind.LEAD, str(event.lead_id), "asked", by="ann")

    decision = await decide(after, event)

    assert isinstance(decision, Deny)
    assert decision.code == "suppressed"


async def test_links_of_before_and_of_after_stop_the_person(world: World) -> None:
    events = await world.approved(2)
    after, _ = await rekey(world)

    for key, event in zip((ADDRESS_KEY, NEXT_KEY), events, strict=True):
        answer = await after.unsubscribe(AddressHasher(key).unsubscribe_token(event.intent_id))
        assert answer.known
        assert isinstance(await decide(after, event), Deny)
        address = (await world.db.fetch_one(_ADDRESS_OF, id=event.intent_id))["to_address"]  # type: ignore[index]
        assert await after.suppressions.find(SuppressionKind.ADDRESS, address) is not None


async def test_an_agreement_of_an_unknown_address_allows_nothing_and_says_so(world: World) -> None:
    lead_id = await world.lead(phone="+31620000000")
    await world.opt_in(lead_id)

    after, counts = await rekey(world)

    assert counts.opt_ins_void == 1
    [view] = await after.opt_ins.list(lead_id)
    assert view.withdrawn_reason == "the master secret was replaced"
