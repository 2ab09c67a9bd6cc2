"""Claims of nodes that are gone are taken back."""

from leadflood.engine.queue.job import QUEUED, RUNNING, SCHEDULED
from leadflood.engine.queue.repository import SQL
from tests.support.engine import MAKE, EngineBench, ThingRequested, list_jobs
from tests.support.statements import sql


async def test_every_claim_whose_node_is_no_row_is_taken_back(bench: EngineBench) -> None:
    dead, alive = await bench.node(), await bench.node()
    await dead.queue(*[ThingRequested(number) for number in range(6)])
    lost = await dead.claim(most=4)
    jobs = await alive.claim()
    await dead.die()
    await bench.db.execute(
        sql("UPDATE job SET node_id = 123456 WHERE id = $1", "id"), id=lost[0].job_id
    )

    assert await alive.engine.rescuer.rescue() == 4

    rows = {row["id"]: row for row in await list_jobs(bench.db)}
    assert all(rows[job.job_id]["state"] == QUEUED for job in lost)
    assert all(rows[job.job_id]["losses"] == 1 for job in lost)
    assert all(rows[job.job_id]["attempts"] == 0 for job in lost)
    assert all(rows[job.job_id]["state"] == RUNNING for job in jobs)


async def test_from_the_fifth_loss_on_a_job_comes_back_with_a_backoff(bench: EngineBench) -> None:
    node = await bench.node()
    await node.queue(ThingRequested(1))
    waits: list[float] = []
    for _ in range(20):
        await bench.db.execute(sql("UPDATE job SET state = 1, node_id = 999, run_at = NULL"))
        await node.engine.rescuer.rescue()
        [row] = await list_jobs(bench.db)
        is_later = row["state"] == SCHEDULED
        waits.append((row["run_at"] - bench.clock.now()).total_seconds() if is_later else 0.0)

    assert waits[:4] == [0, 0, 0, 0]
    assert waits[4:9] == [1, 2, 4, 8, 16]
    assert max(waits) == waits[-1] == 3600
    assert [row["losses"] for row in await list_jobs(bench.db)] == [20]


async def test_a_job_that_is_lost_again_and_again_is_named(bench: EngineBench) -> None:
    node = await bench.node()
    await node.queue(ThingRequested(1), ThingRequested(2))
    await bench.db.execute(sql("UPDATE job SET losses = 6 WHERE payload LIKE '%\"number\":2%'"))

    rows = await bench.db.fetch(SQL.list_crash_loops, patience=5, limit=10)

    assert [(row["stage"], row["losses"]) for row in rows] == [(MAKE, 6)]
