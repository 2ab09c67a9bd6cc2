"""The process kills itself at each crash point of the pipeline, one after the other.

    python -m tests.chaos.points   (all of them, on a server of its own; prints one JSON object)

A crash point is before or after: the commit of each stage, the reservation of each outside call,
the call itself, its settlement, and `authorize`. `before` a commit is the last moment before it.
"""

import shutil
import signal
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import anyio
import msgspec
from leadflood.app import STAGE_NAMES
from leadflood.engine.clock import REAL_TIME
from leadflood.engine.db.embedded import embedded_postgres

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

SIDES = ("before", "after")
STEPS = ("reserve", "send", "settle")
QUESTIONS = (
    "apollo.people.search",
    "apollo.people.match",
    "hunter.email.find",
    "hunter.email.verify",
    "pdl.person.enrich",
    "openai.text.write",
)
SENDS = ("smtp.message.send", "trengo.message.send")
LOOK_UP = "trengo.message.look_up"
SUPPRESSION = "suppressions.add"
SMALL = Plan(people_count=12_000)


def _points(names: Sequence[str], steps: Sequence[str]) -> tuple[str, ...]:
    return tuple(f"{name}.{step}.{side}" for name in names for step in steps for side in SIDES)


ON_REQUEST = frozenset({"bulk.run", "imports.run"})
"""Stages that no run of leads passes; tests of their own kill them."""

COMMITS = _points([name for name in STAGE_NAMES if name not in ON_REQUEST], ("commit",))
EFFECTS = _points(SENDS, ("authorize", *STEPS))
USUAL = (*COMMITS, *_points(QUESTIONS, STEPS), *EFFECTS)
"""The crash points of a run without faults."""

ALL = (*USUAL, *_points((LOOK_UP,), STEPS))
"""The look-ups come last, when a sending is left that nobody knows the end of."""

SOME = (
    "discovery.run.commit.after",
    "enrichment.run.commit.before",
    "message.generate.commit.after",
    "apollo.people.match.send.after",
    "smtp.message.send.authorize.after",
    "smtp.message.send.reserve.before",
    "smtp.message.send.settle.after",
    "trengo.message.send.reserve.after",
    "trengo.message.send.send.after",
    "trengo.message.send.settle.before",
    "message.send.commit.before",
)
"""One of each kind, for the short form."""


class PointsResult(msgspec.Struct, frozen=True, kw_only=True):
    """The result of all crash points."""

    points: int
    seconds: float
    reckoning: ChaosReport


async def start_small_run(field: ChaosField, index: int, claimed: int = 0) -> None:
    """Start a small run that passes every crash point.

    Only somebody who `claimed` to be left alone passes the suppression's.
    """
    await field.start_run(discovered=3, phones=1, doubtful=1, sure=1, claimed=claimed, index=index)


async def crash_at_each(field: ChaosField, points: Sequence[str]) -> None:
    """Kill a worker at each crash point; the next one finds the rest of its work, and new work."""
    for index, point in enumerate(points):
        if LOOK_UP not in point:
            await start_small_run(field, index, claimed=SUPPRESSION in point)
        worker = await field.worker(crash_at=point)
        await worker.hear("ready")
        code = await worker.wait()
        assert code == -signal.SIGKILL, f"{point} was not passed: {code}\n{worker.log()[-4000:]}"
        await field.after_a_kill()


async def run(nursery: Nursery, folder: Path) -> PointsResult:
    """Crash at all of them."""
    started_at = time.perf_counter()
    async with (
        embedded_postgres(folder / "server", REAL_TIME) as server,
        open_chaos_field(nursery, server.url, folder, SMALL) as field,
    ):
        await crash_at_each(field, ALL)
        await field.finish()
        reckoning = await make_report(field)
        seconds = round(time.perf_counter() - started_at, 1)
        return PointsResult(points=len(ALL), seconds=seconds, reckoning=reckoning)


def main() -> None:
    folder = open_folder("leadflood-points-")
    try:
        with open_nursery() as nursery:
            outcome = anyio.run(run, nursery, folder)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    sys.stdout.write(msgspec.json.encode(outcome).decode() + "\n")
    sys.exit(1 if outcome.reckoning.problems else 0)


if __name__ == "__main__":
    main()
