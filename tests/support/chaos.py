"""Chaos: one database, one pretend world, workers that are killed, and the final report.

The report is the same after every disaster: nothing lost, nothing sent twice, the ledger equal
to the invoices.
"""

import os
import signal
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import AsyncIterator, Iterable, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager, suppress
from decimal import Decimal
from itertools import islice
from pathlib import Path
from typing import Any, TypeVar
from uuid import UUID

import anyio
import msgspec
from leadflood.app import open_storage
from leadflood.contracts.normalization.mailboxes import contact_key
from leadflood.contracts.values import Channel
from leadflood.domain.discovery.schemas import NewDiscovery
from leadflood.domain.discovery.service import DiscoveryService
from leadflood.domain.icp.schemas import IcpInput, people_query
from leadflood.domain.leads.schemas.inputs import OptInEvidence
from leadflood.engine.clock import REAL_TIME
from leadflood.engine.db.sql import Query
from leadflood.engine.net.calls import Http
from leadflood.engine.net.client import open_client
from leadflood.engine.queue import runs
from leadflood.engine.queue.runs import NewRun
from leadflood.sandbox.faults import Fault, FaultInjector
from leadflood.sandbox.main import Announcement
from leadflood.wiring.storage import Storage

from tests.chaos.nursery import ChildOrder, ChildReport
from tests.chaos.worker import WorkerOrders, WorkerResult
from tests.support.leads import create_lead
from tests.support.pretend import (
    Plan,
    an_icp,
    doubtful_address,
    lead_of,
    left_alone,
    phone_of,
    population,
    reachable_by_phone_only,
    settings_for,
    sure_address,
    world_config,
)

T = TypeVar("T")
ROOT = Path(__file__).parents[2]
POLL_SECONDS = 0.01
AT_A_FAIR = OptInEvidence(wording="Write to me on WhatsApp", source="a fair")
PATIENCE_SECONDS = 60.0
NO_REASON = "unknown without a reason"

