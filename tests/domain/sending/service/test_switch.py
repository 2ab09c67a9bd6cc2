import pytest
from leadflood.engine.clock import SystemClock
from leadflood.engine.context import Allow
from leadflood.engine.db.pool import Database
from leadflood.engine.queue.guard import register_installation
from leadflood.engine.queue.outcome import Done
from tests.support.messaging import World
from tests.support.statements import sql

pytestmark = pytest.mark.pg


@pytest.fixture
def world(database: Database) -> World:
    return World(database)


async def restore(world: World) -> None:
    """Leave what the guard writes when it sees that the database was restored."""
    await register_installation(world.db, SystemClock(), "live")
    await world.db.execute(sql("UPDATE installation SET restored_at = clock_timestamp()"))


async def test_a_new_database_starts_held_and_release_says_who(world: World) -> None:
    before = await world.sending.status()
    released = await world.release("ann", "ready")
    held = await world.hold("bob", "wrong text")

    assert before.held
    assert (released.held, released.by) == (False, "ann")
    assert (held.held, held.by, held.reason) == (True, "bob", "wrong text")
    assert held.sending == ()


async def test_what_was_ready_before_a_restore_is_unknown_once_sending_is_released(
    world: World,
) -> None:
    [before] = await world.approved()
    await restore(world)

    await world.release()
    loaded = await world.load_send(before)
    unknown = await world.unknown_sends.list()

    assert isinstance(loaded.input, Done)  # it ends without a call
    assert [(view.id, view.code) for view in unknown] == [(before.intent_id, "effect.restored")]


async def test_a_doubtful_send_that_the_other_side_knows_not_is_sent_and_not_doubted_again(
    world: World,
) -> None:
    [event] = await world.approved()
    await restore(world)
    await world.release()
    await world.resolve(event.intent_id, sent=False, by="look-up")
    await world.hold("ann", "to look")
    await world.release()

    [decision] = await world.authorize(await world.load_send(event))

    assert isinstance(decision, Allow)
