"""What the engine does in a second, beside the floor and other queues on the same Postgres.

    python -m benchmarks.engine [--json] [--rounds 3] [--seconds 15] [--peers all|none|NAME,NAME]
                                [--only drain,chain,idle,cost,million,snapshot]

Every subject works in a process of its own, on a database of its own, on one server with stock
settings. Ours and the floor (`raw.py`) take turns, round by round, and their medians are told;
each peer has one turn. Time runs until the database has nothing left; a measurement after which
history, live jobs or handlers do not add up is void: its figure is null, and the command exits 1.
"""

import argparse
import sys
from time import perf_counter
from typing import Any

import msgspec
import uvloop

from benchmarks import peers
from benchmarks.peers import Peer, Unavailable
from benchmarks.report import (
    Figures,
    format_rate,
    make_parser,
    median,
    parse_options,
    ratios,
    run_benchmark,
)
from benchmarks.world import (
    SQL,
    Server,
    SubjectFailed,
    address_of,
    print_message,
    print_table,
    python,
    run_subject,
    running_child,
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
    """Return the sizes for a length of the phases."""
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

    async def run(self, peers_to_measure: list[Peer]) -> None:
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
        for peer in peers_to_measure:
            await self._peer(peer)

    async def _take(
        self, name: str, command: list[str], *, is_fresh: bool = True, **spec: Any
    ) -> dict[str, Any] | None:
        """Measure once; None when it is void."""
        if is_fresh:
            await self.server.make_fresh()
        started_at = perf_counter()
        try:
            result = await run_subject(command, {**self._address(), **spec})
        except (SubjectFailed, TimeoutError) as error:
            result = {"faults": [str(error) or "it did not end in time"]}
        if result["faults"]:
            self.void.extend(f"{name}: {fault}" for fault in result["faults"])
            print_message(f"[red]{name}: void: {'; '.join(result['faults'])}")
            return None
        figures = {key: value for key, value in result.items() if key != "faults"}
        texts = ", ".join(
            f"{key} {value:,.3g}"
            for key, value in figures.items()
            if isinstance(value, int | float) and key != "per_s"
        )
        rate = f"{result['per_s']:,.0f}/s" if "per_s" in result else ""
        print_message(f"{name}: {rate} {texts} [dim]({perf_counter() - started_at:.0f} s)")
        return result

    def _address(self) -> dict[str, Any]:
        """Return the database's address, whole and in pieces (node wants pieces)."""
        return {"url": self.server.url, **address_of(self.server.url)}

    async def _round(self, part: str, index: int) -> None:
        """Measure ours and the floor once; the order changes from round to round."""
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
            result = await self._take(title, command, phase=part, seconds=seconds, **spec)
            if result is not None:
                self.per_s[part].setdefault(name, []).append(result["per_s"])

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
                await child.read_line()
                if producer is not None:
                    await run_subject(producer, {**spec, "phase": "produce"})
                result = await child.read_line()
        except (SubjectFailed, TimeoutError) as error:
            result = {"faults": [str(error) or "it did not end in time"]}
        faults = result.get("faults", ["it ended without a word"])
        if faults:
            self.void.extend(f"{name}: {fault}" for fault in faults)
            print_message(f"[red]{name}: void: {'; '.join(faults)}")
            return None
        print_message(f"{name}: p50 {result['p50']:.2f} ms, p99 {result['p99']:.2f} ms")
        return {"p50": round(result["p50"], 3), "p99": round(result["p99"], 3)}

    async def _filled(self, jobs: int, **spec: Any) -> bool:
        """Queue jobs from a process that is gone afterwards."""
        name = f"queue {jobs:,} jobs"
        result = await self._take(name, python(SUBJECT), phase="fill", jobs=jobs, **spec)
        return result is not None

    async def _cost(self) -> None:
        """Measure what a busy job costs the server, and the memory of the node."""
        resting = await self._take(
            "rest",
            python(SUBJECT),
            phase="rest",
            jobs=1,
            seconds=min(IDLE_WARM_SECONDS, self.sizes.seconds),
        )
        self.rss_mb["idle"] = round(resting["rss_mb"], 1) if resting else None
        jobs = self.sizes.cost_jobs
        await self.server.make_fresh()
        wal_before = await self.server.fetch_value(SQL.wal_position)
        if not await self._filled(jobs):
            return
        filled_at = await self.server.fetch_value(SQL.wal_position)
        commits = await self.server.fetch_value(SQL.count_commits)
        result = await self._take("cost", python(SUBJECT), is_fresh=False, phase="once", jobs=jobs)
        self.rss_mb["drain"] = round(result["rss_mb"], 1) if result else None
        if result is None:
            return
        commits_made = await self.server.fetch_value(SQL.count_commits) - commits
        self.transactions_per_job = round(commits_made / jobs, 5)
        drained_at = await self.server.fetch_value(SQL.wal_position)
        self.wal_bytes_per_job = round((drained_at - filled_at) / jobs, 1)
        self.extra["wal_bytes_per_enqueue"] = round((filled_at - wal_before) / jobs, 1)

    async def _million(self) -> None:
        """Work for a while on a million queued jobs in a thousand runs."""
        sizes = self.sizes
        if not await self._filled(sizes.million, runs=sizes.runs):
            return
        result = await self._take(
            f"{sizes.million:,} queued in {sizes.runs:,} runs",
            python(SUBJECT),
            is_fresh=False,
            phase="once",
            jobs=sizes.million,
            seconds=sizes.seconds,
        )
        if result is not None:
            self.rss_mb["million_queued"] = round(result["rss_mb"], 1)
            self.extra["million_queued_jobs_per_s"] = round(result["per_s"], 1)

    async def _snapshot(self) -> None:
        """Drain while another session holds a snapshot, so that no dead row can be cleaned away."""
        sizes = self.sizes
        await self.server.make_fresh()
        await self._take("migrate", python(SUBJECT), phase="rest", jobs=1, seconds=0)
        seconds = sizes.snapshot_seconds
        holder = {**self._address(), "phase": "snapshot", "seconds": seconds}
        async with running_child(python(SUBJECT), holder) as child:
            await child.read_line()
            result = await self._take(
                "drain under a snapshot",
                python(SUBJECT),
                is_fresh=False,
                phase="drain",
                jobs=sizes.chunk,
                seconds=0,
                wall_seconds=seconds,
                keeps_dead=True,
            )
            await child.read_line()
        if result is not None:
            self.extra["snapshot_held_jobs_per_s"] = round(result["per_s"], 1)

    async def _peer(self, peer: Peer) -> None:
        """Measure a peer once."""
        try:
            command = await peers.command_of(peer)
        except Unavailable as error:
            self.skipped[peer.name] = str(error)
            print_message(f"{peer.name}: skipped: {error}")
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
                result = await self._take(f"{part} {peer.name}", command, phase=part, **spec)
                if result is not None:
                    self.per_s[part][peer.name] = [result["per_s"]]
        if "idle" in self.only:
            spec = {**spec, "phase": "idle", "jobs": sizes.idle_jobs}
            self.idle_ms[peer.name] = await self._idle(f"idle {peer.name}", command, command, spec)

    def medians(self, part: str) -> dict[str, float | None]:
        """Return the median of each subject; None where no turn was taken, or all were void."""
        return {name: median(rates) for name, rates in self.per_s[part].items()}

    def compare(self) -> dict[str, float]:
        """Return ours against the floor and against our own plain drain."""
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
        return ratios(pairs)

    def figures(self) -> Figures:
        """Return the object that `--json` prints."""
        return {
            "drain_jobs_per_s": self.medians("drain"),
            "chain_hops_per_s": self.medians("chain"),
            "idle_latency_ms": self.idle_ms,
            "rss_mb": self.rss_mb,
            "transactions_per_job": self.transactions_per_job,
            "wal_bytes_per_job": self.wal_bytes_per_job,
            **self.extra,
            "ratios": self.compare(),
            "rounds": self.per_s,
            "versions": self.versions,
            "skipped": self.skipped,
            "void": self.void,
        }


def print_tables(figures: Figures) -> None:
    """Print the figures as tables."""
    print_table("drained jobs a second", figures["drain_jobs_per_s"], format_rate)
    print_table("hops a second through five stages", figures["chain_hops_per_s"], format_rate)
    rest = ("transactions_per_job", "wal_bytes_per_job", "wal_bytes_per_enqueue")
    print_table("memory, MB", figures["rss_mb"])
    print_table("of a job", {name: figures[name] for name in rest if figures.get(name) is not None})
    print_table("ratios", figures["ratios"])


def parse() -> argparse.Namespace:
    parser = make_parser("benchmarks.engine", __doc__, PARTS)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=15.0)
    parser.add_argument("--peers", default="all", help="all, none, or names with commas")
    return parse_options(parser, PARTS)


async def main(options: argparse.Namespace) -> int:
    chosen_peers = peers.choose(options.peers)

    async def measure(server: Server) -> Figures:
        bench = Bench(server, sizes_for(options.seconds), options.only, options.rounds)
        await bench.run(chosen_peers)
        return bench.figures()

    return await run_benchmark(measure, print_tables, as_json=options.json)


if __name__ == "__main__":
    sys.exit(uvloop.run(main(parse())))
