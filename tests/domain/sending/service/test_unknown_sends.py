import pytest
from leadflood.contracts.ports.sender import Arrival
from leadflood.domain.sending.schemas import MessageAccepted, MessageApproved, MessageUnknown
from leadflood.engine.context import Allow
from leadflood.engine.db.pool import Database
from leadflood.engine.errors import Conflict, Unsure
from tests.support.messaging import SETTINGS, World

pytestmark = pytest.mark.pg


@pytest.fixture
async def world(database: Database) -> World:
    world = World(database)
    await world.release()
    return world


async def test_lost_claims_are_settled_and_living_ones_left_alone(world: World) -> None:
    living, lost = await world.approved(2)
    jobs = [await world.load_send(event) for event in (living, lost)]
    await world.job_row(jobs[0])
    await world.job_row(jobs[1], state=0)
    await world.authorize(*jobs)

    count = await world.unknown_sends.settle_lost()

    assert count == 1
    assert await world.state(living) == "sending"
    assert await world.state(lost) == "unknown"
    assert [type(published) for published in world.publisher.events] == [MessageUnknown]


async def test_what_a_dead_node_recorded_but_never_told_is_told_later(world: World) -> None:
    [event] = await world.approved()
    job = await world.load_send(event)
    await world.authorize(job)
    await world.record(job, None)

    first, second = await world.unknown_sends.settle_lost(), await world.unknown_sends.settle_lost()

    assert (first, second) == (1, 0)
    assert [type(published) for published in world.publisher.events] == [MessageAccepted]


async def test_an_unknown_that_was_not_sent_goes_again_and_one_that_was_is_accepted(
    world: World,
) -> None:
    arrived, lost = await world.approved(2)
    for event in (arrived, lost):
        job = await world.load_send(event)
        await world.authorize(job)
        await world.end_send(job, Unsure("cut"))

    await world.resolve(arrived.intent_id, sent=True, by="ann")
    await world.resolve(lost.intent_id, sent=False, by="ann")
    again = await world.load_send(lost)
    [decision] = await world.authorize(again)

    assert await world.state(arrived) == "accepted"
    assert [type(published) for published in world.publisher.events] == [
        MessageAccepted,
        MessageApproved,
    ]
    assert isinstance(decision, Allow)
    with pytest.raises(Conflict):
        await world.resolve(arrived.intent_id, sent=False, by="ann")


async def test_looking_up_settles_what_the_other_side_can_tell(world: World) -> None:
    [event] = await world.approved()
    job = await world.load_send(event)
    await world.authorize(job)
    await world.end_send(job, Unsure("cut"))
    world.sender.arrival = Arrival.NOT_SENT

    early = await world.unknown_sends.settle_by_lookup()
    world.clock.advance(SETTINGS.not_sent_after_seconds + 1)
    late = await world.unknown_sends.settle_by_lookup()

    assert (early.not_sent, early.cannot_tell) == (0, 1)
    assert late.not_sent == 1
    assert await world.state(event) == "ready"
