"""kill -9, repeated while leads pass through the pipeline.

    python -m tests.chaos.kills --kills 200 --leads 5000 [--json]

Prints a histogram of when the kills came and one JSON object; exits 1 when a promise was broken.
"""

import argparse
import random
import shutil
import signal
import sys
import time
from collections import Counter
from pathlib import Path

import anyio
import msgspec
from leadflood.engine.clock import REAL_TIME
from leadflood.engine.db.embedded import embedded_postgres
from leadflood.sandbox.faults import Fault

from tests.support.chaos import (
    ChaosField,
    ChaosReport,
    Nursery,
    make_report,
    open_chaos_field,
    open_nursery,
)
from tests.support.db import open_folder
from tests.support.pretend import Plan

SOONEST_SECONDS, LATEST_SECONDS = 0.05, 3.0
BUCKETS = 12
ANSWERING = ("apollo", "hunter", "pdl", "openai", "trengo")
"""Who can be asked what became of a call, or need not be: a mail in doubt stays `unknown`."""


class Kill(msgspec.Struct, frozen=True):
    """One kill: how long after `ready`, and what was under way."""

    after_seconds: float
    open_calls: int
    open_sends: int
    let_through: int


class KillSeries(msgspec.Struct, frozen=True, kw_only=True):
    """The result of a series of kills."""

    kills: int
    with_a_call_in_flight: int
    with_a_send_in_flight: int
    let_through: int
    seconds: float
    histogram: dict[str, int]
    reckoning: ChaosReport


async def kill_often(field: ChaosField, kills: int, rng: random.Random) -> list[Kill]:
    """Kill one worker after the other, until enough are killed or the work is done."""
    killed: list[Kill] = []
    while len(killed) < kills:
        worker = await field.worker()
        await worker.hear("ready")
        after = rng.uniform(SOONEST_SECONDS, LATEST_SECONDS)
        await REAL_TIME.sleep(after)
        if worker.code is not None:
            break
        open_ = await field.open_calls()
        worker.kill()
        code = await worker.wait()
        let_through = await field.after_a_kill()
        if code != -signal.SIGKILL:
            break
        sends = sum(call.provider in {"smtp", "trengo"} for call in open_)
        killed.append(Kill(after, len(open_), sends, let_through))
    return killed


def summarize(kills: list[Kill], reckoning: ChaosReport, seconds: float) -> KillSeries:
    """Return a series in numbers."""
    width = (LATEST_SECONDS - SOONEST_SECONDS) / BUCKETS
    counts = Counter(int((kill.after_seconds - SOONEST_SECONDS) / width) for kill in kills)
    return KillSeries(
        kills=len(kills),
        with_a_call_in_flight=sum(kill.open_calls > 0 for kill in kills),
        with_a_send_in_flight=sum(kill.let_through > 0 for kill in kills),
        let_through=sum(kill.let_through for kill in kills),
        seconds=round(seconds, 1),
        histogram={
            f"{SOONEST_SECONDS + bucket * width:.2f}": counts[bucket] for bucket in range(BUCKETS)
        },
        reckoning=reckoning,
    )


class SeriesOptions(msgspec.Struct, frozen=True):
    """The length and seed of a series."""

    kills: int
    leads: int
    seed: int
    plan: Plan


async def run(options: SeriesOptions, nursery: Nursery, folder: Path) -> KillSeries:
    """Run the series on a durable server of its own."""
    started_at = time.perf_counter()
    phones = min(options.leads // 12, 280)
    async with (
        embedded_postgres(folder / "server", REAL_TIME) as server,
        open_chaos_field(nursery, server.url, folder, options.plan) as field,
    ):
        await field.set_faults({Fault.ACTED_5XX: 0.02}, *ANSWERING)
        await field.start_run(discovered=options.leads - phones, phones=phones)
        killed = await kill_often(field, options.kills, random.Random(options.seed))  # noqa: S311 - when to kill
        await field.finish(seconds=1_200)
        return summarize(killed, await make_report(field), time.perf_counter() - started_at)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=200)
    parser.add_argument("--leads", type=int, default=5_000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--plan", type=int, default=2, help="times the documented limits")
    parser.add_argument("--json", action="store_true", help="only the JSON object")
    options = parser.parse_args()
    plan = Plan(
        times=options.plan,
        people_count=40_000,
        latency_seconds={
            "apollo": 0.1,
            "hunter": 0.1,
            "pdl": 0.1,
            "openai": 0.1,
            "trengo": 0.1,
            "smtp": 0.02,
        },
    )
    series_options = SeriesOptions(options.kills, options.leads, options.seed, plan)
    folder = open_folder("leadflood-kills-")
    try:
        with open_nursery() as nursery:
            outcome = anyio.run(run, series_options, nursery, folder)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    if not options.json:
        for start, count in outcome.histogram.items():
            sys.stderr.write(f"{start:>5} s  {'#' * count} {count}\n")
    sys.stdout.write(msgspec.json.encode(outcome).decode() + "\n")
    sys.exit(1 if outcome.reckoning.problems or outcome.reckoning.accepted_ratio < 0.95 else 0)


if __name__ == "__main__":
    main()
