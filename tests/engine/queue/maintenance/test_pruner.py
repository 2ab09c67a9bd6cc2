"""Finished jobs and events are pruned past their retention."""

from leadflood.engine.errors import Transient
from leadflood.engine.queue.maintenance.pruner import Pruner
from leadflood.engine.queue.outcome import Retry
from tests.support.engine import (
    QUICK_SETTINGS,
    EngineBench,
    ThingRequested,
    list_dead_letters,
    list_events,
    list_history,
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

    pruner = Pruner(bench.db, bench.clock, QUICK_SETTINGS.maintenance)
    assert await pruner.prune() == 2

    assert len(await list_history(bench.db)) == 1
    assert len(await list_dead_letters(bench.db)) == 1
    assert len(await list_events(bench.db)) == 3
    bench.clock.advance(23 * 86_400)
    await pruner.prune()
    assert len(await list_events(bench.db)) == 1
