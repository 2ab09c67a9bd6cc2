import pytest
from leadflood.engine.db.pool import Database
from tests.support.messaging import World

pytestmark = pytest.mark.pg


@pytest.fixture
def world(database: Database) -> World:
    return World(database)


async def test_a_new_database_starts_held_and_release_says_who(world: World) -> None:
    before = await world.sending.status()
    released = await world.release("ann", "ready")
    held = await world.hold("bob", "wrong text")

    assert before.held
    assert (released.held, released.by) == (False, "ann")
    assert (held.held, held.by, held.reason) == (True, "bob", "wrong text")
    assert held.sending == ()
