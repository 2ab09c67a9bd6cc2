"""Identity: which records become one lead by themselves, and which a person is asked about.

    python -m benchmarks.identity --json

- `febrl1`, `febrl2`: people with slips of the pen; address and date stand beside their names.
- `generated`: twins, namesakes, families at one phone, job moves, mailboxes that several read.

Precision and recall count pairs of records: `auto` those of one lead, `withQueue` also those whose
leads are a possible duplicate. `undoIsExact`: merges of such pairs were undone without a trace.
"""

import json
import os
import sys
from collections import Counter
from collections.abc import Sequence
from itertools import combinations
from pathlib import Path
from time import perf_counter, process_time
from typing import Any
from uuid import UUID

import anyio
from leadflood.domain.auth.schemas.principals import Editor
from leadflood.domain.duplicates.schemas import Settings
from leadflood.domain.duplicates.service import BATCH, DuplicateSearch
from leadflood.domain.leads.service import telling_apart
from leadflood.domain.leads.service.merging import LeadMerging
from leadflood.domain.leads.service.upserting import upsert
from leadflood.engine.db.migrations import upgrade
from leadflood.engine.db.pool import Database, Settings as DatabaseSettings, open_database
from leadflood.engine.db.sql import Queries
from leadflood.engine.db.statistics import analyze_grown_tables
from leadflood.engine.ids import Ids
from leadflood.engine.runtime import calm_collector
from leadflood.wiring.upkeep import STATISTICS_SECONDS

from benchmarks.identity_people import SEEN_AT, Record, generate, read_febrl
from benchmarks.report import Figures, make_parser, parse_options
from benchmarks.world import CLOCK, Server, open_server, print_table

PARTS = ("febrl1", "febrl2", "generated")
SQL = Queries(Path(__file__).with_suffix(".sql"))
BATCH_RECORDS = 500
MOST_UNDONE = 100
REACH = {"precision": 0.995, "recall": 0.90, "seconds": 60.0}
_IDS = Ids(CLOCK)
_EDITOR = Editor(by="benchmark")


def main() -> int:
    """Measure and print; return the exit code: 1 where something is not reached."""
    parser = make_parser("benchmarks.identity", __doc__, PARTS)
    parser.add_argument("--records", type=int, default=100_000, help="generated records")
    parser.add_argument("--seed", type=int, default=1)
    options = parse_options(parser, PARTS)
    figures = anyio.run(_measure_all, options)
    missed = list_missed(figures)
    for name in options.only:
        print_table(name, {key: json.dumps(value) for key, value in figures[name].items()})
    for line in missed:
        sys.stderr.write(f"not reached: {line}\n")
    if options.json:
        figures["load"] = round(os.getloadavg()[0], 2)
        sys.stdout.write(json.dumps(figures, indent=2) + "\n")
    return 1 if missed else 0


def list_missed(figures: Figures) -> list[str]:
    """List what is not reached."""
    missed = []
    for name, figure in figures.items():
        if figure["auto"]["precision"] < REACH["precision"]:
            missed.append(f"{name}: precision {figure['auto']['precision']}")
        if figure["withQueue"]["recall"] < REACH["recall"]:
            missed.append(f"{name}: recall with the queue {figure['withQueue']['recall']}")
        if figure["seconds"] > REACH["seconds"]:
            missed.append(f"{name}: {figure['seconds']} s")
        if not figure["undoIsExact"]:
            missed.append(f"{name}: a merge left a trace")
    return missed


async def _measure_all(options: Any) -> Figures:
    figures: Figures = {}
    async with open_server() as server:
        for name in PARTS:
            if name in options.only:
                figures[name] = await _measure_set(server, name, options)
    return figures


async def _measure_set(server: Server, name: str, options: Any) -> Figures:
    if name == "generated":
        records = generate(options.records, options.seed)
    else:
        records = read_febrl(f"dataset{name[-1]}")
    await server.make_fresh()
    settings = DatabaseSettings(url=server.url)
    await upgrade(settings)
    async with open_database(settings) as db:
        return await measure(db, records)


