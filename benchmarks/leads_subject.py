"""The pipeline's process: the real node, on providers in memory or on the sandbox's sockets."""

import json
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from time import perf_counter, process_time
from typing import Any
from uuid import UUID

import anyio
import msgspec
import uvloop
from leadflood.app import Node, open_node, open_storage
from leadflood.cli.demo.command import ICP
from leadflood.cli.demo.world import WorldOptions, running_world, world_settings
from leadflood.contracts.ports.people import PeopleQuery
from leadflood.domain.discovery.schemas import NewDiscovery
from leadflood.domain.icp.schemas import Icp
from leadflood.engine.obs import log
from leadflood.engine.queue import runs
from leadflood.providers import catalog
from leadflood.settings import Settings, convert
from leadflood.wiring.storage import Storage

from benchmarks import memory_world
from benchmarks.world import CLOCK, SQL, print_line, rss_mb

POLL_SECONDS = 0.05
LONGEST_SECONDS = 240
WORLD_PLAN = 2_000
PLENTY_MICROS = 10**12
PAGE = 100
MOST_SEARCHES = 10
STAGES = {
    "discovery.run": {"concurrency": 16, "batch": 16},
    "enrichment.run": {"concurrency": 1_000, "batch": 500, "timeout_seconds": 120.0},
    "message.generate": {"concurrency": 250, "timeout_seconds": 120.0},
    "message.send": {"concurrency": 250, "timeout_seconds": 120.0},
}


