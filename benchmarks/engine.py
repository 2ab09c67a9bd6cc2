"""What the engine does in a second, beside the floor and other queues on the same Postgres.

    python -m benchmarks.engine [--json] [--rounds 3] [--seconds 15] [--peers all|none|NAME,NAME]
                                [--only drain,chain,idle,cost,million,snapshot]

Every subject works in a process of its own, on a database of its own, on one server with stock
settings. Ours and the floor (`raw.py`) take turns, round by round, and their medians are told;
each peer has one turn. Time runs until the database has nothing left; a measurement after which
history, live jobs or handlers do not add up is void: its figure is null, and the command exits 1.
"""

import argparse
import json
import os
import platform
import statistics
import sys
from time import perf_counter
from typing import Any
from urllib.parse import parse_qs, urlsplit

import msgspec
import uvloop

from benchmarks import peers
from benchmarks.peers import Peer, Unavailable
from benchmarks.world import (
    SQL,
    Broken,
    Server,
    measure,
    open_server,
    print_table,
    python,
    running_child,
    say,
)

PARTS = ("drain", "chain", "idle", "cost", "million", "snapshot")
SUBJECT = "benchmarks.subject"
FLOOR = "benchmarks.floor"
CHAIN_ITEMS = 4_000
WHOLE_SECONDS = 10.0
IDLE_WARM_SECONDS = 3.0


class Sizes(msgspec.Struct, frozen=True):
    """How much of everything; a short run is for looking whether it runs."""

    seconds: float
    chunk: int = 100_000
    idle_jobs: int = 500
    cost_jobs: int = 300_000
    million: int = 1_000_000
    runs: int = 1_000
    snapshot_seconds: float = 60.0
    peer_seconds: float = 12.0
    cut_seconds: float = 20.0


def sizes_for(seconds: float) -> Sizes:
    """Tell the sizes for a length of the phases."""
    if seconds >= WHOLE_SECONDS:
        return Sizes(seconds)
    return Sizes(
        seconds,
        chunk=1_000,
        idle_jobs=20,
        cost_jobs=2_000,
        million=10_000,
        runs=10,
        snapshot_seconds=seconds,
        peer_seconds=seconds,
        cut_seconds=seconds * 2,
    )


