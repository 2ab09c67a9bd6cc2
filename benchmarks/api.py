"""What the API answers in a second, beside the same routes by hand on the same Postgres.

    python -m benchmarks.api [--json] [--only get,post,million,websocket] [--seconds 10]
                             [--rounds 3] [--peers all|none] [--leads 1000000]

get and post: 32 connections of wrk on `leadflood serve` (an API key, validation, events and jobs;
rate limits off), on a bare aiohttp + asyncpg handler and on Fastify + pg, each of which makes one
statement a request. One database, turns by round, medians told. Stages are paused while leads
come in, so that answering is measured and not the work that follows; `post_working_per_s` is with
them at work. After each turn the rows in the database must be as many as the good answers, or the
turn is void. Each server has one process; Postgres and wrk share what processors are left.

million: `--leads` made-up leads; first_page alone, then 20 users at lists, filters, searches and
records while leads come in and go through all stages. websocket: 1,000 listeners, 100 events a
second; p99 from an event's moment to each listener, and what the server's memory grew by for each.
"""

import argparse
import random
import sys
import tempfile
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from time import perf_counter
from typing import Any

import anyio
import msgspec
import uvloop
from leadflood.engine.db import migrations
from leadflood.engine.db.pool import Settings as DatabaseSettings

from benchmarks import load
from benchmarks.api_million import Users
from benchmarks.api_servers import Api, RunningServer, bare, fastify, leadflood, with_key
from benchmarks.load import CONNECTIONS, Tally, Task, put_load
from benchmarks.million import fill_url
from benchmarks.peers import Unavailable
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
    CLOCK,
    SQL,
    Server,
    SubjectFailed,
    print_message,
    print_table,
    python,
    running_child,
)

PARTS = ("get", "post", "million", "websocket")
SUBJECTS = ("leadflood", "bare", "fastify")
STAGES = ("enrichment.run", "features.compute", "scoring.compute")
WHOLE_SECONDS = 5.0
FILL_SECONDS = 120
CHILD_SECONDS = 120
MILLION = ("list_p95", "filter_p95", "search_p95", "record_p95", "first_page")
ICP = {
    "name": "Bench",
    "target": {"titles": ["COO"], "countries": ["DE"]},
}


class Sizes(msgspec.Struct, frozen=True):
    """How much of everything; a short run is for looking whether it runs."""

    seconds: float
    warm_seconds: float = 2.0
    leads: int = 1_000
    million: int = 1_000_000
    clients: int = 1_000
    events_per_s: int = 100
    stream_seconds: float = 20.0
    user_seconds: float = 30.0


