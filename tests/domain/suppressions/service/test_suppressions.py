import pytest
from leadflood.domain.suppressions.schemas import SuppressionKind, SuppressionView
from leadflood.engine.db.pool import Database
from leadflood.engine.errors import Invalid, NotFound
from tests.support.messaging import World
from tests.support.statements import sql

pytestmark = pytest.mark.pg


@pytest.fixture
def world(database: Database) -> World:
    return World(database)


async def lift_address(world: World, address: str, by: str) -> SuppressionView:
    line = await world.suppressions.get(SuppressionKind.ADDRESS, address)
    return await world.lift(line.id, by)


async def test_the_list_keeps_hashes_and_hints_only(world: World) -> None:
    for kind, value in (
        (SuppressionKind.ADDRESS, "Ada@Acme.example"),
        (SuppressionKind.ADDRESS, "+31 6 2000 0000"),
        (SuppressionKind.DOMAIN, "Bücher.example"),
    ):
        await world.suppress(kind, value, "asked", by="ann")
    again = await world.suppress(
        SuppressionKind.ADDRESS, "ada@acme.EXAMPLE", "asked twice", by="bob"
    )

    rows = await world.db.fetch(sql("SELECT row_to_json(suppression)::text FROM suppression"))
    kept = " ".join(row[0] for row in rows).casefold()
    assert len(rows) == 3
    assert again.by == "ann"
    assert "ada@" not in kept
    assert "20000000" not in kept
    assert "bücher" not in kept


async def test_a_refused_value_names_what_to_write(world: World) -> None:
    for kind, value in (
        (SuppressionKind.ADDRESS, "nobody"),
        (SuppressionKind.DOMAIN, "a b"),
        (SuppressionKind.CHANNEL, "pigeon"),
        (SuppressionKind.LEAD, "7"),
    ):
        with pytest.raises(Invalid, match="write"):
            await world.suppress(kind, value, "asked", by="ann")
    with pytest.raises(Invalid, match="reason"):
        await world.suppress(SuppressionKind.CHANNEL, "sms", " ", by="ann")


async def test_a_line_is_lifted_by_value_and_only_once(world: World) -> None:
    await world.suppress(SuppressionKind.ADDRESS, "ada@acme.example", "x", by="ann")

    lifted = await lift_address(world, "ADA@acme.example", "bob")

    assert lifted.lifted_at is not None
    with pytest.raises(NotFound):
        await world.lift(lifted.id, "bob")
    with pytest.raises(NotFound):
        await lift_address(world, "ada@acme.example", "bob")
