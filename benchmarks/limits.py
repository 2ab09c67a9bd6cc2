"""How fully a provider's limit is used, and whether it is ever passed.

    python -m benchmarks.limits [--json] [--seconds 120] [--windows 5] [--only fixed,bucket]

Two worker processes share one Postgres and call one server, which counts by the rule and answers
429 beyond it. Each rule is met twice: known from SPEC (no headers told), and from headers only.
In the middle of each measurement one worker is killed (SIGKILL) and started again.

`used_ratio` = accepted ÷ what an oracle that knows the rule would have had accepted of the same
load: 5 whole windows of the fixed one, 120 s of the others. `throttled` counts the 429s, for
headers those after the first answer.
"""

import argparse
import json
import random
import signal
import subprocess
import sys
import tempfile
from collections import deque
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from uuid import UUID

import anyio
import msgspec
from aiohttp import web
from leadflood.engine.clock import SystemClock
from leadflood.engine.db import migrations
from leadflood.engine.db.embedded import embedded_postgres
from leadflood.engine.db.pool import Settings as DatabaseSettings, open_database
from leadflood.engine.errors import LeadfloodError, Throttled
from leadflood.engine.ids import Ids
from leadflood.engine.ledger.rate_limits import PostgresAllowance
from leadflood.engine.ledger.repository import PostgresLedger
from leadflood.engine.net.calls import Call, HttpReply, LimitHint, Reply, Window, WindowKind
from leadflood.engine.net.client import HttpClient, open_client
from leadflood.engine.net.gateway import GatewayParts, ProviderGateway
from leadflood.engine.net.limiter import Limiter
from leadflood.engine.net.providers import Provider
from leadflood.engine.queue import repository as queue_store

from benchmarks.report import make_parser, parse_options

RULES = {
    "fixed": Window(600, 60, WindowKind.FIXED),
    "sliding": Window(100, 10, WindowKind.SLIDING),
    "bucket": Window(10, 1, WindowKind.BUCKET, capacity=5),
}
LIMIT_SOURCES = ("spec", "headers")
OFFERED = 3.0
WORKERS = 2
MOST_ANSWER_SECONDS = 0.04
STALE_SECONDS = 5.0
CLOCK = SystemClock()


