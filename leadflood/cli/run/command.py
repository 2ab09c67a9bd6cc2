"""`leadflood run`: the pipeline on a CSV file of one's own; nothing is ever sent."""

import hashlib
import time
from collections.abc import Iterator
from contextlib import contextmanager
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Annotated
from uuid import UUID

import msgspec
import typer

from leadflood.app import Storage, is_configured, open_storage
from leadflood.cli.console import USAGE, money, print_json, run_async, say
from leadflood.cli.database_command import log_errors_only
from leadflood.cli.run.estimate import estimate, show_estimate
from leadflood.cli.run.input import Given, read_input, show_input, write_bad_rows
from leadflood.cli.run.output import Written, check_writable, write_output
from leadflood.cli.run.worker import work_on
from leadflood.domain.icp.service import content_hash
from leadflood.domain.leads.schemas import NewImport
from leadflood.domain.overview import store as overview
from leadflood.engine.db.filelock import FileLock
from leadflood.engine.errors import Conflict, Invalid
from leadflood.engine.queue import runs
from leadflood.engine.queue.runs import NewRun
from leadflood.providers import catalog
from leadflood.settings import Settings, load_settings

MICROS = 1_000_000
MOST_BUDGET = Decimal(1_000_000_000)


class Asked(msgspec.Struct, frozen=True):
    """What was asked for on the command line; `cap_micros` None is no cap."""

    icp: Path
    input: Path
    output: Path
    cap_micros: int | None
    as_json: bool
    began: float


class Report(msgspec.Struct, frozen=True, rename="camel"):
    """The end of a run, for scripts."""

    run_id: UUID
    output: str
    bad_output: str | None
    rows: int
    bad_rows: int
    leads: int
    scored: int
    high: int
    medium: int
    low: int
    failed: int
    unfinished: int
    spent_micros: int
    seconds: float
    handed_over: bool


def run(
    icp: Annotated[Path, typer.Option(help="The ICP: a TOML file.")],
    input_file: Annotated[Path, typer.Option("--input", help="People or companies: a CSV file.")],
    output: Annotated[Path, typer.Option(help="Where the scored CSV goes.")],
    budget: Annotated[
        str | None, typer.Option(help="The most this run may cost, such as 5.00.")
    ] = None,
    *,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Import nothing; say what it would cost at most.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="End with one JSON object.")] = False,
) -> None:
    """Enrich and score the leads of a CSV file. The same command goes on after a kill."""
    began = time.perf_counter()
    settings = load_settings()
    log_errors_only()
    cap = read_budget(budget) if budget is not None else settings.budget.run_micros
    asked = Asked(icp, input_file, output, cap, as_json, began)
    if not dry_run:
        check_writable(output, input_file)
    given = read_input(icp, input_file)
    show_input(input_file, given)
    raise typer.Exit(_try(settings, asked, given) if dry_run else _do(settings, asked, given))


def read_budget(text: str) -> int:
    """Read money as micro-units. Raises: Invalid."""
    try:
        amount = Decimal(text.strip().replace(",", "."))
    except InvalidOperation:
        amount = Decimal(-1)
    if not amount.is_finite() or not 0 <= amount <= MOST_BUDGET or amount * MICROS % 1:
        problem = "write an amount such as 5.00, at most six decimals, 0 for nothing paid"
        raise Invalid.field(
            "--budget",
            problem,
            detail=f"--budget: {text!r} is no amount of money: {problem}",
            code=USAGE,
        )
    return int(amount * MICROS)


def _try(settings: Settings, asked: Asked, given: Given) -> int:
    """Say what the run would cost at most, and do nothing."""
    priced = estimate(settings, len(given.read.rows), asked.cap_micros)
    show_estimate(settings, priced)
    if asked.as_json:
        print_json({"dryRun": priced, "input": given.summary()})
    return 0


def _do(settings: Settings, asked: Asked, given: Given) -> int:
    bad_path = write_bad_rows(asked.output, given)
    if not given.read.rows:
        raise Invalid(
            f"{asked.input}: no row can be used; the reasons are in {bad_path}",
            code="run.input.unusable",
        )
    key = key_of(settings, asked, given)
    with _only_one(settings.data_folder() / "runs", key):
        try:
            return run_async(lambda: _open(settings, asked, given, key, bad_path))
        except KeyboardInterrupt:
            say("stopped: the same command goes on where this one was")
            raise


