"""Finished jobs and events are pruned past their retention."""

from leadflood.engine.errors import Transient
from leadflood.engine.queue.maintenance.pruner import Pruner
from leadflood.engine.queue.outcome import Retry
from tests.support.engine import (
    QUICK,
    Bench,
    Wanted,
    dead_letter_rows,
    events,
    history,
)


async def test_history_and_events_past_their_retention_are_pruned_and_dead_letters_kept(
    bench: Bench,
) -> None:
    node = await bench.node()
    await node.queue(Wanted(1), Wanted(2))
    first, second = await node.claim()
    second.outcome = Retry(Transient("x"))
    second.attempts = 99
    await node.settle([first, second])
    bench.clock.advance(8 * 86_400)
    await node.queue(Wanted(3))
    await node.settle(await node.claim())

    pruner = Pruner(bench.db, bench.clock, QUICK.maintenance)
    assert await pruner.prune() == 2

    assert len(await history(bench.db)) == 1
    assert len(await dead_letter_rows(bench.db)) == 1
    assert len(await events(bench.db)) == 3
    bench.clock.advance(23 * 86_400)
    await pruner.prune()
    assert len(await events(bench.db)) == 1
