from uuid import UUID

import pytest
from leadflood.contracts.values import Channel
from leadflood.domain.sending.schemas import MessageApproved
from leadflood.engine.db.pool import Database
from leadflood.engine.errors import CapSpent
from leadflood.engine.queue import runs
from tests.support.messaging import World
from tests.support.statements import sql

pytestmark = pytest.mark.pg
CAP, PRICE = 1_000, 300
BUDGET = sql(
    "INSERT INTO budget (scope, cap_micros, spent_micros, reserved_micros) VALUES ($1, 0, $2, $3)",
    "scope",
    "spent",
    "reserved",
)


@pytest.fixture
async def world(database: Database) -> World:
    made = World(database)
    await made.release()
    return made


async def wait_for_money(world: World, count: int = 1) -> tuple[UUID, list[MessageApproved]]:
    """Approve messages of a run whose cap is spent, as their sends learn."""
    events = await world.approved(count)
    run_id = await world.run_of(events[0])
    await runs.change_caps(world.db, run_id, CAP, None)
    world.sender.fails_with = CapSpent("spent", scope=f"run:{run_id}", needed_micros=PRICE)
    for event in events:
        job = await world.load_send(event)
        await world.end_send(job, await world.send.work(job.input))
    return run_id, events


async def state_of(world: World, event: MessageApproved) -> tuple[str, str]:
    row = await world.db.fetch_one(
        sql("SELECT state, code FROM intent WHERE id = $1", "id"), id=event.intent_id
    )
    assert row is not None
    return row["state"], row["code"]


@pytest.mark.parametrize(("spent", "reserved", "count"), [(700, 0, 1), (701, 0, 0), (0, 701, 0)])
async def test_it_goes_as_soon_as_the_run_has_the_money_again(
    world: World, spent: int, reserved: int, count: int
) -> None:
    run_id, [event] = await wait_for_money(world)
    await world.db.execute(BUDGET, scope=f"run:{run_id}", spent=spent, reserved=reserved)

    first = await world.waiting_sends.resume()
    again = await world.waiting_sends.resume()

    assert (first, again) == (count, 0)
    assert world.publisher.events == [event] * count
    assert world.publisher.run_ids == [run_id] * count
    assert await state_of(world, event) == ("ready", "" if count else "waits_for_money")


@pytest.mark.parametrize(
    ("cap", "lead_cap", "count"),
    [(None, None, 1), (1_299, None, 0), (1_300, None, 1), (None, 299, 0)],
)
async def test_it_goes_once_a_person_has_raised_the_cap_far_enough(
    world: World, cap: int | None, lead_cap: int | None, count: int
) -> None:
    run_id, [event] = await wait_for_money(world)
    await world.db.execute(BUDGET, scope=f"run:{run_id}", spent=CAP, reserved=0)
    await runs.change_caps(world.db, run_id, cap, lead_cap)

    async with world.publisher.transaction() as publication:
        other = await world.waiting_sends.resume_run(publication, world.ids.new())
        resumed = await world.waiting_sends.resume_run(publication, run_id)

    assert (other, resumed) == (0, count)
    assert world.publisher.events == [event] * count


async def test_all_that_wait_go_however_many_they_are(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, events = await wait_for_money(world, 5)
    monkeypatch.setattr("leadflood.domain.sending.service.waiting_sends.MOST_AT_ONCE", 2)

    count = await world.waiting_sends.resume()

    assert count == 5
    assert world.publisher.events == sorted(events, key=lambda event: event.intent_id)


async def test_what_no_setting_is_missing_for_goes_and_other_channels_wait(
    database: Database,
) -> None:
    missing = {Channel.EMAIL: "providers.smtp.base_url"}
    world = World(database, missing_senders=missing)
    await world.release()
    [event] = await world.approved()
    job = await world.load_send(event)
    await world.end_send(job, job.input)

    waiting = await world.sending.status()
    still = await world.waiting_sends.resume()
    ready = World(database, missing_senders={Channel.WHATSAPP: "providers.trengo.api_key"})

    assert [(each.code, each.detail, each.count) for each in waiting.waiting] == [
        ("waits_for_setup", "set providers.smtp.base_url", 1)
    ]
    assert still == 0
    assert await ready.waiting_sends.resume() == 1
    assert (await world.sending.status()).waiting == ()


@pytest.mark.parametrize("cause", ["run.cancelled", "too_late"])
async def test_what_does_not_go_at_all_is_cancelled_and_says_why(world: World, cause: str) -> None:
    run_id, [event] = await wait_for_money(world)
    if cause == "too_late":
        world.clock.advance(world.settings.latest_useful_hours * 3600 + 1)
    else:
        await runs.cancel(world.db, run_id, "ann", world.clock.now())

    count = await world.waiting_sends.resume()
    await world.unknown_sends.settle_lost()

    [refused] = world.publisher.events
    assert count == 0
    assert await state_of(world, event) == ("cancelled", cause)
    assert (refused.message_id, refused.code) == (event.message_id, cause)  # type: ignore[attr-defined]