async def _open(
    settings: Settings, asked: Asked, given: Given, key: str, bad_path: Path | None
) -> int:
    async with open_storage(settings, report=say) as storage:
        return await _run_in(storage, asked, given, key, bad_path)


def key_of(settings: Settings, asked: Asked, given: Given) -> str:
    """Name a run by all that decides what comes of it: the same command finds it again."""
    parts = [
        given.read.sha256.hex(),
        content_hash(given.icp).hex(),
        str(asked.cap_micros),
        str(settings.budget.lead_micros),
        ",".join(configured(settings)),
    ]
    return "run:" + hashlib.sha256("\n".join(parts).encode()).hexdigest()


def configured(settings: Settings) -> list[str]:
    """List the providers that have what they need."""
    return [
        name
        for name, entry in catalog.CATALOG.items()
        if is_configured(settings.providers[name], entry.spec.secrets)
    ]


@contextmanager
def _only_one(folder: Path, key: str) -> Iterator[None]:
    """Refuse the same run twice at once on this machine: both would write the same file."""
    folder.mkdir(parents=True, exist_ok=True)
    lock = FileLock(folder / f"{key.partition(':')[2][:32]}.lock")
    try:
        if not lock.try_alone():
            raise Conflict(
                "the same run is going on in another process: wait for it, or stop it and start"
                " again (it goes on where it was)",
                code="run.running",
            )
        yield
    finally:
        lock.close()


async def _run_in(
    storage: Storage, asked: Asked, given: Given, key: str, bad_path: Path | None
) -> int:
    icp = await storage.icps.record(given.icp)
    run_id = await _open_run(storage, asked, key)
    new = NewImport(run_id=run_id, icp_id=icp.id, name=asked.input.name)
    worked = await work_on(storage, new, given.read, asked.began)
    written = await write_output(storage, new, given.read, asked.output)
    await _end(storage, asked, given, written, new, bad_path, was_handed_over=worked)
    return 0 if written.unfinished == 0 else 1


async def _open_run(storage: Storage, asked: Asked, key: str) -> UUID:
    new = NewRun(
        id=storage.ids.new(), kind="csv", title=asked.input.name, sends="never",
        cap_micros=asked.cap_micros, lead_cap_micros=storage.settings.budget.lead_micros,
        key=key, is_loading=True,
    )  # fmt: skip
    run_id = await runs.create(storage.db, new, storage.clock.now())
    if run_id != new.id:
        found = await runs.get(storage.db, run_id)
        state = "it had ended: its results are written again"
        if found.state == "running":
            state = "going on where it stopped"
        say(f"run:     {run_id} was started before with this input, ICP and options; {state}")
    return run_id


async def _end(
    storage: Storage,
    asked: Asked,
    given: Given,
    written: Written,
    new: NewImport,
    bad_path: Path | None,
    *,
    was_handed_over: bool,
) -> None:
    funnel = await overview.count_funnel(storage.db, new.run_id)
    report = Report(
        run_id=new.run_id,
        output=str(asked.output),
        bad_output=str(bad_path) if bad_path is not None else None,
        rows=written.rows,
        bad_rows=len(given.read.bad),
        leads=written.leads,
        scored=written.scored,
        high=written.high,
        medium=written.medium,
        low=written.low,
        failed=written.failed,
        unfinished=written.unfinished,
        spent_micros=funnel.spent_micros,
        seconds=round(time.perf_counter() - asked.began, 3),
        handed_over=was_handed_over,
    )
    _say_end(report, storage.settings.budget.currency)
    if asked.as_json:
        print_json(report)


def _say_end(report: Report, currency: str) -> None:
    say(
        f"done:    {report.rows} rows, {report.leads} leads: {report.high} HIGH, "
        f"{report.medium} MEDIUM, {report.low} LOW, {report.failed} failed; "
        f"{money(report.spent_micros, 2)} {currency} in {report.seconds:.1f} s"
    )
    say(f"output:  {report.output}")
    if report.unfinished:
        say(f"         {report.unfinished} leads did not reach their end: run the command again")