BACKENDS = Query(
    "backends",
    "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'leadflood'"
    " AND datname = current_database() AND state <> 'idle' AND pid <> pg_backend_pid()",
    (),
)
SENDING = Query("sending", "SELECT id FROM intent WHERE state = 'sending'", ())
INTENTS = Query(
    "intents",
    "SELECT id, state, channel, reference, to_address, code FROM intent"
    " WHERE run_id = ANY ($1::uuid[])",
    ("run_ids",),
)
UNFINISHED = Query(
    "unfinished",
    """
    WITH RECURSIVE found AS (
        SELECT run_id, lead_id FROM discovery_record
        WHERE run_id = ANY ($1::uuid[]) AND status = 'DISCOVERED'
        UNION SELECT run_id, subject FROM (
            SELECT run_id, lead_id AS subject FROM enrichment WHERE run_id = ANY ($1::uuid[])
        ) AS enriched
        UNION SELECT run_id, lead_id FROM unnest($2::uuid[], $3::uuid[]) AS made (run_id, lead_id)
    ), up AS (
        SELECT run_id, lead_id AS first_id, lead_id AS id FROM found
        UNION
        SELECT up.run_id, up.first_id, lead.merged_into FROM up
        JOIN lead ON lead.id = up.id WHERE lead.merged_into IS NOT NULL
    ), last AS (
        SELECT up.run_id, up.first_id, up.id FROM up
        JOIN lead ON lead.id = up.id WHERE lead.merged_into IS NULL
    )
    SELECT last.first_id, last.id, enrichment.state, score.band, message.state AS message,
        intent.state AS intent
    FROM last
    LEFT JOIN enrichment ON enrichment.run_id = last.run_id AND enrichment.lead_id = last.id
    LEFT JOIN score_prediction AS score
        ON score.run_id = last.run_id AND score.lead_id = last.id
    LEFT JOIN message ON message.run_id = last.run_id AND message.lead_id = last.id
    LEFT JOIN intent ON intent.message_id = message.id
    WHERE NOT coalesce(
        (enrichment.state = 'FAILED' AND enrichment.code IS NOT NULL)
        OR (enrichment.state = 'COMPLETED' AND (
            score.band IN ('LOW', 'MEDIUM')
            OR message.state IN (
                'waiting', 'needs_data', 'not_wanted', 'already_written', 'suppressed')
            OR intent.state IN ('accepted', 'refused', 'unknown', 'cancelled')
            OR intent.code = 'waits_for_money')),
        false)
    """,
    ("run_ids", "made_run_ids", "made_lead_ids"),
)
COUNTS = Query(
    "counts",
    """
    SELECT
        (SELECT count(*) FROM job WHERE run_id = ANY ($1::uuid[])) AS live_jobs,
        (SELECT count(DISTINCT lead_id) FROM enrichment WHERE run_id = ANY ($1::uuid[])) AS leads,
        (SELECT count(*) FROM score_prediction WHERE run_id = ANY ($1::uuid[])) AS scores,
        (SELECT count(*) FROM score_prediction WHERE run_id = ANY ($1::uuid[]) AND band = 'HIGH')
            AS high,
        (SELECT count(*) FROM enrichment WHERE run_id = ANY ($1::uuid[]) AND state = 'FAILED')
            AS failed,
        (SELECT count(*) FROM run WHERE id = ANY ($1::uuid[]) AND state <> 'completed')
            AS open_runs,
        (SELECT coalesce(sum(wanted_count), 0) FROM discovery_run WHERE id = ANY ($1::uuid[]))
            AS wanted
    """,
    ("run_ids",),
)
DUE = Query("due", "UPDATE job SET run_at = NULL, state = 0 WHERE state = 2", ())
FREE = Query("free", "UPDATE rate_limit SET state = ''", ())
DEAD = Query("dead", "SELECT stage, error_code, error, chain FROM dead_letter", ())
LINES = Query(
    "lines",
    "SELECT id, provider, operation, state, reserved_micros, settled_micros, outcome"
    " FROM provider_call",
    (),
)
CAPS = Query(
    "caps",
    """
    SELECT run.id, run.cap_micros, array_agg(line.id::text) AS lines
    FROM run JOIN provider_call AS line ON line.run_id = run.id
    WHERE run.id = ANY ($1::uuid[]) AND run.cap_micros IS NOT NULL
    GROUP BY run.id, run.cap_micros
    """,
    ("run_ids",),
)
BUDGETS = Query(
    "budgets",
    """
    SELECT run.id, budget.spent_micros, budget.reserved_micros,
        coalesce(sum(line.settled_micros) FILTER (WHERE line.state = 'settled'), 0)::bigint
            AS spent,
        coalesce(sum(line.reserved_micros)
            FILTER (WHERE line.state IN ('reserved', 'unresolved')), 0)::bigint AS reserved
    FROM run
    JOIN budget ON budget.scope = 'run:' || run.id::text
    LEFT JOIN provider_call AS line ON line.run_id = run.id
    WHERE run.id = ANY ($1::uuid[])
    GROUP BY run.id, budget.spent_micros, budget.reserved_micros
    """,
    ("run_ids",),
)


class OpenCall(msgspec.Struct, frozen=True):
    """A call that the world has received and not answered yet."""

    provider: str
    operation: str
    reference: str


class Invoice(msgspec.Struct, frozen=True):
    """A charge in the world's journal."""

    provider: str
    operation: str
    reference: str
    amount_micros: int
    credits: Decimal


class Counted(msgspec.Struct, frozen=True):
    """How often each fault came at each provider."""

    faults: dict[str, dict[str, int]]

    def count_doubts(self) -> int:
        """Count the faults after which nobody can know what became of a send."""
        harmless = {Fault.THROTTLED.value, Fault.THROTTLED_BARE.value, Fault.SLOW.value}
        return sum(
            count
            for provider in ("smtp", "trengo")
            for fault, count in self.faults.get(provider, {}).items()
            if fault not in harmless
        )


class DeliveredMessage(msgspec.Struct, frozen=True):
    """A message as the world counted it."""

    provider: str
    key: str
    recipient: str
    count: int
    references: tuple[str, ...]


