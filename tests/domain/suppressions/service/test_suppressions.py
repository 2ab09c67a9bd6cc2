import pytest
from leadflood.domain.suppressions.schemas import (
    SendsStopped,
    SuppressionInput,
    SuppressionKind,
    SuppressionView,
)
from leadflood.engine.db.pool import Database
from leadflood.engine.errors import Conflict, Invalid, NotFound
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


async def test_a_line_that_reaches_strangers_is_confirmed_with_how_many_it_covers(
    world: World,
) -> None:
    await world.approved(2)
    await world.lead(email="eve@other.example", full_name="Eve Other")

    for kind, value in ((SuppressionKind.CHANNEL, "email"), (SuppressionKind.DOMAIN, "example")):
        for expected in (None, 2):
            with pytest.raises(Conflict, match="3 leads, and 2 sends") as refused:
                await world.suppress(kind, value, "x", by="ann", expected_count=expected)
            assert refused.value.error_code == "suppression.unconfirmed"
        line = await world.suppress(kind, value, "x", by="ann", expected_count=3)
        assert (line.lead_count, line.due_send_count) == (3, 2)


async def test_a_company_s_domain_needs_no_confirmation_and_tells_what_it_stops(
    world: World,
) -> None:
    await world.approved(2)

    line = await world.suppress(
        SuppressionKind.DOMAIN, "@Acme.example", "x", by="ann", expected_count=None
    )

    assert (line.lead_count, line.due_send_count) == (2, 2)
    stopped = world.publisher.events[-1]
    assert isinstance(stopped, SendsStopped)
    assert (stopped.suppression_id, stopped.due_send_count) == (line.id, 2)


@pytest.mark.parametrize(
    "domain", ["de", "co.uk", "@GMAIL.com.", "github.io", "xn--p1ai", "mail.gmail.com"]
)
def test_a_public_suffix_and_a_mail_provider_s_domain_are_broad(domain: str) -> None:
    assert SuppressionInput(kind=SuppressionKind.DOMAIN, value=domain, reason="x").is_broad


@pytest.mark.parametrize("domain", ["acme.example", "shop.acme.co.uk", "acme.github.io"])
def test_a_domain_that_somebody_registered_is_not_broad(domain: str) -> None:
    assert not SuppressionInput(kind=SuppressionKind.DOMAIN, value=domain, reason="x").is_broad
