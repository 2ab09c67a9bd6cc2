"""Finished jobs and events are pruned past their retention."""

from datetime import datetime, timedelta
from uuid import UUID

import pytest
from leadflood.engine.clock import Clock
from leadflood.engine.errors import Permanent, Transient
from leadflood.engine.obs.event_feed import CursorTooOld, EventFeed
from leadflood.engine.queue import runs
from leadflood.engine.queue.guard import Guard, Settings as GuardSettings, register_installation
from leadflood.engine.queue.maintenance.pruner import MAX_PRUNED, Pruner
from leadflood.engine.queue.outcome import Discard, Retry
from tests.support.engine import (
    QUICK_SETTINGS,
    EngineBench,
    SteppedNode,
    ThingRequested,
    list_dead_letters,
    list_events,
    list_history,
)
from tests.support.shifted_clock import ShiftedClock
from tests.support.statements import sql


def make_pruner(bench: EngineBench, clock: Clock) -> Pruner:
    return Pruner(bench.db, Guard(clock, GuardSettings()), QUICK_SETTINGS.maintenance)


async def add_events(bench: EngineBench, xid: int, at: datetime, count: int) -> None:
    await bench.db.execute(
        sql(
            "INSERT INTO event (era, xid, id, at, type, payload) SELECT 1, $1::text::xid8,"
            " gen_random_uuid(), $2, 'x', '{}' FROM generate_series(1, $3::int)",
            "xid",
            "at",
            "count",
        ),
        xid=str(xid),
        at=at,
        count=count,
    )


async def test_history_and_events_past_their_retention_are_pruned_and_dead_letters_kept(
    bench: EngineBench,
) -> None:
    node = await bench.node()
    await node.queue(ThingRequested(1), ThingRequested(2))
    first, second = await node.claim()
    second.outcome = Retry(Transient("x"))
    second.attempts = 99
    await node.settle([first, second])
    bench.clock.advance(8 * 86_400)
    await node.queue(ThingRequested(3))
    await node.settle(await node.claim())

    pruner = make_pruner(bench, bench.clock)
    assert await pruner.prune() == 2

    assert len(await list_history(bench.db)) == 1
    assert len(await list_dead_letters(bench.db)) == 1
    assert len(await list_events(bench.db)) == 3
    bench.clock.advance(23 * 86_400)
    await pruner.prune()
    assert len(await list_events(bench.db)) == 1


@pytest.mark.parametrize("count", [1, MAX_PRUNED + 1000])
async def test_events_of_a_clock_that_ran_ahead_do_not_stop_pruning(
    bench: EngineBench, count: int
) -> None:
    now = bench.clock.now()
    await add_events(bench, 10, now + timedelta(days=365), count)
    await add_events(bench, 20, now - timedelta(days=60), 3_000)
    await add_events(bench, 30, now - timedelta(days=1), 2)

    assert await make_pruner(bench, bench.clock).prune() == 3_000


async def test_a_clock_that_is_wrong_for_a_moment_deletes_nothing(bench: EngineBench) -> None:
    clock = ShiftedClock()
    await register_installation(bench.db, clock, "live")
    await add_events(bench, 10, clock.now() - timedelta(days=29, hours=23, minutes=59), 2)

    clock.ahead_seconds = 40 * 86_400
    assert await make_pruner(bench, clock).prune() == 0
    clock.ahead_seconds = 3
    assert await make_pruner(bench, clock).prune() == 0


async def test_what_was_pruned_is_told_to_who_comes_with_a_cursor(bench: EngineBench) -> None:
    await register_installation(bench.db, bench.clock, "live")
    feed = EventFeed(bench.db)
    await add_events(bench, 10, bench.clock.now() - timedelta(days=31), 2)
    await add_events(bench, 20, bench.clock.now(), 1)
    first, second, third = await feed.read(await feed.oldest())
    await feed.check(first.cursor)

    await make_pruner(bench, bench.clock).prune()

    with pytest.raises(CursorTooOld):
        await feed.check(first.cursor)
    await feed.check(second.cursor)
    assert [event.id for event in await feed.read(second.cursor)] == [third.id]


async def test_dead_letters_and_runs_of_single_leads_are_pruned_at_last(bench: EngineBench) -> None:
    node = await bench.node()
    kinds = {"lead": await open_run(node, "lead"), "search": await open_run(node, "search")}
    waiting = await open_run(node, "lead")
    await node.publish(
        ThingRequested(1), run_id=waiting, run_at=bench.clock.now() + timedelta(days=365)
    )
    await node.queue(ThingRequested(2), run_id=kinds["lead"])
    [job] = await node.claim()
    job.outcome = Discard(Permanent("no"))
    await node.settle([job])
    await node.engine.run_watcher.poll()
    pruner = make_pruner(bench, bench.clock)

    bench.clock.advance(89 * 86_400)
    await pruner.prune()
    kept = len(await list_dead_letters(bench.db)), len(await runs.find(bench.db, [*kinds.values()]))
    bench.clock.advance(92 * 86_400)
    await pruner.prune()

    assert kept == (1, 2)
    assert not await list_dead_letters(bench.db)
    left = await runs.find(bench.db, [*kinds.values(), waiting])
    assert set(left) == {kinds["search"], waiting}


async def open_run(node: SteppedNode, kind: str) -> UUID:
    parts = node.engine.parts
    return await runs.create(node.db, runs.NewRun(id=parts.ids.new(), kind=kind), parts.clock.now())