class Child:
    """A process of the nursery."""

    def __init__(self, pid: int, out: Path, nursery: "Nursery") -> None:
        self.pid = pid
        self.out = out
        self._nursery = nursery

    @property
    def code(self) -> int | None:
        """Return its exit code; None while it lives."""
        return self._nursery.codes.get(self.pid)

    def said(self) -> str:
        """Read its output so far."""
        return self.out.read_text() if self.out.exists() else ""

    def log(self) -> str:
        """Read its log."""
        path = Path(f"{self.out}.log")
        return path.read_text(errors="replace") if path.exists() else ""

    async def hear(self, word: str, seconds: float = PATIENCE_SECONDS) -> str:
        """Wait until a line of its output starts with a word; return the line."""
        with anyio.fail_after(seconds):
            while True:
                is_over = self.code is not None
                for line in self.said().splitlines(keepends=True):
                    if line.startswith(word) and line.endswith("\n"):
                        return line.strip()
                if is_over:
                    raise AssertionError(f"ended with {self.code}:\n{self.log()[-6000:]}")
                await REAL_TIME.sleep(POLL_SECONDS)

    def kill(self, number: int = signal.SIGKILL) -> None:
        """Send it a signal."""
        os.kill(self.pid, number)

    async def wait(self, seconds: float = PATIENCE_SECONDS) -> int:
        """Wait until it has ended; return its exit code."""
        with anyio.fail_after(seconds):
            while self.code is None:
                await REAL_TIME.sleep(POLL_SECONDS)
        return self.code or 0


class Nursery:
    """Starts children; made by `open_nursery`. A thread records who has ended."""

    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        self._process = process
        self._born: list[int] = []
        self._count = 0
        self.codes: dict[int, int] = {}

    async def start(self, folder: Path, **path: Any) -> Child:
        """Start a worker or a world that writes into a folder."""
        self._count += 1
        out = folder / f"child-{self._count}"
        if self._process.stdin is None:
            raise RuntimeError("the nursery has no stdin")
        self._process.stdin.write(msgspec.json.encode(ChildOrder(out=str(out), **path)) + b"\n")
        self._process.stdin.flush()
        with anyio.fail_after(PATIENCE_SECONDS):
            while len(self._born) < self._count:
                await REAL_TIME.sleep(POLL_SECONDS)
        return Child(self._born[-1], out, self)

    def read_news(self) -> None:
        """Read reports of children until the nursery closes."""
        for line in self._process.stdout or ():
            news = msgspec.json.decode(line, type=ChildReport)
            if news.code is None:
                self._born.append(news.pid)
            else:
                self.codes[news.pid] = news.code


@contextmanager
def open_nursery() -> Iterator[Nursery]:
    """Run a nursery; its children end with it."""
    command = [sys.executable, "-m", "tests.chaos.nursery"]
    with subprocess.Popen(  # noqa: S603 - this interpreter and a module of ours
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=ROOT
    ) as process:
        nursery = Nursery(process)
        reader = threading.Thread(target=nursery.read_news, daemon=True)
        reader.start()
        try:
            yield nursery
        finally:
            if process.stdin is not None:
                process.stdin.close()
            process.wait(10)
            reader.join(10)


