"""`leadflood run`: the pipeline on a CSV file; nothing is ever sent."""

import hashlib
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Annotated
from uuid import UUID

import msgspec
import typer

from leadflood.app import open_storage
from leadflood.cli.console import USAGE_ERROR, print_json, print_message, run_async
from leadflood.cli.database_command import log_errors_only, warn_of_unpriced
from leadflood.cli.run.estimate import estimate, show_estimate
from leadflood.cli.run.input import RunInput, read_input, show_input, write_bad_rows
from leadflood.cli.run.output import check_writable, write_output
from leadflood.cli.run.report import RunSummary, print_report
from leadflood.cli.run.worker import work_until_done
from leadflood.contracts.values import SendsPolicy
from leadflood.domain.icp.service.icps import content_hash
from leadflood.domain.imports.schemas.column_fields import ColumnField
from leadflood.domain.imports.schemas.columns import ColumnChoice, NoOptIn, Subject
from leadflood.domain.imports.schemas.views import NewImport
from leadflood.domain.imports.service.command_imports import require_consent_read
from leadflood.domain.runs.schemas import RunLimits
from leadflood.domain.runs.service.reports import RunReports
from leadflood.engine.db.filelock import FileLock
from leadflood.engine.errors import Conflict, Invalid
from leadflood.providers import catalog
from leadflood.settings import PROVIDER_NAMES, Settings, load_settings
from leadflood.wiring.storage import Storage

MICROS = 1_000_000
MAX_BUDGET = Decimal(1_000_000_000)


class RunOptions(msgspec.Struct, frozen=True, kw_only=True):
    """The options of the command line; `cap_micros` None: no cap."""

    icp: Path
    input: Path
    output: Path
    cap_micros: int | None
    as_json: bool
    started_at: float
    choice: ColumnChoice
    sheet: str | None


class PreparedRun(msgspec.Struct, frozen=True):
    """A run whose input was read; `bad_path` None: every row can be used."""

    options: RunOptions
    run_input: RunInput
    key: str
    bad_path: Path | None


def run(
    icp: Annotated[Path, typer.Option(help="The ICP: a TOML file.")],
    input_file: Annotated[
        Path, typer.Option("--input", help="People or companies: CSV, XLSX or ODS.")
    ],
    output: Annotated[Path, typer.Option(help="Where the scored CSV goes.")],
    budget: Annotated[
        str | None, typer.Option(help="The most this run may cost, such as 5.00.")
    ] = None,
    *,
    columns: Annotated[
        list[str] | None,
        typer.Option("--column", help="What a column holds: Name=email, or Name= to leave it out."),
    ] = None,
    subject: Annotated[
        Subject | None, typer.Option(help="What the rows are, if it was guessed wrong.")
    ] = None,
    sheet: Annotated[
        str | None, typer.Option(help="The sheet of a workbook; else the first with a table.")
    ] = None,
    ignored_consent: Annotated[
        list[str] | None,
        typer.Option(
            "--ignore-consent-column",
            help="A column that speaks of consent, by its name, to be left unread all the same.",
        ),
    ] = None,
    no_opt_in: Annotated[
        NoOptIn | None,
        typer.Option(help="What a no to an opt-in says; else 0 and false: not_asked, No: refused."),
    ] = None,
    source: Annotated[
        str | None,
        typer.Option(help="The system that the file's ids are of; else what their header names."),
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Import nothing; show what it would cost at most.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="End with one JSON object.")] = False,
) -> None:
    """Enrich and score the leads of a CSV file. After a kill, the same command continues."""
    started_at = time.perf_counter()
    settings = load_settings()
    log_errors_only()
    cap = parse_budget(budget) if budget is not None else settings.budget.run_micros
    options = RunOptions(
        icp=icp,
        input=input_file,
        output=output,
        cap_micros=cap,
        as_json=as_json,
        started_at=started_at,
        choice=ColumnChoice(
            changes=parse_columns(columns or ()),
            subject=subject,
            ignored_consent=tuple(ignored_consent or ()),
            currency=settings.budget.currency,
            no_opt_in=no_opt_in,
            source=source,
        ),
        sheet=sheet,
    )
    if not dry_run:
        check_writable(output, input_file)
    run_input = read_input(icp, input_file, options.choice, sheet)
    show_input(input_file, run_input)
    start = _show_estimate if dry_run else _start
    raise typer.Exit(start(settings, options, run_input))


def parse_budget(text: str, option: str = "--budget") -> int:
    """Return an amount of money as micro-units. Raises: Invalid, naming the option."""
    try:
        amount = Decimal(text.strip().replace(",", "."))
    except InvalidOperation:
        amount = Decimal(-1)
    if not amount.is_finite() or not 0 <= amount <= MAX_BUDGET or amount * MICROS % 1:
        problem = "write an amount such as 5.00, at most six decimals, 0 for nothing paid"
        raise Invalid.field(
            option,
            problem,
            detail=f"{option}: {text!r} is no amount of money: {problem}",
            code=USAGE_ERROR,
        )
    return int(amount * MICROS)