class FixedRule:
    """Windows that begin at a phase nobody is told."""

    def __init__(self, window: Window) -> None:
        self.window = window
        self.phase = random.uniform(0, window.seconds)  # noqa: S311 - a phase, not a secret
        self._index = -1
        self._used = 0

    def take(self, now: float) -> tuple[bool, int, float]:
        index = int((now - self.phase) // self.window.seconds)
        if index != self._index:
            self._index, self._used = index, 0
        is_accepted = self._used < self.window.calls
        self._used += is_accepted
        ends_at = self.phase + (index + 1) * self.window.seconds
        return is_accepted, self.window.calls - self._used, ends_at - now

    def oracle(self, seconds: float) -> float:
        return self.window.calls * round(seconds / self.window.seconds)


class SlidingRule:
    """No span of the window's length holds more."""

    def __init__(self, window: Window) -> None:
        self.window = window
        self._accepted: deque[float] = deque()

    def take(self, now: float) -> tuple[bool, int, float]:
        accepted = self._accepted
        while accepted and accepted[0] <= now - self.window.seconds:
            accepted.popleft()
        is_accepted = len(accepted) < self.window.calls
        if is_accepted:
            accepted.append(now)
        return (
            is_accepted,
            self.window.calls - len(accepted),
            accepted[0] + self.window.seconds - now,
        )

    def oracle(self, seconds: float) -> float:
        """Count what a greedy caller at the offered load gets accepted."""
        full_windows, rest = divmod(seconds, self.window.seconds)
        offered = OFFERED * self.window.calls / self.window.seconds
        return full_windows * self.window.calls + min(self.window.calls, rest * offered)


class BucketRule:
    """Tokens come up evenly, to a capacity."""

    def __init__(self, window: Window) -> None:
        self.window = window
        self._capacity = window.capacity or window.calls
        self._tokens = float(self._capacity)
        self._at = 0.0

    def take(self, now: float) -> tuple[bool, int, float]:
        rate = self.window.calls / self.window.seconds
        self._tokens = min(self._capacity, self._tokens + (now - self._at) * rate)
        self._at = now
        is_accepted = self._tokens >= 1
        self._tokens -= is_accepted
        return is_accepted, int(self._tokens), (self._capacity - self._tokens) / rate

    def oracle(self, seconds: float) -> float:
        return self._capacity + seconds * self.window.calls / self.window.seconds


Rule = FixedRule | SlidingRule | BucketRule
RULE_TYPES: dict[str, Callable[[Window], Rule]] = {
    "fixed": FixedRule,
    "sliding": SlidingRule,
    "bucket": BucketRule,
}


class Scenario:
    """One rule under one kind of knowledge: what the server saw."""

    def __init__(self, window_name: str, known_from: str, seconds: float) -> None:
        self.rule = RULE_TYPES[window_name](RULES[window_name])
        self.known_from = known_from
        self.seconds = seconds
        self.begins_at = 0.0
        self.accepted = 0
        self.throttled = 0
        self.first_answered_at: float | None = None
        self.refused_at: list[float] = []

    def take(self, now: float) -> tuple[bool, int, float]:
        self._begin(now)
        is_accepted, remaining, resets_seconds = self.rule.take(now)
        if not is_accepted and (self.known_from == "spec" or self.first_answered_at is not None):
            self.throttled += 1
            self.refused_at.append(round(now - self.begins_at, 2))
        self.accepted += is_accepted and self.begins_at <= now < self.ends_at
        return is_accepted, remaining, resets_seconds

    def _begin(self, now: float) -> None:
        if self.begins_at:
            return
        self.begins_at = now
        if isinstance(self.rule, FixedRule):  # whole windows only: the next one is the first
            past = (now - self.rule.phase) % self.rule.window.seconds
            self.begins_at = now + self.rule.window.seconds - past

    @property
    def ends_at(self) -> float:
        return self.begins_at + self.seconds

    @property
    def used_ratio(self) -> float:
        return self.accepted / self.rule.oracle(self.seconds)


class WorkerJob(msgspec.Struct):
    """What a worker process is told."""

    database_url: str
    base_url: str
    scenarios: list[tuple[str, str]]


@asynccontextmanager
async def serving(scenarios: dict[str, Scenario]) -> AsyncIterator[str]:
    """Serve every scenario under its name."""

    async def answer(request: web.Request) -> web.Response:
        scenario = scenarios[request.match_info["name"]]
        is_accepted, remaining, resets_seconds = scenario.take(CLOCK.monotonic())
        await CLOCK.sleep(random.uniform(0, MOST_ANSWER_SECONDS))  # noqa: S311 - a delay
        headers = {}
        if scenario.known_from == "headers":
            window = scenario.rule.window
            headers = {
                "x-ratelimit-limit": str(window.calls),
                "x-ratelimit-window": str(window.seconds),
                "x-ratelimit-remaining": str(remaining),
                "x-ratelimit-reset": f"{resets_seconds:.3f}",
            }
        if not is_accepted:
            headers["retry-after"] = f"{resets_seconds:.3f}"
        if scenario.first_answered_at is None:
            scenario.first_answered_at = CLOCK.monotonic()
        return web.Response(status=200 if is_accepted else 429, headers=headers, body=b"{}")

    app = web.Application()
    app.router.add_get("/{name}", answer)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    try:
        yield f"http://127.0.0.1:{runner.addresses[0][1]}"
    finally:
        await runner.cleanup()


async def work(job: WorkerJob) -> None:
    """Run one worker process: offer its part of the load to every scenario."""
    settings = DatabaseSettings(url=job.database_url)
    async with open_database(settings) as db, open_client() as client:
        node = await db.fetch_one(
            queue_store.SQL.insert_node, name="limits", lock_path=None, now=CLOCK.now()
        )
        if node is None:
            raise RuntimeError("no node row")
        node_id = node["id"]
        limits = {
            f"{name}-{source}": Provider({"default": (RULES[name],)} if source == "spec" else {})
            for name, source in job.scenarios
        }
        gate = ProviderGateway(
            GatewayParts(
                db=db,
                ledger=PostgresLedger(),
                limiter=Limiter(PostgresAllowance(db, CLOCK), CLOCK),
                clock=CLOCK,
                ids=Ids(CLOCK),
                node_id=lambda: node_id,
                providers=limits,
            )
        )
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(gate.run)
            for name, source in job.scenarios:
                tasks.start_soon(offer, gate, client, f"{job.base_url}/{name}-{source}", name)


async def offer(gate: ProviderGateway, client: HttpClient, url: str, name: str) -> None:
    """Offer calls at three times the limit, divided by the workers; what waits is bounded."""
    window = RULES[name]
    gap_seconds = window.seconds / window.calls / OFFERED * WORKERS
    backlog = anyio.Semaphore(0)
    async with anyio.create_task_group() as tasks:
        for _ in range(48):
            tasks.start_soon(call_for_ever, gate, client, url, backlog)
        at = CLOCK.monotonic()
        while True:
            at += gap_seconds
            await CLOCK.sleep(max(0.0, at - CLOCK.monotonic()))
            backlog.release()


async def call_for_ever(
    gate: ProviderGateway, client: HttpClient, url: str, backlog: anyio.Semaphore
) -> None:
    """Take a job, try it until it is answered, as a stage does with snoozes."""
    provider = url.rpartition("/")[2]

    async def send(reference: UUID) -> Reply:
        reply = await client.request("GET", url, headers={"x-reference": str(reference)})
        if reply.status == 429:  # noqa: PLR2004 - HTTP
            error = Throttled("429", float(reply.headers["retry-after"]))
            error.hints = hints_of(reply)  # type: ignore[attr-defined]
            raise error
        return Reply(body=reply.body, hints=hints_of(reply))

    while True:
        await backlog.acquire()
        question = random.randbytes(16)  # noqa: S311 - only has to differ
        call = Call(provider=provider, operation="ask", question=question, limit="default")
        while True:
            try:
                await gate.call(call, send)
            except Throttled as error:
                await CLOCK.sleep(error.retry_after_seconds)
            except LeadfloodError as error:
                print(provider, repr(error), file=sys.stderr)
                await CLOCK.sleep(0.2)
            else:
                break


def hints_of(reply: HttpReply) -> tuple[LimitHint, ...]:
    headers = reply.headers
    if "x-ratelimit-limit" not in headers:
        return ()
    return (
        LimitHint(
            float(headers["x-ratelimit-window"]),
            int(headers["x-ratelimit-limit"]),
            int(headers["x-ratelimit-remaining"]),
            float(headers["x-ratelimit-reset"]),
        ),
    )


class WorkerPool:
    """The worker processes; `kill_one` kills and starts again."""

    def __init__(self, job: WorkerJob) -> None:
        self._job_json = msgspec.json.encode(job).decode()
        self._workers = [self._start() for _ in range(WORKERS)]
        self._turn = 0

    async def kill_one(self) -> None:
        turn = self._turn % WORKERS
        self._workers[turn].send_signal(signal.SIGKILL)
        await anyio.to_thread.run_sync(self._workers[turn].wait)
        self._workers[turn] = self._start()
        self._turn += 1

    def stop(self) -> None:
        for worker in self._workers:
            worker.kill()
            worker.wait()

    def _start(self) -> "subprocess.Popen[bytes]":
        return subprocess.Popen(  # noqa: S603 - ourselves
            [sys.executable, "-m", "benchmarks.limits", "--worker", self._job_json]
        )


async def measure(
    scenarios: dict[str, Scenario], names: list[tuple[str, str]], folder: Path
) -> None:
    """Run all scenarios side by side until each has had its time."""
    async with embedded_postgres(folder / "data", CLOCK) as server:
        await migrations.upgrade(DatabaseSettings(url=server.url))
        async with serving(scenarios) as base_url:
            crew = WorkerPool(WorkerJob(server.url, base_url, names))
            try:
                await watch(scenarios, crew)
            finally:
                await anyio.to_thread.run_sync(crew.stop)


async def watch(scenarios: dict[str, Scenario], crew: WorkerPool) -> None:
    """Kill one worker in the middle of each measurement; return when all have ended."""
    due = dict(scenarios)
    killed_at = 0.0
    while not all(s.begins_at and CLOCK.monotonic() > s.ends_at for s in scenarios.values()):
        await CLOCK.sleep(0.2)
        now = CLOCK.monotonic()
        middle = [
            name for name, s in due.items() if s.begins_at and now > s.begins_at + s.seconds / 2
        ]
        for name in middle:
            del due[name]
        if middle and now - killed_at > STALE_SECONDS:
            killed_at = now
            await crew.kill_one()


def main() -> None:
    parser = make_parser("benchmarks.limits", __doc__, tuple(RULES))
    parser.add_argument("--seconds", type=float, default=120.0, help="for sliding and bucket")
    parser.add_argument("--windows", type=int, default=5, help="of the fixed rule")
    parser.add_argument("--worker", help=argparse.SUPPRESS)
    options = parse_options(parser, tuple(RULES))
    if options.worker:
        anyio.run(
            work,
            msgspec.json.decode(options.worker, type=WorkerJob),
            backend_options={"use_uvloop": True},
        )
        return
    names = [(name, source) for name in RULES if name in options.only for source in LIMIT_SOURCES]
    scenarios = {
        f"{name}-{source}": Scenario(
            name,
            source,
            options.windows * RULES[name].seconds if name == "fixed" else options.seconds,
        )
        for name, source in names
    }
    with tempfile.TemporaryDirectory(prefix="leadflood-limits-") as folder:
        Path(folder).chmod(0o711)  # the server's own user must get in
        results = (scenarios, names, Path(folder))
        anyio.run(measure, *results, backend_options={"use_uvloop": True})
    report(scenarios, names, as_json=options.json)


def report(scenarios: dict[str, Scenario], names: list[tuple[str, str]], *, as_json: bool) -> None:
    results: dict[str, dict[str, dict[str, float]]] = {}
    print(f"{'window':10}{'known from':12}{'accepted':>9}{'used':>8}{'429':>5}", file=sys.stderr)
    for name, source in names:
        scenario = scenarios[f"{name}-{source}"]
        results.setdefault(name, {})[source] = {
            "used_ratio": round(scenario.used_ratio, 4),
            "throttled": scenario.throttled,
        }
        print(
            f"{name:10}{source:12}{scenario.accepted:9}{scenario.used_ratio:8.4f}"
            f"{scenario.throttled:5} {scenario.refused_at[:5] or ''}",
            file=sys.stderr,
        )
    if as_json:
        print(json.dumps(results))


if __name__ == "__main__":
    main()