class ChaosField:
    """The place of a disaster: storage of our own (no node), a world, and workers."""

    def __init__(
        self, nursery: Nursery, storage: Storage, http: Http, world: Announcement, plan: Plan
    ) -> None:
        self.nursery = nursery
        self._folder = storage.settings.data_folder().parent
        self._children: list[Child] = []
        self.storage = storage
        self.world = world
        self.plan = plan
        self.run_ids: list[UUID] = []
        self.made: list[tuple[UUID, UUID]] = []
        self.may_be_unknown: set[UUID] = set()
        self._http = http
        self._used: Counter[str] = Counter()
        self._url = storage.database.url
        self.people = population(plan.people_count)

    async def worker(self, **over: Any) -> Child:
        """Start a worker on all runs so far."""
        orders = WorkerOrders(
            database_url=self._url,
            data=str(self.storage.settings.data_folder()),
            world=self.world,
            plan=self.plan,
            run_ids=tuple(self.run_ids),
        )
        orders = msgspec.structs.replace(orders, **over)
        child = await self.nursery.start(self._folder, worker=orders)
        self._children.append(child)
        return child

    def close(self) -> None:
        """Kill the children that still live; one may have ended before its code was read."""
        for child in self._children:
            if child.code is None:
                with suppress(ProcessLookupError):
                    child.kill()

    async def start_run(
        self,
        *,
        discovered: int = 0,
        phones: int = 0,
        doubtful: int = 0,
        sure: int = 0,
        claimed: int = 0,
        index: int = -1,
    ) -> UUID:
        """Start a run of new people: found by search, and typed in by hand."""
        strangers = [
            *self._next("phones", reachable_by_phone_only(self.people), phones),
            *self._next("doubtful", doubtful_address(self.people), doubtful),
            *self._next("sure", sure_address(self.people), sure),
            *self._next("claimed", left_alone(self.people), claimed),
        ]
        return await self._start(an_icp(index), discovered, strangers)

    async def _start(self, target: IcpInput, discovered: int, people: Sequence[Any]) -> UUID:
        storage = self.storage
        icp = await storage.icps.record(target)
        publisher = storage.producer()
        opt_ins = storage.messaging(publisher).opt_ins
        run_id = storage.ids.new()
        async with publisher.transaction() as publication:
            tx = publication.tx
            new = NewRun(
                id=run_id,
                kind="chaos",
                title=icp.name,
                sends="go",
                cap_micros=self.plan.cap_micros,
            )
            await runs.create(tx, new, storage.clock.now())
            events: list[Any] = []
            if discovered:
                discovery = DiscoveryService(storage.clock, ["apollo"])
                order = NewDiscovery(
                    run_id=run_id,
                    icp_id=icp.id,
                    provider="apollo",
                    query=people_query(target),
                    wanted_count=discovered,
                )
                events.append(await discovery.start(tx, order))
            for person in people:
                created = await create_lead(
                    tx, lead_of(self.people, person), icp.id, storage.ids, storage.clock
                )
                self.made.append((run_id, created.lead_id))
                events.append(created)
                if phone_of(person):
                    await opt_ins.record(
                        publication, created.lead_id, Channel.WHATSAPP, AT_A_FAIR, "test"
                    )
            await publication.publish(events, run_id=run_id)
        self.run_ids.append(run_id)
        return run_id

    def _next(self, kind: str, people: Iterable[T], count: int) -> list[T]:
        start = self._used[kind]
        self._used[kind] += count
        next_people = list(islice(people, start, start + count))
        assert len(next_people) == count, f"the world has no more people for {kind}"
        return next_people

    async def ask(self, path: str, target: type[T], method: str = "GET", body: Any = None) -> T:
        """Call the admin API of the world."""
        reply = await self._http.request(
            method,
            f"{self.world.addresses.admin.rstrip('/')}/{path}",
            body=None if body is None else msgspec.json.encode(body),
            headers={"content-type": "application/json"},
        )
        assert reply.status == 200, reply
        return msgspec.json.decode(reply.body, type=target, strict=False)

    async def set_faults(self, rates: dict[Fault, float], *providers: str) -> None:
        """Change the faults of the world, at some of its providers or at all."""
        injector = FaultInjector(rates=rates, providers=providers)
        await self.ask("faults", FaultInjector, "POST", injector)

    async def open_calls(self) -> list[OpenCall]:
        """Return the calls that the world has not answered yet."""
        return await self.ask("open", list[OpenCall])

    async def after_a_kill(self, *, is_alone: bool = True) -> int:
        """Record the sends that were under way at a kill; return how many.

        Waits for the server to end the killed statements. Where other workers live on, theirs
        are recorded too.
        """
        with anyio.move_on_after(PATIENCE_SECONDS if is_alone else 0.3):
            while await self.storage.db.fetch_value(BACKENDS):
                await REAL_TIME.sleep(POLL_SECONDS)
        rows = await self.storage.db.fetch(SENDING)
        self.may_be_unknown |= {row["id"] for row in rows}
        return len(rows)

    async def let_time_pass(self) -> None:
        """Let waiting times pass: postponed jobs are due, rate limits are free."""
        await self.storage.db.execute(DUE)
        await self.storage.db.execute(FREE)

    async def finish(self, seconds: float = PATIENCE_SECONDS, **over: Any) -> dict[str, int]:
        """Let a last worker do the rest; return the crash points it passed."""
        worker = await self.worker(**over)
        line = await worker.hear("ended", seconds)
        assert await worker.wait() == 0
        return msgspec.json.decode(line.removeprefix("ended "), type=WorkerResult).points


