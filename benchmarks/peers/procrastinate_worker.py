"""Procrastinate: one worker, many jobs at once, a pool to match, LISTEN on, logs at their default.

Source: procrastinate.readthedocs.io, "Launch a worker" and "Increase the concurrency" (its
connector's pool must have a connection for each job at work and two more); read 2026-11.
"""

import asyncio
import json
import logging
import sys
from typing import Any

import procrastinate
from leadflood.engine.db.pool import Settings as DatabaseSettings, open_database
from leadflood.engine.db.sql import load_queries

from benchmarks.peers.going import LEGS, Going, produce
from benchmarks.world import print_line

SQL = load_queries(__file__)
CONCURRENCY = 20
FILL_BATCH = 1_000


async def main(spec: dict[str, Any]) -> None:
    logging.basicConfig(level=logging.WARNING)
    connector = procrastinate.PsycopgConnector(
        conninfo=spec["url"], min_size=CONCURRENCY + 2, max_size=CONCURRENCY + 2
    )
    app = procrastinate.App(connector=connector)
    going = Going(spec)

    def make(leg: int) -> Any:
        @app.task(name=f"leg{leg}", queue="bench")
        async def handle(**task: Any) -> None:
            await going.handle(task, enqueue)

        return handle

    legs = [make(leg) for leg in range(LEGS)]

    async def enqueue(leg: int, task: dict[str, Any]) -> None:
        await legs[leg].defer_async(**task)

    async def run() -> None:
        await app.run_worker_async(
            queues=["bench"], concurrency=CONCURRENCY, install_signal_handlers=False
        )

    async with app.open_async():
        if spec["phase"] == "produce":
            await produce(spec["jobs"], lambda task: legs[0].defer_async(**task))
            print_line({"faults": []})
            return
        await app.schema_manager.apply_schema_async()
        if spec["phase"] != "idle":
            tasks = going.tasks()
            for begin in range(0, len(tasks), FILL_BATCH):
                await legs[0].batch_defer_async(*tasks[begin : begin + FILL_BATCH])
        async with open_database(DatabaseSettings(url=spec["url"])) as db:
            await db.execute(SQL.vacuum_all)
            figures = await going.measure(run, lambda: db.fetch_value(SQL.count_procrastinate))
            print_line(figures)


if __name__ == "__main__":
    asyncio.run(main(json.loads(sys.argv[1])))