class Bench:
    """One run of the benchmark: what was asked for and what is known so far."""

    def __init__(self, server: Server, sizes: Sizes, only: set[str], rounds: int) -> None:
        self.server = server
        self.sizes = sizes
        self.only = only
        self.rounds = rounds
        self.void: list[str] = []
        self.skipped: dict[str, str] = {}
        self.versions: dict[str, str] = {}
        self.per_s: dict[str, dict[str, list[float]]] = {
            "drain": {"leadflood": [], "raw": []},
            "chain": {"leadflood": [], "leadflood_logged_events": [], "raw": []},
        }
        self.idle_ms: dict[str, dict[str, float] | None] = {
            "leadflood": None,
            "leadflood_other_process": None,
        }
        self.rss_mb: dict[str, float | None] = dict.fromkeys(("idle", "drain", "million_queued"))
        self.extra: dict[str, Any] = {}
        self.transactions_per_job: float | None = None
        self.wal_bytes_per_job: float | None = None

    async def run(self, others: list[Peer]) -> None:
        """Measure everything that was asked for."""
        for index in range(self.rounds):
            for part in ("drain", "chain"):
                if part in self.only:
                    await self._round(part, index)
        singles = {
            "idle": self._idle_ours,
            "cost": self._cost,
            "million": self._million,
            "snapshot": self._snapshot,
        }
        for part, take in singles.items():
            if part in self.only:
                await take()
        for peer in others:
            await self._peer(peer)

    async def _take(
        self, name: str, command: list[str], *, is_fresh: bool = True, **spec: Any
    ) -> dict[str, Any] | None:
        """Measure once; None when it is void."""
        if is_fresh:
            await self.server.make_fresh()
        began = perf_counter()
        try:
            found = await measure(command, {**self._address(), **spec})
        except (Broken, TimeoutError) as error:
            found = {"faults": [str(error) or "it did not end in time"]}
        if found["faults"]:
            self.void.extend(f"{name}: {fault}" for fault in found["faults"])
            say(f"[red]{name}: void: {'; '.join(found['faults'])}")
            return None
        figures = {key: value for key, value in found.items() if key != "faults"}
        told = ", ".join(
            f"{key} {value:,.3g}"
            for key, value in figures.items()
            if isinstance(value, int | float) and key != "per_s"
        )
        rate = f"{found['per_s']:,.0f}/s" if "per_s" in found else ""
        say(f"{name}: {rate} {told} [dim]({perf_counter() - began:.0f} s)")
        return found

    def _address(self) -> dict[str, Any]:
        """Tell the database's address, whole and in pieces (node wants pieces)."""
        parts = urlsplit(self.server.url)
        asked = parse_qs(parts.query)
        return {
            "url": self.server.url,
            "host": asked["host"][0],
            "port": int(asked["port"][0]),
            "user": parts.username,
            "password": parts.password,
            "database": parts.path.lstrip("/"),
        }

    async def _round(self, part: str, index: int) -> None:
        """Give ours and the floor a turn; who begins changes from round to round."""
        seconds, ours = self.sizes.seconds, python(SUBJECT)
        turns: list[tuple[str, list[str], dict[str, Any]]] = [("raw", python(FLOOR), {})]
        if part == "drain":
            turns.append(("leadflood", ours, {"jobs": self.sizes.chunk}))
        else:
            items = min(CHAIN_ITEMS, self.sizes.chunk)
            turns.append(("leadflood", ours, {"items": items, "logged": False}))
            turns.append(("leadflood_logged_events", ours, {"items": items, "logged": True}))
        if index % 2 == 0:
            turns.reverse()
        for name, command, spec in turns:
            title = f"{part} {index + 1}/{self.rounds} {name}"
            found = await self._take(title, command, phase=part, seconds=seconds, **spec)
            if found is not None:
                self.per_s[part].setdefault(name, []).append(found["per_s"])

    async def _idle_ours(self) -> None:
        spec = {"phase": "idle", "jobs": self.sizes.idle_jobs}
        self.idle_ms["leadflood"] = await self._idle(
            "idle leadflood", python(SUBJECT), None, {**spec, "in_process": True}
        )
        self.idle_ms["leadflood_other_process"] = await self._idle(
            "idle leadflood, other process",
            python(SUBJECT),
            python(SUBJECT),
            {**spec, "in_process": False},
        )

    async def _idle(
        self, name: str, consumer: list[str], producer: list[str] | None, spec: dict[str, Any]
    ) -> dict[str, float] | None:
        """Start the consumer, then, when it is ready, the producer; tell the consumer's figures."""
        await self.server.make_fresh()
        spec = {**self._address(), **spec}
        try:
            async with running_child(consumer, spec) as child:
                await child.tell()
                if producer is not None:
                    await measure(producer, {**spec, "phase": "produce"})
                found = await child.tell()
        except (Broken, TimeoutError) as error:
            found = {"faults": [str(error) or "it did not end in time"]}
        faults = found.get("faults", ["it ended without a word"])
        if faults:
            self.void.extend(f"{name}: {fault}" for fault in faults)
            say(f"[red]{name}: void: {'; '.join(faults)}")
            return None
        say(f"{name}: p50 {found['p50']:.2f} ms, p99 {found['p99']:.2f} ms")
        return {"p50": round(found["p50"], 3), "p99": round(found["p99"], 3)}

    async def _filled(self, jobs: int, **spec: Any) -> bool:
        """Queue jobs from a process that is gone afterwards."""
        name = f"queue {jobs:,} jobs"
        found = await self._take(name, python(SUBJECT), phase="fill", jobs=jobs, **spec)
        return found is not None

    async def _cost(self) -> None:
        """Tell what a busy job costs the server, and what memory the node takes."""
        resting = await self._take(
            "rest",
            python(SUBJECT),
            phase="rest",
            jobs=1,
            seconds=min(IDLE_WARM_SECONDS, self.sizes.seconds),
        )
        self.rss_mb["idle"] = resting and round(resting["rss_mb"], 1)
        jobs = self.sizes.cost_jobs
        await self.server.make_fresh()
        wal_before = await self.server.ask(SQL.wal_position)
        if not await self._filled(jobs):
            return
        filled_at = await self.server.ask(SQL.wal_position)
        commits = await self.server.ask(SQL.count_commits)
        found = await self._take("cost", python(SUBJECT), is_fresh=False, phase="once", jobs=jobs)
        self.rss_mb["drain"] = found and round(found["rss_mb"], 1)
        if found is None:
            return
        made = await self.server.ask(SQL.count_commits) - commits
        self.transactions_per_job = round(made / jobs, 5)
        drained_at = await self.server.ask(SQL.wal_position)
        self.wal_bytes_per_job = round((drained_at - filled_at) / jobs, 1)
        self.extra["wal_bytes_per_enqueue"] = round((filled_at - wal_before) / jobs, 1)

    async def _million(self) -> None:
        """Work for a while on a million queued jobs in a thousand runs."""
        sizes = self.sizes
        if not await self._filled(sizes.million, runs=sizes.runs):
            return
        found = await self._take(
            f"{sizes.million:,} queued in {sizes.runs:,} runs",
            python(SUBJECT),
            is_fresh=False,
            phase="once",
            jobs=sizes.million,
            seconds=sizes.seconds,
        )
        if found is not None:
            self.rss_mb["million_queued"] = round(found["rss_mb"], 1)
            self.extra["million_queued_jobs_per_s"] = round(found["per_s"], 1)

    async def _snapshot(self) -> None:
        """Drain while another session holds a snapshot, so that no dead row can be cleaned away."""
        sizes = self.sizes
        await self.server.make_fresh()
        await self._take("migrate", python(SUBJECT), phase="rest", jobs=1, seconds=0)
        seconds = sizes.snapshot_seconds
        holder = {**self._address(), "phase": "snapshot", "seconds": seconds}
        async with running_child(python(SUBJECT), holder) as child:
            await child.tell()
            found = await self._take(
                "drain under a snapshot",
                python(SUBJECT),
                is_fresh=False,
                phase="drain",
                jobs=sizes.chunk,
                seconds=0,
                wall_seconds=seconds,
                keeps_dead=True,
            )
            await child.tell()
        if found is not None:
            self.extra["snapshot_held_jobs_per_s"] = round(found["per_s"], 1)

    async def _peer(self, peer: Peer) -> None:
        """Give a peer its one turn."""
        try:
            command = await peers.command_of(peer)
        except Unavailable as error:
            self.skipped[peer.name] = str(error)
            say(f"{peer.name}: skipped: {error}")
            return
        self.versions[peer.name] = peers.version_of(peer)
        sizes = self.sizes
        is_short = sizes.seconds < WHOLE_SECONDS
        spec: dict[str, Any] = {
            "jobs": 500 if is_short else peer.jobs,
            "items": min(peer.items, 100) if is_short else peer.items,
            "seconds": sizes.peer_seconds,
            "cut_seconds": sizes.cut_seconds,
        }
        for part in ("drain", "chain"):
            if part in self.only:
                found = await self._take(f"{part} {peer.name}", command, phase=part, **spec)
                if found is not None:
                    self.per_s[part][peer.name] = [found["per_s"]]
        if "idle" in self.only:
            spec = {**spec, "phase": "idle", "jobs": sizes.idle_jobs}
            self.idle_ms[peer.name] = await self._idle(f"idle {peer.name}", command, command, spec)

    def medians(self, part: str) -> dict[str, float | None]:
        """Tell the median of each subject; None where no turn was taken, or all were void."""
        return {
            name: round(statistics.median(rates), 1) if rates else None
            for name, rates in self.per_s[part].items()
        }

    def ratios(self) -> dict[str, float]:
        """Tell ours against the floor and against our own plain drain."""
        drain, chain = self.medians("drain"), self.medians("chain")
        pairs = {
            "drain_of_raw": (drain.get("leadflood"), drain.get("raw")),
            "chain_of_raw": (chain.get("leadflood"), chain.get("raw")),
            "chain_logged_of_raw": (chain.get("leadflood_logged_events"), chain.get("raw")),
            "million_of_drain": (
                self.extra.get("million_queued_jobs_per_s"),
                drain.get("leadflood"),
            ),
            "snapshot_of_drain": (
                self.extra.get("snapshot_held_jobs_per_s"),
                drain.get("leadflood"),
            ),
        }
        return {name: round(a / b, 3) for name, (a, b) in pairs.items() if a and b}

    def found(self) -> dict[str, Any]:
        """Put everything into the object that `--json` prints."""
        return {
            "drain_jobs_per_s": self.medians("drain"),
            "chain_hops_per_s": self.medians("chain"),
            "idle_latency_ms": self.idle_ms,
            "rss_mb": self.rss_mb,
            "transactions_per_job": self.transactions_per_job,
            "wal_bytes_per_job": self.wal_bytes_per_job,
            **self.extra,
            "ratios": self.ratios(),
            "rounds": self.per_s,
            "versions": self.versions,
            "skipped": self.skipped,
            "void": self.void,
        }


