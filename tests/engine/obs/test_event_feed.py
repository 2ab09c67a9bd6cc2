from collections.abc import AsyncIterator
from contextlib import aclosing
from uuid import UUID

import anyio
import pytest
from hypothesis import given, strategies as st
from leadflood.engine.clock import ManualClock
from leadflood.engine.db.pool import Database
from leadflood.engine.db.tx import Tx
from leadflood.engine.errors import Invalid
from leadflood.engine.ids import Ids
from leadflood.engine.obs.event_feed import (
    BEHIND,
    Cursor,
    EventBatch,
    EventFeed,
    EventHub,
    Subscriber,
)
from leadflood.engine.queue.guard import register_installation
from tests.support.statements import sql

CLOCK = ManualClock()
IDS = Ids(CLOCK, seed=3)
ADD = sql(
    'INSERT INTO event (era, id, at, type, payload) VALUES (1, $1, $2, $3, \'{"type": "x"}\')',
    "id",
    "at",
    "type",
)


ADD_IN = sql(
    "INSERT INTO event (era, xid, id, at, type, payload)"
    " VALUES (1, $1::text::xid8, $2, $3, 'test.thing.happened', '{}')",
    "xid",
    "id",
    "at",
)


async def happen(
    db: Database | Tx, count: int = 1, name: str = "test.thing.happened"
) -> list[UUID]:
    event_ids = IDS.take(count)
    for event_id in event_ids:
        await db.execute(ADD, id=event_id, at=CLOCK.now(), type=name)
    return event_ids


@pytest.fixture
async def feed(database: Database) -> EventFeed:
    return EventFeed(database)


@pytest.fixture
async def hub(feed: EventFeed) -> AsyncIterator[EventHub]:
    event_hub = EventHub(feed)
    async with anyio.create_task_group() as group:
        group.start_soon(event_hub.run)
        yield event_hub
        group.cancel_scope.cancel()


@pytest.mark.pg
async def test_everything_is_read_once_in_pages_from_the_oldest(
    feed: EventFeed, database: Database
) -> None:
    written_ids = await happen(database, 7)
    read_ids: list[UUID] = []
    after = await feed.oldest()

    while page := await feed.read(after, limit=3):
        read_ids += [event.id for event in page]
        after = page[-1].cursor

    assert read_ids == written_ids


@pytest.mark.pg
async def test_transactions_are_read_in_the_order_of_their_numbers_not_of_their_digits(
    feed: EventFeed, database: Database
) -> None:
    """The number of a transaction grows by a digit now and then: 99 stands before 100."""
    numbers = ("9", "10", "99", "100")
    events = IDS.take(len(numbers))
    for xid, event_id in zip(numbers, events, strict=True):
        await database.execute(ADD_IN, xid=xid, id=event_id, at=CLOCK.now())
    pages: list[UUID] = []
    after = await feed.oldest()

    while page := await feed.read(after, limit=1):
        pages += [event.id for event in page]
        after = page[-1].cursor

    assert pages == events


@pytest.mark.pg
async def test_nothing_appears_behind_a_cursor_while_an_older_transaction_is_open(
    feed: EventFeed, database: Database
) -> None:
    async with database.transaction() as older:
        early = await happen(older)
        late = await happen(database)
        meanwhile = await feed.read(await feed.oldest())

    afterwards = await feed.read(await feed.oldest())

    assert meanwhile == []
    assert [event.id for event in afterwards] == [*early, *late]


@pytest.mark.pg
async def test_a_subscriber_gets_past_and_new_events_without_gap_or_double(
    hub: EventHub, database: Database
) -> None:
    written_ids = await happen(database, 5)
    read_ids: list[UUID] = []

    with anyio.fail_after(10):
        async with aclosing(hub.watch(await hub.feed.oldest())) as pages:
            async for page in pages:
                read_ids += [event.id for event in page.events]
                if len(written_ids) < 20:
                    written_ids += await happen(database, 3)
                elif len(read_ids) >= len(written_ids):
                    break

    assert read_ids == written_ids


@pytest.mark.pg
async def test_a_hundred_cuts_lose_nothing(hub: EventHub, database: Database) -> None:
    written_ids: list[UUID] = []
    read_ids: list[UUID] = []
    cursor = await hub.feed.oldest()

    with anyio.fail_after(30):
        for _ in range(100):
            written_ids += await happen(database)
            async with aclosing(hub.watch(cursor)) as pages:
                async for page in pages:
                    read_ids += [event.id for event in page.events]
                    cursor = page.end
                    break

    assert read_ids == written_ids


@pytest.mark.pg
async def test_a_subscriber_that_takes_at_once_gets_each_event_once_and_refused_ones_later(
    hub: EventHub, database: Database
) -> None:
    written_ids = await happen(database, 3)
    read_ids: list[UUID] = []
    refused = 0

    def take(page: EventBatch) -> bool:
        nonlocal refused
        if len(page.events) % 2 == 0:
            refused += 1
            return False
        read_ids.extend(event.id for event in page.events)
        return True

    async def watch() -> None:
        async with aclosing(hub.watch(await hub.feed.oldest(), take)) as pages:
            async for page in pages:
                read_ids.extend(event.id for event in page.events)

    with anyio.fail_after(20):
        async with anyio.create_task_group() as group:
            group.start_soon(watch)
            for count in (1, 2, 3, 2, 2, 1, 4, 1, 1):
                written_ids += await happen(database, count)
                while len(read_ids) < len(written_ids):
                    await anyio.lowlevel.checkpoint()
            group.cancel_scope.cancel()

    assert read_ids == written_ids
    assert refused


@pytest.mark.pg
async def test_closing_ends_all_subscribers(hub: EventHub) -> None:
    has_ended = anyio.Event()

    async def watch() -> None:
        async with aclosing(hub.watch(None)) as pages:
            async for _ in pages:
                pass
        has_ended.set()

    with anyio.fail_after(5):
        async with anyio.create_task_group() as group:
            group.start_soon(watch)
            await anyio.wait_all_tasks_blocked()
            hub.close()
            await has_ended.wait()


async def test_a_subscriber_too_far_behind_is_dropped_with_what_it_had() -> None:
    watcher = Subscriber()

    for _ in range(BEHIND + 1):
        watcher.push(EventBatch([]))

    assert watcher.is_dropped
    received = 0
    with anyio.fail_after(2):
        while await watcher.receive() is not None:
            received += 1
    assert received == BEHIND
    watcher.leave()


@given(st.integers(0, 2**31 - 1), st.integers(0, 2**63), st.uuids())
def test_a_cursor_is_read_as_it_was_written(era: int, xid: int, event_id: UUID) -> None:
    cursor = Cursor(era, xid, event_id)

    assert Cursor.read(cursor.write()) == cursor


@given(st.text(max_size=60))
def test_a_text_is_a_cursor_or_refused(text: str) -> None:
    try:
        cursor = Cursor.read(text)
    except Invalid:
        return
    assert cursor.write() == text.rstrip("=")


async def test_who_starts_at_the_end_hears_of_transactions_that_were_open(
    database: Database, feed: EventFeed
) -> None:
    await register_installation(database, CLOCK, "live")
    async with database.transaction() as tx:
        event_ids = await happen(tx)
        await happen(database)
        newest = await feed.newest()

    assert event_ids[0] in [event.id for event in await feed.read(newest)]