async def measure(db: Database, records: Sequence[Record]) -> Figures:
    """Bring records in, search for duplicates meanwhile, and compare with the truth."""
    calm_collector()  # as a node does
    started_at, cpu_started_at = perf_counter(), process_time()
    lead_ids: list[UUID] = []
    is_in = anyio.Event()

    async def bring() -> None:
        for start in range(0, len(records), BATCH_RECORDS):
            people = [record.person for record in records[start : start + BATCH_RECORDS]]
            async with db.transaction() as tx:
                lead_ids.extend([lead.lead_id for lead in await upsert(tx, people, _IDS, SEEN_AT)])
        is_in.set()

    async with anyio.create_task_group() as group:
        group.start_soon(bring)
        group.start_soon(_keep_statistics, db, is_in)
        group.start_soon(_search, db, is_in)
    seconds, cpu_seconds = perf_counter() - started_at, process_time() - cpu_started_at
    survivor_of = {row["id"]: row["survivor"] for row in await db.fetch(SQL.list_survivors)}
    queue = {(row["lead_id"], row["other_id"]) for row in await db.fetch(SQL.list_pairs)}
    leads = [survivor_of[lead_id] for lead_id in lead_ids]
    figures = judge([record.truth for record in records], leads, queue)
    figures["seconds"] = round(seconds, 1)
    figures["cpuSeconds"] = round(cpu_seconds, 1)
    figures["undoIsExact"] = await _undo_merges(db, sorted(queue)[:MOST_UNDONE])
    return figures


def judge(
    truths: Sequence[str], leads: Sequence[UUID], queue: set[tuple[UUID, UUID]]
) -> dict[str, Any]:
    """Compare the leads of records with the truth, pair by pair."""
    by_truth: dict[str, list[UUID]] = {}
    for truth, lead in zip(truths, leads, strict=True):
        by_truth.setdefault(truth, []).append(lead)
    joined_count = sum(count * (count - 1) // 2 for count in Counter(leads).values())
    true_count = right_count = asked_count = 0
    for same in by_truth.values():
        for one, other in combinations(sorted(same), 2):
            true_count += 1
            right_count += one == other
            asked_count += one == other or (one, other) in queue
    return {
        "auto": {
            "precision": round(right_count / joined_count, 4) if joined_count else 1.0,
            "recall": round(right_count / true_count, 4),
        },
        "withQueue": {"recall": round(asked_count / true_count, 4)},
        "queue": len(queue),
        "records": len(truths),
    }


async def _keep_statistics(db: Database, is_in: anyio.Event) -> None:
    """Do what a node does beside."""
    while not is_in.is_set():
        await analyze_grown_tables(db)
        with anyio.move_on_after(STATISTICS_SECONDS):
            await is_in.wait()


async def _search(db: Database, is_in: anyio.Event) -> None:
    """Search until all is in and nothing is left."""
    search = DuplicateSearch(Settings(), _IDS, CLOCK)
    while True:
        is_last, taken_at = is_in.is_set(), CLOCK.now()
        async with db.transaction() as tx:
            lead_ids = await telling_apart.take_unsearched(tx, BATCH, taken_at)
        if not lead_ids and is_last:
            return
        if not lead_ids:
            await CLOCK.sleep(0.05)
            continue
        async with db.transaction() as tx:
            await search.search(tx, lead_ids)
            await telling_apart.record_searched(tx, lead_ids, taken_at)


async def _undo_merges(db: Database, pairs: Sequence[tuple[UUID, UUID]]) -> bool:
    """Merge pairs, each lead once, and undo it; return whether all rows are what they were."""
    merging = LeadMerging(_IDS, CLOCK)
    before = await hash_rows(db)
    merged: list[UUID] = []
    touched: set[UUID] = set()
    for older, younger in pairs:
        if touched.isdisjoint({older, younger}):
            touched |= {older, younger}
            async with db.transaction() as tx:
                await merging.merge(tx, younger, older, _EDITOR)
            merged.append(younger)
    for younger in reversed(merged):
        async with db.transaction() as tx:
            await merging.unmerge(tx, younger, _EDITOR)
    return before == await hash_rows(db)


async def hash_rows(db: Database) -> dict[str, str]:
    """Return a hash of the rows of each table that a merge might leave a trace in."""
    return {row["name"]: row["md5"] for row in await db.fetch(SQL.hash_all)}


if __name__ == "__main__":
    sys.exit(main())