def print_tables(found: dict[str, Any]) -> None:
    """Show the figures to a person."""
    print_table("drained jobs a second", found["drain_jobs_per_s"], _rate)
    print_table("hops a second through five stages", found["chain_hops_per_s"], _rate)
    rest = ("transactions_per_job", "wal_bytes_per_job", "wal_bytes_per_enqueue")
    print_table("memory, MB", found["rss_mb"])
    print_table("of a job", {name: found[name] for name in rest if found.get(name) is not None})
    print_table("ratios", found["ratios"])


def _rate(value: float | None) -> str:
    return "-" if value is None else f"{value:,.0f}"


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.engine",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--json", action="store_true", help="print the figures as one JSON object")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=15.0)
    parser.add_argument("--only", default=",".join(PARTS), help=", ".join(PARTS))
    parser.add_argument("--peers", default="all", help="all, none, or names with commas")
    asked = parser.parse_args()
    asked.only = set(asked.only.split(","))
    if unknown := asked.only - set(PARTS):
        parser.error(f"--only: no part named {', '.join(sorted(unknown))}")
    return asked


async def main(asked: argparse.Namespace) -> int:
    others = peers.choose(asked.peers)
    began = perf_counter()
    load = os.getloadavg()[0]
    async with open_server() as server:
        settings = await server.settings()
        print_table("Postgres", settings)
        bench = Bench(server, sizes_for(asked.seconds), asked.only, asked.rounds)
        await bench.run(others)
    found = bench.found()
    found["settings"] = settings
    found["machine"] = {
        "cpus": os.cpu_count(),
        "python": platform.python_version(),
        "load_before": round(load, 2),
    }
    found["minutes"] = round((perf_counter() - began) / 60, 1)
    print_tables(found)
    if asked.json:
        sys.stdout.write(json.dumps(found, indent=2) + "\n")
    return 1 if bench.void else 0


if __name__ == "__main__":
    sys.exit(uvloop.run(main(parse())))
