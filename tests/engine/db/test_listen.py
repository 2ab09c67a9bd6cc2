from collections.abc import AsyncIterator
from contextlib import aclosing

import anyio
from leadflood.engine.clock import SystemClock
from leadflood.engine.db.listen import MISSED, Listener, _forward_to
from leadflood.engine.db.pool import Database, Settings
from leadflood.engine.db.sql import Query

NOTIFY = Query("notify", "SELECT pg_notify($1::text, $2::text)", ("channel", "payload"))
TERMINATE_OTHERS = Query(
    "terminate",
    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
    " WHERE datname = current_database() AND pid <> pg_backend_pid()",
    (),
)


async def next_of(notifications: AsyncIterator[str]) -> str:
    with anyio.fail_after(10):
        return await anext(notifications)


async def test_notifications_of_its_channels_arrive_in_order(
    database: Database, database_settings: Settings
) -> None:
    listener = Listener(database_settings, ["wake", "stop"], SystemClock())

    async with aclosing(listener.watch()) as notifications:
        first = await next_of(notifications)
        for channel, payload in (("wake", "a"), ("other", "b"), ("stop", "c")):
            await database.fetch(NOTIFY, channel=channel, payload=payload)
        rest = [await next_of(notifications), await next_of(notifications)]

    assert first == MISSED
    assert rest == ["a", "c"]


async def test_a_cut_connection_comes_back_and_says_that_some_may_be_missed(
    database: Database, database_settings: Settings
) -> None:
    listener = Listener(database_settings, ["wake"], SystemClock())

    async with aclosing(listener.watch()) as notifications:
        await next_of(notifications)
        await database.fetch(TERMINATE_OTHERS)
        again = await next_of(notifications)
        await database.fetch(NOTIFY, channel="wake", payload="after")
        after = await next_of(notifications)

    assert again == MISSED
    assert after == "after"


async def test_closing_it_closes_its_connection(
    database: Database, database_settings: Settings
) -> None:
    listening = Query(
        "listening",
        "SELECT count(*) FROM pg_stat_activity"
        " WHERE datname = current_database() AND query ILIKE 'LISTEN%'",
        (),
    )
    async with aclosing(
        Listener(database_settings, ["wake"], SystemClock()).watch()
    ) as notifications:
        await next_of(notifications)
        during = await database.fetch_value(listening)

    with anyio.fail_after(10):
        while await database.fetch_value(listening):
            pass
    assert during == 1


async def test_a_notification_that_comes_while_the_listener_closes_is_dropped() -> None:
    sender, notifications = anyio.create_memory_object_stream[str](1)
    forward = _forward_to(sender)
    sender.close()
    notifications.close()

    forward(None, 1, "leadflood", "late")