class Spent:
    """Seconds spent in one stage's parts, all of its tasks together."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}
        self.counts: dict[str, int] = {}

    def time(self, name: str, act: Callable[..., Awaitable[Any]]) -> Callable[..., Awaitable[Any]]:
        """Wrap an async function with a watch."""

        async def timed(*args: Any) -> Any:
            started_at = perf_counter()
            try:
                return await act(*args)
            finally:
                self.seconds[name] = self.seconds.get(name, 0.0) + perf_counter() - started_at
                self.counts[name] = self.counts.get(name, 0) + 1

        return timed

    def reset(self) -> None:
        """Begin anew, after warming up."""
        self.seconds.clear()
        self.counts.clear()


def watch_stages(node: Node) -> dict[str, Spent]:
    """Put a watch on what each stage does: load, work (waiting included), commit, whole batch."""
    watches = {}
    for name, line in node.engine.runners.items():
        spent = watches[name] = Spent()
        stage: Any = line.stage
        stage.load = spent.time("load", stage.load)
        stage.work = spent.time("work", stage.work)
        stage.commit = spent.time("domain_commit", stage.commit)
        committer: Any = line.committer
        committer._attempt = spent.time("transaction", committer._attempt)  # noqa: SLF001 - a watch
    return watches


def measure_stages(
    node: Node, watches: dict[str, Spent], before: dict[str, int], seconds: float
) -> dict[str, Any]:
    """Return where the time went, by stage."""
    result = {}
    for name, line in node.engine.runners.items():
        spent, completed = watches[name], line.metrics.completed - before[name]
        batches = spent.counts.get("transaction", 0)
        if not completed:
            continue
        result[name] = {
            "tasks": completed,
            "batches": batches,
            "tasks_per_batch": round(completed / batches, 1) if batches else 0.0,
            "busy_ratio": round(spent.seconds.get("transaction", 0.0) / seconds, 3),
            **{f"{part}_seconds": round(used, 2) for part, used in sorted(spent.seconds.items())},
        }
    return result


def memory_settings(spec: dict[str, Any], folder: Path) -> Settings:
    """Limits, budget, ledger, cache and authorize on, all with room."""
    return convert(
        {
            "mode": "sandbox",
            "data": str(folder),
            "stages": STAGES,
            "database": {"url": spec["url"]},
            "providers": {
                name: {
                    "api_key": "in-memory",
                    "day_cap_micros": PLENTY_MICROS,
                    **msgspec.to_builtins(memory_world.PLENTY),
                }
                for name in ("apollo", "hunter", "openai", "smtp")
            },
            "budget": {"run_micros": PLENTY_MICROS, "day_micros": PLENTY_MICROS},
            "messaging": {
                "sender_name": "Sam Sandbox",
                "sender_address": "sam@leadflood.example",
                "postal_address": "Leadflood Bench, 1 Pretend Street, 12345 Sandbox",
                "unsubscribe_mailto": "unsubscribe@leadflood.example",
            },
        }
    )


@asynccontextmanager
async def open_pipeline(spec: dict[str, Any], folder: Path) -> AsyncIterator[tuple[Storage, Node]]:
    """Open the node on the providers that were asked for."""
    if spec["kind"] == "memory":
        catalog.build_adapters = memory_world.build_adapters  # type: ignore[assignment] - stands in
        async with (
            open_storage(memory_settings(spec, folder)) as storage,
            open_node(storage) as node,
        ):
            yield storage, node
        return
    options = WorldOptions(seed=7, plan=WORLD_PLAN)
    async with running_world(folder / "world", options) as world:
        settings = world_settings(folder, world, spec["leads"])
        database = msgspec.structs.replace(settings.database, url=spec["url"])
        settings = msgspec.structs.replace(settings, database=database)
        async with open_storage(settings) as storage, open_node(storage) as node:
            yield storage, node


def share_out(leads: int) -> list[int]:
    """Share so many leads among searches that run side by side, in whole pages."""
    pages = leads // PAGE
    searches = min(MOST_SEARCHES, pages)
    return [PAGE * (pages // searches + (index < pages % searches)) for index in range(searches)]


async def start_runs(storage: Storage, node: Node, icp: Icp, first: int, leads: int) -> list[UUID]:
    """Start searches that together bring so many leads; the sandbox has one for all."""
    if not isinstance(node.life.adapters["apollo"], memory_world.MemoryApollo):
        return [await start_run(storage, node, icp, first, leads)]
    run_ids = []
    for share in share_out(leads):
        run_ids.append(await start_run(storage, node, icp, first, share))
        first += share
    return run_ids


async def start_run(storage: Storage, node: Node, icp: Icp, first: int, leads: int) -> UUID:
    """Start a discovery of so many leads; memory counts people from `begin`."""
    is_memory = isinstance(node.life.adapters["apollo"], memory_world.MemoryApollo)
    query = PeopleQuery(keywords=str(first) if is_memory else "", page_size=PAGE)
    async with node.publisher.transaction() as publication:
        run_id = storage.ids.new()
        new = runs.NewRun(id=run_id, kind="bench", sends="go", cap_micros=PLENTY_MICROS)
        await runs.create(publication.tx, new, CLOCK.now())
        expected = NewDiscovery(
            run_id=run_id, icp_id=icp.id, provider="apollo", query=query, wanted_count=leads
        )
        page = await node.services.discovery.start(publication.tx, expected)
        await publication.publish([page], run_id=run_id)
    return run_id


async def finish(storage: Storage, node: Node, run_ids: list[UUID], scored: int) -> None:
    """Wait until so many are scored and no live job carries one of the runs."""
    scoring = node.engine.runners["scoring.compute"].metrics
    with anyio.fail_after(LONGEST_SECONDS):
        while scoring.completed < scored:
            await CLOCK.sleep(POLL_SECONDS)
        while await storage.db.fetch_value(SQL.has_live_jobs, run_ids=run_ids):
            await CLOCK.sleep(POLL_SECONDS)


async def measure(spec: dict[str, Any], folder: Path) -> dict[str, Any]:
    """Warm up, then tell how many leads a second reach their final state."""
    async with open_pipeline(spec, folder) as (storage, node):
        icp = await storage.icps.record(ICP)
        watches = watch_stages(node)
        warmed_up = await start_runs(storage, node, icp, 0, spec["warmup"])
        await finish(storage, node, warmed_up, 0)
        before = {name: line.metrics.completed for name, line in node.engine.runners.items()}
        for spent in watches.values():
            spent.reset()
        started_at, cpu = perf_counter(), process_time()
        run_ids = await start_runs(storage, node, icp, spec["warmup"], spec["leads"])
        await finish(storage, node, run_ids, before["scoring.compute"] + spec["leads"] * 9 // 10)
        seconds, cpu = perf_counter() - started_at, process_time() - cpu
        stages = measure_stages(node, watches, before, seconds)
        result_rows = await check(storage, node, run_ids, spec)
        return {
            "per_s": result_rows["final"] / seconds,
            "seconds": seconds,
            "cpu_seconds": cpu,
            "rss_mb": rss_mb(),
            "stages": stages,
            **result_rows,
        }


async def check(
    storage: Storage, node: Node, run_ids: list[UUID], spec: dict[str, Any]
) -> dict[str, Any]:
    """Count what was written, and say what does not add up."""
    db = storage.db
    final = await db.fetch_one(SQL.count_final, run_ids=run_ids)
    provider_calls = await db.fetch_one(SQL.count_providers, run_ids=run_ids)
    rows = {row["name"]: row["rows"] for row in await db.fetch(SQL.count_rows)}
    if final is None or provider_calls is None:
        raise LookupError("a statement of counts always has a row")
    faults = []
    for name, is_right in (
        (f"{final['final']} of {spec['leads']} leads are final", final["final"] == spec["leads"]),
        (
            f"{final['accepted']} of {final['intended']} sends",
            final["accepted"] == final["intended"],
        ),
        (f"{rows['dead_letter']} dead letters", rows["dead_letter"] == 0),
    ):
        if not is_right:
            faults.append(name)
    if spec["kind"] == "memory":
        faults += check_rows(node, dict(final.items()), dict(provider_calls.items()), rows, spec)
    return {"faults": faults, "rows": rows, **dict(final.items()), **dict(provider_calls.items())}


def check_rows(
    node: Node,
    final: dict[str, int],
    provider_calls: dict[str, int],
    rows: dict[str, int],
    spec: dict[str, Any],
) -> list[str]:
    """Hold the rows against what so many leads must leave behind."""
    leads = spec["leads"] + spec["warmup"]
    expected_high = sum(map(memory_world.is_fit, range(spec["warmup"], leads)))
    high = expected_high + sum(map(memory_world.is_fit, range(spec["warmup"])))
    sender: memory_world.MemorySender = node.life.adapters["smtp"]
    expected = {
        "lead": leads,
        "enrichment": leads,
        "feature_snapshot": leads,
        "score_prediction": leads,
        "message": high,
        "intent": high,
    }
    faults = [
        f"{name} has {rows[name]} rows, not {count}"
        for name, count in expected.items()
        if rows[name] != count
    ]
    if provider_calls["providers"] < 2 or provider_calls["provenance"] < 10:  # noqa: PLR2004 - what was promised
        faults.append(
            f"{provider_calls['providers']} providers, {provider_calls['provenance']} values a lead"
        )
    if final["high"] != expected_high:
        faults.append(f"{final['high']} of {spec['leads']} are HIGH, not {expected_high}")
    if sum(sender.taken.values()) != high or len(sender.taken) != high:
        faults.append(f"the sender took {sum(sender.taken.values())} messages, not {high}")
    return faults


async def main(spec: dict[str, Any]) -> None:
    with TemporaryDirectory(prefix="leadflood-bench-node-") as folder:
        print_line(await measure(spec, Path(folder)))


if __name__ == "__main__":
    log.configure(log.Settings(level="warning"))
    uvloop.run(main(json.loads(sys.argv[1])))