def sizes_for(seconds: float, million: int) -> Sizes:
    """Return the sizes for a length of the turns."""
    if seconds >= WHOLE_SECONDS:
        return Sizes(seconds, million=million)
    return Sizes(
        seconds,
        warm_seconds=0,
        leads=20,
        million=min(million, 500),
        clients=10,
        stream_seconds=seconds,
        user_seconds=seconds * 2,
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
        self.tallies: dict[str, dict[str, list[Tally]]] = {"get": {}, "post": {}}
        self.cpu_us: dict[str, dict[str, list[float]]] = {"get": {}, "post": {}}
        self.alone_ms: dict[str, dict[str, float]] = {"get": {}, "post": {}}
        self.working: Tally | None = None
        self.million_ms: dict[str, float | None] = dict.fromkeys(MILLION)
        self.websocket: dict[str, float | None] = dict.fromkeys(("p99_ms", "kb_per_client"))
        self.extra: dict[str, Any] = {}
        self._turn = 0

    async def run(self, *, with_peers: bool) -> None:
        """Measure what was asked for."""
        if self.only & {"get", "post"}:
            await self.server.make_fresh()
            async with self._servers(with_peers=with_peers) as servers:
                await self._requests(servers)
        for part, take in (("million", self._million), ("websocket", self._websocket)):
            if part in self.only:
                await self.server.make_fresh()
                try:
                    await take()
                except (SubjectFailed, TimeoutError) as error:
                    self.void.append(f"{part}: {error}")
                    print_message(f"[red]{part}: void: {error}")

    @asynccontextmanager
    async def _servers(self, *, with_peers: bool) -> AsyncIterator[dict[str, RunningServer]]:
        """Start all that are there: ours first, which makes the tables."""
        url = self.server.url
        async with AsyncExitStack() as stack:
            servers = {"leadflood": await stack.enter_async_context(leadflood(url))}
            for open_other in (bare, fastify) if with_peers else ():
                try:
                    server = await stack.enter_async_context(open_other(url))
                except Unavailable as error:
                    self.skipped[open_other.__name__] = str(error)
                    print_message(f"{open_other.__name__}: skipped: {error}")
                else:
                    servers[server.name] = server
            yield servers

    async def _requests(self, servers: Mapping[str, RunningServer]) -> None:
        ours = servers["leadflood"]
        async with Api(ours) as api:
            icp_id = (await api.request("POST", "/v1/icps", ICP))["id"]
            await self._fill(api, icp_id)
            with tempfile.NamedTemporaryFile("w", suffix=".ids") as file:
                ids = await self.server.fetch_bench_value(SQL.list_lead_ids)
                file.write(ids + "\n")
                file.flush()
                await self.server.fetch_bench_value(SQL.vacuum_all)
                tasks = {
                    "get": lambda served, seconds, many: Task(
                        address=served.address,
                        token=served.token,
                        seconds=seconds,
                        connections=many,
                        ids_file=file.name,
                    ),
                    "post": lambda served, seconds, many: Task(
                        address=served.address,
                        token=served.token,
                        seconds=seconds,
                        connections=many,
                        icp_id=icp_id,
                        mark=self._mark(),
                    ),
                }
                targets = {**servers, "leadflood": await with_key(ours, api)}
                await self._same_answers(targets, ids.split()[0])
                for part in ("get", "post"):
                    if part in self.only:
                        await self._part(part, targets, tasks[part], api)

    def _mark(self) -> str:
        """Return a mark that makes the people of one turn unlike all others."""
        self._turn += 1
        return f"{self._turn}x{random.randrange(10**6)}"  # noqa: S311 - a name

    async def _fill(self, api: Api, icp_id: str) -> None:
        """Bring leads in and wait until they are scored: what is read is a whole lead."""
        for number in range(self.sizes.leads):
            lead = {
                "email": f"f{number}@c{number % 2000}-bench.com",
                "fullName": f"Ann Filled{number}",
                "title": "COO",
                "country": "DE",
                "icpId": icp_id,
                "providers": [],
            }
            await api.request("POST", "/v1/leads", lead)
        with anyio.fail_after(FILL_SECONDS):
            while await self.server.fetch_bench_value(SQL.count_unscored):
                await CLOCK.sleep(0.1)

    async def _same_answers(self, servers: Mapping[str, RunningServer], lead_id: str) -> None:
        """See that all tell the same of a lead, or the comparison says nothing."""
        answers = {}
        for name, served in servers.items():
            async with Api(served) as api:
                lead = await api.request("GET", f"/v1/leads/{lead_id}")
            answers[name] = (
                lead["values"],
                len(lead["provenance"]),
                lead["keys"],
                lead["score"]["scoreMilli"],
                len(lead["score"]["trace"]),
                len(lead["records"] or ()),
                len(lead["messages"] or ()),
            )
        if any(create_lead != answers["leadflood"] for create_lead in answers.values()):
            self.void.append(f"the servers tell different things of one lead: {answers}")

    async def _part(
        self,
        part: str,
        servers: Mapping[str, RunningServer],
        make: Callable[[RunningServer, float, int], Task],
        api: Api,
    ) -> None:
        """Measure every server in turns, then with one request at a time."""
        if part == "post":
            await self._pause(api, "PUT", {"reason": "benchmark"})
        for served in servers.values() if self.sizes.warm_seconds else ():
            await put_load(make(served, self.sizes.warm_seconds, CONNECTIONS))
        for index in range(self.rounds):
            turns = list(servers.values())
            for served in turns if index % 2 == 0 else reversed(turns):
                title = f"{part} {index + 1}/{self.rounds} {served.name}"
                await self._take(part, title, served, make(served, self.sizes.seconds, CONNECTIONS))
        for served in servers.values():
            alone = await put_load(make(served, max(1.0, self.sizes.seconds / 4), 1))
            self.alone_ms[part][served.name] = round(alone.p50_ms, 3)
        if part == "post":
            await self._pause(api, "DELETE")
            self.working = await put_load(
                make(servers["leadflood"], self.sizes.seconds, CONNECTIONS)
            )

    async def _pause(self, api: Api, method: str, body: Any = None) -> None:
        for stage in STAGES:
            await api.request(method, f"/v1/admin/stages/{stage}/pause", body)

    async def _take(self, part: str, title: str, served: RunningServer, task: Task) -> None:
        """Measure a server once, and check its answers against the database."""
        before = await self.server.fetch_bench_value(SQL.count_leads)
        cpu = served.cpu_seconds()
        tally = await put_load(task)
        cpu = served.cpu_seconds() - cpu
        added = await self.server.fetch_bench_value(SQL.count_leads) - before
        faults = [f"{tally.refused} were refused"] * bool(tally.refused)
        faults += [f"{tally.broken} were not answered"] * bool(tally.broken)
        # at the end each connection may have one under way, and one answered and not yet read
        if part == "post" and not tally.good <= added <= tally.good + 2 * CONNECTIONS:
            faults.append(f"{tally.good} good answers, but {added} leads")
        if part == "post" and served.name == "leadflood":
            lacking = await self.server.fetch_bench_value(SQL.count_lacking_leads)
            faults += [f"{lacking} leads lack a run, a job or an event"] * bool(lacking)
        if faults:
            self.void.append(f"{title}: {'; '.join(faults)}")
            print_message(f"[red]{title}: void: {'; '.join(faults)}")
            return
        self.tallies[part].setdefault(served.name, []).append(tally)
        self.cpu_us[part].setdefault(served.name, []).append(cpu / tally.good * 1e6)
        print_message(
            f"{title}: {tally.per_s:,.0f}/s, p50 {tally.p50_ms:.2f} ms, p99 {tally.p99_ms:.2f} ms,"
            f" {cpu / tally.good * 1e6:.0f} µs of its processor each"
        )

    async def _million(self) -> None:
        """Fill a database, look at the first page, then let users work on it."""
        count = self.sizes.million
        await migrations.upgrade(DatabaseSettings(url=self.server.url))
        print_message(f"million: writing {count:,} leads")
        filled = await fill_url(self.server.url, count)
        await self.server.fetch_value(SQL.make_checkpoint)
        async with leadflood(self.server.url) as ours:
            users = Users(ours, filled)
            first = await users.first_page()
            p95 = await users.work(self.sizes.user_seconds)
        if users.faults:
            raise SubjectFailed(f"{users.faults[0]} (and {len(users.faults) - 1} more)")
        self.million_ms = {f"{kind}_p95": round(ms, 1) for kind, ms in p95.items()}
        self.million_ms["first_page"] = round(first, 1)
        targets = sum(len(waits) for waits in users.waits_ms.values())
        self.extra["million_asked"] = {"requests": targets, "incoming": users.incoming}
        print_message(f"million: {self.million_ms}")

    async def _websocket(self) -> None:
        """Let many listen while leads come in at an even pace; each is one event."""
        sizes = self.sizes
        async with leadflood(self.server.url) as ours, Api(ours) as api:
            icp_id = (await api.request("POST", "/v1/icps", ICP))["id"]
            await self._pause(api, "PUT", {"reason": "benchmark"})
            await self._tell(ours, icp_id, sizes.events_per_s, 1.0)  # warms up
            before = ours.rss_kb()
            spec = {
                "address": ours.address,
                "token": ours.token,
                "clients": sizes.clients,
                "seconds": sizes.stream_seconds,
            }
            async with running_child(python("benchmarks.api_stream"), spec) as child:
                with anyio.fail_after(sizes.stream_seconds + CHILD_SECONDS):
                    await child.read_line()
                    answers = await self._tell(
                        ours, icp_id, sizes.events_per_s, sizes.stream_seconds
                    )
                    grown = ours.rss_kb() - before
                    stream_result = await child.read_line()
        self._note_stream(stream_result, answers, grown)

    async def _tell(self, ours: RunningServer, icp_id: str, per_s: int, seconds: float) -> int:
        """Bring leads in, evenly; tell how many."""
        mark, answers = self._mark(), 0
        started_at = perf_counter()

        async def create_lead(number: int) -> None:
            lead = {"email": f"{mark}.{number}@c{number % 50}-bench.com", "icpId": icp_id}
            async with room:
                await api.request("POST", "/v1/leads", lead)

        room = anyio.CapacityLimiter(CONNECTIONS)
        async with Api(ours) as api, anyio.create_task_group() as group:
            while (spent := perf_counter() - started_at) < seconds:
                while answers < min(spent, seconds) * per_s:
                    group.start_soon(create_lead, answers)
                    answers += 1
                await CLOCK.sleep(1 / per_s / 2)
        return answers

    def _note_stream(self, stream_result: Mapping[str, Any], answers: int, grown_kb: float) -> None:
        clients = self.sizes.clients
        faults = [f"{stream_result['lost']} listeners were cut"] * bool(stream_result["lost"])
        faults += [f"one heard {stream_result['least']} of {answers} events"] * (
            stream_result["least"] < answers
        )
        if faults:
            self.void.append(f"websocket: {'; '.join(faults)}")
            print_message(f"[red]websocket: void: {'; '.join(faults)}")
            return
        self.websocket = {
            "p99_ms": round(stream_result["p99_ms"], 1),
            "kb_per_client": round(max(0.0, grown_kb) / clients, 1),
        }
        self.extra["websocket_told"] = {
            "clients": clients,
            "events": answers,
            "p50_ms": round(stream_result["p50_ms"], 1),
        }
        print_message(f"websocket: {self.websocket}")

    def rates(self, part: str) -> dict[str, float | None]:
        """Return the median of each; None where no turn was taken, or all were void."""
        return {
            name: median([tally.per_s for tally in self.tallies[part].get(name, ())])
            for name in SUBJECTS
        }

    def figures(self) -> Figures:
        """Return the object that `--json` prints."""
        rates = {part: self.rates(part) for part in ("get", "post")}
        return {
            "get_per_s": rates["get"],
            "post_per_s": rates["post"],
            "million_ms": self.million_ms,
            "websocket": self.websocket,
            "ratios": _compare(rates),
            "p99_ms": {
                part: {
                    name: median([create_lead.p99_ms for create_lead in tallies], 2)
                    for name, tallies in self.tallies[part].items()
                }
                for part in rates
            },
            "alone_p50_ms": self.alone_ms,
            "server_cpu_us": {
                part: {name: median(values) for name, values in self.cpu_us[part].items()}
                for part in rates
            },
            "post_working_per_s": None if self.working is None else round(self.working.per_s, 1),
            "rounds": {
                part: {
                    name: [round(create_lead.per_s, 1) for create_lead in values]
                    for name, values in answers.items()
                }
                for part, answers in self.tallies.items()
            },
            **self.extra,
            "load": load.tool(),
            "skipped": self.skipped,
            "void": self.void,
        }


def _compare(rates: Mapping[str, Mapping[str, float | None]]) -> dict[str, float]:
    return ratios(
        {
            f"{part}_of_{peer}": (rates[part]["leadflood"], rates[part][peer])
            for part in rates
            for peer in ("bare", "fastify")
        }
    )


def print_tables(figures: Figures) -> None:
    """Print the figures as tables."""
    for part in ("get", "post"):
        print_table(f"{part} a second", figures[f"{part}_per_s"], format_rate)
        print_table(f"{part} alone, p50 ms", figures["alone_p50_ms"][part])
    print_table("ratios", figures["ratios"])
    print_table("a million leads, 20 users, ms", figures["million_ms"])
    print_table("listeners", figures["websocket"])


def parse() -> argparse.Namespace:
    parser = make_parser("benchmarks.api", __doc__, PARTS)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=10.0)
    parser.add_argument("--leads", type=int, default=1_000_000, help="how many the million are")
    parser.add_argument("--peers", choices=("all", "none"), default="all")
    return parse_options(parser, PARTS)


async def main(options: argparse.Namespace) -> int:
    async def measure(server: Server) -> Figures:
        sizes = sizes_for(options.seconds, options.leads)
        bench = Bench(server, sizes, options.only, options.rounds)
        await bench.run(with_peers=options.peers == "all")
        return bench.figures()

    return await run_benchmark(measure, print_tables, as_json=options.json)


if __name__ == "__main__":
    sys.exit(uvloop.run(main(parse())))