class ChaosReport(msgspec.Struct, frozen=True, kw_only=True):
    """The result of a disaster; `problems` is empty when all promises were kept."""

    leads: int
    scores: int
    high: int
    failed: int
    intents: dict[str, int]
    channels: dict[str, int]
    accepted_ratio: float
    arrived: int
    lines: dict[str, int]
    invoices: int
    may_be_unknown: int
    dead_letters: dict[str, int]
    problems: tuple[str, ...]


@asynccontextmanager
async def open_chaos_field(
    nursery: Nursery, database_url: str, folder: Path, plan: Plan | None = None
) -> AsyncIterator[ChaosField]:
    """Open a field on an empty database."""
    plan = plan or Plan()
    world_child = await nursery.start(folder, world=world_config(plan, folder / "world"))
    world = msgspec.json.decode(await world_child.hear("{"), type=Announcement)
    settings = settings_for(world, plan, folder / "data", database_url, 4)
    try:
        async with open_storage(settings) as storage, open_client() as http:
            await storage.master_secrets.prove()
            field = ChaosField(nursery, storage, http, world, plan)
            try:
                yield field
            finally:
                field.close()
    finally:
        if world_child.code is None:
            world_child.kill()


async def make_report(field: ChaosField) -> ChaosReport:
    """Compare our records with the world's, and list every broken promise."""
    db, run_ids = field.storage.db, field.run_ids
    counts = await db.fetch_one(COUNTS, run_ids=run_ids)
    assert counts is not None
    intents = await db.fetch(INTENTS, run_ids=run_ids)
    lines = await db.fetch(LINES)
    arrived = await field.ask("messages", list[DeliveredMessage])
    invoices = await field.ask("invoices", list[Invoice])
    doubts = (await field.ask("counters", Counted)).count_doubts()
    dead = await db.fetch(DEAD)
    unfinished = await db.fetch(
        UNFINISHED,
        run_ids=run_ids,
        made_run_ids=[run_id for run_id, _ in field.made],
        made_lead_ids=[lead_id for _, lead_id in field.made],
    )
    problems = [
        *[f"live jobs: {counts['live_jobs']}" for _ in range(counts["live_jobs"] > 0)],
        *[f"open runs: {counts['open_runs']}" for _ in range(counts["open_runs"] > 0)],
        *[f"not final: {dict(row.items())}" for row in unfinished],
        *_without_doubts(list(_wrong_sends(field, intents, arrived)), doubts),
        *_wrong_lines(lines, invoices),
        *_passed_caps(await db.fetch(CAPS, run_ids=run_ids), invoices),
        *[
            f"dead letter: {row['stage']} {row['error_code']}: {row['error']}"
            for row in dead
            if row["error_code"].startswith("engine.")
        ],
        *[
            f"budget of run {row['id']}: {dict(row.items())}"
            for row in await db.fetch(BUDGETS, run_ids=run_ids)
            if (row["spent_micros"], row["reserved_micros"]) != (row["spent"], row["reserved"])
        ],
    ]
    accepted = sum(row["state"] == "accepted" for row in intents)
    return ChaosReport(
        leads=counts["leads"],
        scores=counts["scores"],
        high=counts["high"],
        failed=counts["failed"],
        intents=dict(Counter(row["state"] for row in intents)),
        channels=dict(Counter(row["channel"] for row in intents)),
        accepted_ratio=accepted / len(intents) if intents else 1.0,
        arrived=sum(mail.count for mail in arrived),
        lines=dict(Counter(row["state"] for row in lines)),
        invoices=len(invoices),
        may_be_unknown=len(field.may_be_unknown),
        dead_letters=dict(Counter(row["error_code"] for row in dead)),
        problems=tuple(problems),
    )


