"""Claims that memory does not know go back."""

from collections.abc import Sequence
from typing import Any

import anyio
from leadflood.engine.clock import REAL_TIME
from leadflood.engine.queue.job import QUEUED, RUNNING
from tests.support.engine import EngineBench, ThingRequested, list_jobs, wait_until
from tests.support.statements import sql


async def test_reconciling_waits_for_claims_that_memory_does_not_know_yet(
    bench: EngineBench,
) -> None:
    node = await bench.node()
    fetch, is_claimed, may_go_on = node.runner().fetcher._fetch, anyio.Event(), anyio.Event()

    async def claim_slowly(limit: int) -> Sequence[Any]:
        rows: Sequence[Any] = await fetch(limit)
        is_claimed.set()
        await may_go_on.wait()
        return rows

    node.runner().fetcher._fetch = claim_slowly  # type: ignore[method-assign]
    await node.queue(ThingRequested(1), ThingRequested(2))
    async with anyio.create_task_group() as group:
        group.start_soon(node.runner().fetcher._claim)
        await is_claimed.wait()
        group.start_soon(node.engine.reconciler.reconcile)
        await REAL_TIME.sleep(0.05)
        may_go_on.set()

    assert [row["state"] for row in await list_jobs(bench.db)] == [RUNNING, RUNNING]
    assert len(node.node.held) == 2


async def test_the_reconciler_looks_soon_after_something_was_lost(bench: EngineBench) -> None:
    engine = await bench.run()
    await bench.db.execute(
        sql(
            "INSERT INTO job (id, created_at, claim, node_id, state, stage, payload) "
            "VALUES (gen_random_uuid(), now(), 1, $1, 1, 'elsewhere', '{}')",
            "node_id",
        ),
        node_id=engine.node.id,
    )

    engine.node.wants_reconcile.set()

    async def is_given_back() -> bool:
        return [row["state"] for row in await list_jobs(bench.db)] == [QUEUED]

    await wait_until(is_given_back, 3.0)
