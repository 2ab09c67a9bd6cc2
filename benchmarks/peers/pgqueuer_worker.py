"""PgQueuer: one worker with large batches over one asyncpg connection, as its own benchmark.

Source: janbjorge.github.io/pgqueuer, "Benchmarks" (tools/benchmark.py dequeues in batches over
asyncpg with uvloop) and "Drivers"; read 2026-11.
"""

import json
import sys
from datetime import timedelta
from typing import Any

import asyncpg
import uvloop
from leadflood.engine.db.pool import Settings as DatabaseSettings, open_database
from leadflood.engine.db.sql import load_queries
from pgqueuer import PgQueuer
from pgqueuer.db import AsyncpgDriver
from pgqueuer.models import Job
from pgqueuer.queries import Queries

from benchmarks.peers.going import LEGS, Going, produce
from benchmarks.world import print_line

SQL = load_queries(__file__)
BATCH = 1_000
FILL_BATCH = 1_000


async def main(spec: dict[str, Any]) -> None:
    connection = await asyncpg.connect(spec["url"])
    queue = PgQueuer(AsyncpgDriver(connection))
    other = await asyncpg.connect(spec["url"])
    queries = Queries(AsyncpgDriver(other))
    going = Going(spec)

    async def enqueue(leg: int, task: dict[str, Any]) -> None:
        await queries.enqueue(f"leg{leg}", json.dumps(task).encode())

    if spec["phase"] == "produce":
        await produce(spec["jobs"], lambda task: enqueue(0, task))
        print_line({"faults": []})
        return
    await queries.install()

    for leg in range(LEGS):

        @queue.entrypoint(f"leg{leg}")
        async def handle(job: Job) -> None:
            await going.handle(json.loads(job.payload or b"{}"), enqueue)

    if spec["phase"] != "idle":
        payloads = [json.dumps(task).encode() for task in going.tasks()]
        for begin in range(0, len(payloads), FILL_BATCH):
            part = payloads[begin : begin + FILL_BATCH]
            await queries.enqueue(["leg0"] * len(part), part, [0] * len(part))

    async def run() -> None:
        await queue.run(batch_size=BATCH, dequeue_timeout=timedelta(seconds=30))

    async with open_database(DatabaseSettings(url=spec["url"])) as db:
        await db.execute(SQL.vacuum_all)
        figures = await going.measure(run, lambda: db.fetch_value(SQL.count_pgqueuer))
    print_line(figures)


if __name__ == "__main__":
    uvloop.run(main(json.loads(sys.argv[1])))
