from uuid import uuid4

import pytest
from leadflood.contracts.found_values import Scalar
from leadflood.contracts.ports.sender import Arrival
from leadflood.contracts.values import Channel
from leadflood.domain.sending.schemas import (
    IntentState,
    MessageAccepted,
    MessageApproved,
    MessageUnknown,
    UnknownFilter,
)
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


async def lost(world: World, count: int = 1, **values: Scalar) -> list[MessageApproved]:
    """Approve messages and lose their sends."""
    events = await world.approved(count, **values)
    for event in events:
        job = await world.load_send(event)
        await world.authorize(job)
        await world.end_send(job, Unsure("cut"))
    return events


async def test_looking_up_goes_through_all_in_turn_and_begins_again(world: World) -> None:
    """Those that nobody knows of hide no others."""
    events = await lost(world, 3)
    asked = world.sender.looked_up

    for _ in range(2):
        await world.unknown_sends.settle_by_lookup(limit=2)
    first_round = list(asked)
    await world.unknown_sends.settle_by_lookup(limit=2)

    ids = sorted(str(event.intent_id) for event in events)
    assert first_round == ids
    assert asked[3:] == ids[:2]


async def test_a_send_that_goes_again_goes_on_in_its_own_run(world: World) -> None:
    [event] = await lost(world)

    await world.resolve(event.intent_id, sent=False, by="ann")

    [run_id] = world.publisher.run_ids
    assert run_id == await world.run_of(event)


async def test_many_are_resolved_at_once_and_what_is_settled_stays(world: World) -> None:
    events = await lost(world, 3)
    ids = [event.intent_id for event in events]
    await world.resolve(ids[0], sent=True, by="ann")

    results = await world.resolve_many([*ids, uuid4()], sent=False, by="ben")

    assert [(result.state, result.is_resolved) for result in results] == [
        (IntentState.ACCEPTED, False),
        (IntentState.READY, True),
        (IntentState.READY, True),
    ]
    assert [await world.state(event) for event in events] == ["accepted", "ready", "ready"]


async def test_the_unknown_are_summed_and_chosen_by_channel_and_time(world: World) -> None:
    [early] = await lost(world)
    world.clock.advance(60)
    between = world.clock.now()
    world.clock.advance(60)
    await lost(world, email="other@acme.example", full_name="Bea C")

    [summary] = await world.unknown_sends.summarize()
    before = await world.unknown_sends.list(UnknownFilter(sent_before=between))
    by_whatsapp = await world.unknown_sends.list(UnknownFilter(channel=Channel.WHATSAPP))

    assert (summary.channel, summary.count) == (Channel.EMAIL, 2)
    assert summary.oldest_at is not None
    assert summary.oldest_at < between
    assert "Message-ID" in summary.look_at
    assert [view.id for view in before] == [early.intent_id]
    assert by_whatsapp == ()