def _without_doubts(problems: Sequence[str], doubts: int) -> Iterable[str]:
    """Leave out the sends in doubt where the world has caused as many doubts."""
    unknown = [line for line in problems if line.startswith(NO_REASON)]
    return problems if len(unknown) > doubts else [line for line in problems if line not in unknown]


def _passed_caps(rows: Sequence[Any], invoices: Sequence[Invoice]) -> Iterable[str]:
    """Yield the runs that were invoiced for more than their cap."""
    amounts = Counter[str]()
    for invoice in invoices:
        amounts[invoice.reference] += invoice.amount_micros
    for row in rows:
        if (sum_micros := sum(amounts[line] for line in row["lines"])) > row["cap_micros"]:
            yield f"run {row['id']} was invoiced {sum_micros} of {row['cap_micros']}"


def _wrong_sends(
    field: ChaosField, intents: Sequence[Any], arrived: Sequence[DeliveredMessage]
) -> Iterable[str]:
    """Yield sends that are doubled, lost, or unknown without a reason."""
    yield from (f"arrived {mail.count} times: {mail}" for mail in arrived if mail.count != 1)
    yield from (
        f"{count} first messages to {contact}"
        for contact, count in count_by_contact(arrived).items()
        if count > 1
    )
    keys = {mail.key for mail in arrived if mail.provider == "smtp"}
    phones = {_digits(mail.recipient) for mail in arrived if mail.provider == "trengo"}
    for row in intents:
        is_mail = row["channel"] == "email"
        has_arrived = row["reference"] in keys if is_mail else _digits(row["to_address"]) in phones
        if problem := _wrong_intent(field, row, is_mail=is_mail, has_arrived=has_arrived):
            yield f"{problem}: {dict(row.items())}"
    references = {row["reference"] for row in intents}
    yield from (f"sent without an intent: {key}" for key in keys - references)


def count_by_contact(arrived: Sequence[DeliveredMessage]) -> Counter[str]:
    """Count what arrived by mailbox, however it is spelled, and by phone."""
    counts = Counter[str]()
    for mail in arrived:
        channel = Channel.EMAIL if mail.provider == "smtp" else Channel.WHATSAPP
        counts[contact_key(channel, mail.recipient)] += mail.count
    return counts


def _wrong_intent(field: ChaosField, row: Any, *, is_mail: bool, has_arrived: bool) -> str:
    match "refused" if row["code"] == "waits_for_money" else row["state"]:
        case "accepted":
            return "" if has_arrived else "accepted, but never arrived"
        case "unknown" if row["id"] not in field.may_be_unknown:
            return NO_REASON
        case "unknown":
            return "" if is_mail else "Trengo would have answered"
        case "refused" | "cancelled":
            return "arrived, but not accepted" if has_arrived else ""
        case _:
            return "not final"


def _digits(text: str) -> str:
    return "".join(sign for sign in text if sign.isdecimal())


def _wrong_lines(lines: Sequence[Any], invoices: Sequence[Invoice]) -> Iterable[str]:
    """Compare line by line, both ways; what cost nothing is on no invoice."""
    charged = [invoice for invoice in invoices if invoice.amount_micros]
    billed = Counter(invoice.reference for invoice in charged)
    amounts = {invoice.reference: invoice.amount_micros for invoice in charged}
    by_id = {str(row["id"]): row for row in lines}
    for reference, count in billed.items():
        row = by_id.get(reference)
        if count != 1:
            yield f"invoiced {count} times: {reference}"
        if row is None or row["state"] not in {"settled", "unresolved"}:
            line = None if row is None else dict(row.items())
            invoice = next(charge for charge in charged if charge.reference == reference)
            yield f"invoiced, but not in the ledger: {invoice} {line}"
    for name, row in by_id.items():
        if row["state"] == "reserved":
            yield f"still reserved: {dict(row.items())}"
        if row["state"] == "unresolved" and row["reserved_micros"] < amounts.get(name, 0):
            yield f"reserved less than is invoiced ({amounts[name]}): {dict(row.items())}"
        if row["state"] == "settled" and row["settled_micros"] != amounts.get(name, 0):
            yield f"settled is not invoiced ({amounts.get(name, 0)}): {dict(row.items())}"