def parse_columns(texts: Sequence[str]) -> dict[str, ColumnField | None]:
    """Return the fields of columns, each written `Name=field`. Raises: Invalid."""
    columns: dict[str, ColumnField | None] = {}
    for text in texts:
        name, separator, field = text.rpartition("=")
        if not separator or field not in {"", *ColumnField}:
            problem = f"write Name=field, with a field of {', '.join(ColumnField)}"
            raise Invalid.field(
                "--column", problem, detail=f"--column: {text!r}: {problem}", code=USAGE_ERROR
            )
        columns[name] = ColumnField(field) if field else None
    return columns


def _show_estimate(settings: Settings, options: RunOptions, run_input: RunInput) -> int:
    """Show what the run would cost at most, and do nothing."""
    estimated = estimate(settings, len(run_input.csv.rows), options.cap_micros)
    show_estimate(settings, estimated)
    if options.as_json:
        print_json({"dryRun": estimated, "input": run_input.summary()})
    return 0


def _start(settings: Settings, options: RunOptions, run_input: RunInput) -> int:
    require_consent_read(run_input.csv)
    bad_path = write_bad_rows(options.output, run_input)
    if not run_input.csv.rows:
        reasons = (
            f"no row can be used; the reasons are in {bad_path}; `--column NAME=FIELD` says what a"
            " column holds"
            if bad_path
            else "there are no rows below the header line: add one for each lead"
        )
        raise Invalid(f"{options.input}: {reasons}", code="run.input.unusable")
    key = run_key(settings, options, run_input)
    prepared = PreparedRun(options, run_input, key, bad_path)
    with _exclusive_run(settings.data_folder() / "runs", key):
        try:
            return run_async(lambda: _run(settings, prepared))
        except KeyboardInterrupt:
            print_message("stopped: the same command continues where this one stopped")
            raise


def run_key(settings: Settings, options: RunOptions, run_input: RunInput) -> str:
    """Return a key of all that decides the result: the same command finds its run again."""
    parts = [
        run_input.csv.sha256.hex(),
        content_hash(run_input.icp).hex(),
        str(options.cap_micros),
        str(settings.budget.lead_micros),
        msgspec.json.encode(options.choice).decode(),
        run_input.csv.sheet or "",
        ",".join(
            name for name in PROVIDER_NAMES if catalog.is_configured(name, settings.providers)
        ),
    ]
    return "run:" + hashlib.sha256("\n".join(parts).encode()).hexdigest()


@contextmanager
def _exclusive_run(folder: Path, key: str) -> Iterator[None]:
    """Refuse the same run twice at once on this machine: both would write the same file."""
    folder.mkdir(parents=True, exist_ok=True)
    lock = FileLock(folder / f"{key.partition(':')[2][:32]}.lock")
    if not lock.try_alone() or not lock.is_in_place():
        lock.close()
        raise Conflict(
            "the same run is active in another process: wait for it, or stop it and start"
            " again (it continues where it stopped)",
            code="run.running",
        )
    try:
        yield
    finally:
        lock.remove()


async def _run(settings: Settings, prepared: PreparedRun) -> int:
    """Run the pipeline and write the output; return the exit code."""
    options, csv = prepared.options, prepared.run_input.csv
    warn_of_unpriced(settings)
    async with open_storage(settings, report=print_message) as storage:
        icp = await storage.icps.record(prepared.run_input.icp)
        run_id = await _open_run(storage, options, prepared.key)
        new = NewImport(run_id=run_id, icp_id=icp.id, name=options.input.name)
        was_handed_over = await work_until_done(storage, new, csv, options.started_at)
        counts = await write_output(storage, new, csv, options.output)
        funnel = await RunReports(storage.db).count_funnel(run_id)
    report = RunSummary(
        run_id=run_id,
        output=str(options.output),
        bad_output=None if prepared.bad_path is None else str(prepared.bad_path),
        bad_rows=len(csv.bad),
        spent_micros=funnel.spent_micros,
        seconds=round(time.perf_counter() - options.started_at, 3),
        handed_over=was_handed_over,
        **msgspec.structs.asdict(counts),
    )
    print_report(report, settings.budget.currency)
    if options.as_json:
        print_json(report)
    return 0 if counts.unfinished == 0 else 1


async def _open_run(storage: Storage, options: RunOptions, key: str) -> UUID:
    """Open the run, or find the one that the same command opened before."""
    limits = RunLimits(
        sends=SendsPolicy.NEVER,
        cap_micros=options.cap_micros,
        lead_cap_micros=storage.settings.budget.lead_micros,
        has_default_caps=False,
    )
    run_id, is_new = await storage.runs.resume_or_open_run(
        storage.db, "csv", limits, title=options.input.name, key=key, is_loading=True
    )
    if not is_new:
        run = await storage.runs.get(run_id)
        is_running = run.state == "running"
        state = "continuing" if is_running else "it had ended: its results are written again"
        print_message(
            f"run:     {run_id} was started before with this input, ICP and options; {state}"
        )
    return run_id
