"""`leadflood demo`: the whole product on a pretend world, in one command, with no key."""

import shutil
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated
from uuid import UUID

import anyio
import msgspec
import typer

from leadflood.app import Node, open_node, open_storage, serve_node
from leadflood.cli.claim import show_claim_link
from leadflood.cli.console import print_json, print_message, run_async
from leadflood.cli.database_command import log_errors_only
from leadflood.cli.demo.outcome import DemoOutcome, compare, fetch_records
from leadflood.cli.demo.progress import watch_run
from leadflood.cli.demo.report import print_report
from leadflood.cli.demo.world import WorldOptions, running_world, world_settings
from leadflood.contracts.values import SendsPolicy
from leadflood.domain.discovery.schemas import NewDiscovery
from leadflood.domain.icp.schemas import Autopilot, Bands, Icp, IcpInput, Target, people_query
from leadflood.domain.runs.schemas import RunLimits
from leadflood.engine.clock import REAL_TIME
from leadflood.engine.db.filelock import FileLock
from leadflood.engine.errors import Conflict
from leadflood.engine.queue.publisher import Publication
from leadflood.sandbox.faults import FaultProfile
from leadflood.sandbox.main import Announcement
from leadflood.settings import load_settings
from leadflood.wiring.storage import Storage

DEFAULT_LEADS = 200
HIGH_LEADS_EXPECTED = range(20, 81)
MIN_SENDS = 20
MIN_CHARGED_ENRICHERS = 2
ICP = IcpInput(
    name="Operations leaders who buy on SAP",
    offer="We cut the time from purchase request to order by half, on top of the ERP you have.",
    autopilot=Autopilot.HIGH,
    target=Target(
        titles=(
            "COO",
            "VP Operations",
            "Operations Director",
            "Head of Operations",
            "Head of Procurement",
            "Procurement Director",
        ),
        industries=("robotics", "logistics", "manufacturing", "textiles", "food"),
        countries=("DE", "NL", "GB", "US", "SE"),
        company_size_min=50,
        company_size_max=1000,
        technologies=("SAP", "Salesforce", "Shopify"),
    ),
    bands=Bands(),
)


class DemoOptions(msgspec.Struct, frozen=True, kw_only=True):
    """The options of the command line; `started_at` by the performance counter."""

    leads: int
    world: WorldOptions
    as_json: bool
    serve: bool
    keep: bool
    started_at: float


def demo(
    leads: Annotated[int, typer.Option(min=1, help="How many leads to find.")] = DEFAULT_LEADS,
    seed: Annotated[int, typer.Option(help="The seed of the pretend world.")] = 7,
    faults: Annotated[FaultProfile, typer.Option(help="What goes wrong.")] = FaultProfile.NONE,
    *,
    as_json: Annotated[bool, typer.Option("--json", help="End with one JSON object.")] = False,
    serve: Annotated[
        bool | None,
        typer.Option("--serve/--no-serve", help="Keep serving; default: if on a terminal."),
    ] = None,
    keep: Annotated[bool, typer.Option(help="Continue where the last demo stopped.")] = False,
) -> None:
    """Find, enrich, score, write to and send to leads of a pretend world."""
    options = DemoOptions(
        leads=leads,
        world=WorldOptions(seed=seed, faults=faults.value),
        as_json=as_json,
        serve=serve if serve is not None else sys.stdout.isatty(),
        keep=keep,
        started_at=time.perf_counter(),
    )
    log_errors_only()
    folder = load_settings().data_folder() / "demo"
    with _exclusive_demo(folder):
        code = run_async(lambda: _run_demo(folder, options))
    raise typer.Exit(code)


@contextmanager
def _exclusive_demo(folder: Path) -> Iterator[None]:
    """Hold the demo's folder: two demos at once would empty each other's."""
    folder.mkdir(parents=True, exist_ok=True)
    lock = FileLock(folder / "demo.lock")
    try:
        if not lock.try_alone():
            raise Conflict(
                f"another demo is running in {folder}: stop it, or set LEADFLOOD_DATA",
                code="demo.running",
            )
        yield
    finally:
        lock.close()


async def _run_demo(folder: Path, options: DemoOptions) -> int:
    world_folder = folder / "world"
    if not options.keep:  # the server, which may still run, empties its database itself
        await anyio.to_thread.run_sync(lambda: shutil.rmtree(world_folder, ignore_errors=True))
    print_message(f"demo: a pretend world, no key, nothing leaves this machine (folder {folder})")
    async with running_world(world_folder, options.world) as world:
        plan = options.world.plan
        print_message(f"demo: its providers sell plans {plan} times the documented paid limits")
        settings = world_settings(folder, world, options.leads)
        async with (
            open_storage(settings, report=print_message, begin_empty=not options.keep) as storage,
            open_node(storage, seed=options.world.seed) as node,
        ):
            outcome = await _work(node, storage, world, options)
            code = _finish(outcome, options)
            if options.serve:
                await _keep_serving(node, storage)
            return code


async def _work(
    node: Node, storage: Storage, world: Announcement, options: DemoOptions
) -> DemoOutcome:
    """Run the pipeline to its end and print the report."""
    if options.keep:  # an hour after the last demo the guard holds sending, also here
        async with node.publisher.transaction() as publication:
            await node.messaging.sending.release(publication.tx, "demo", "a pretend world")
    run_id = await _start_run(node, storage, options)
    times = await watch_run(node, run_id, options.leads, options.started_at)
    world_records = await fetch_records(node.http, world.addresses.admin)
    outcome = await compare(storage, run_id, times, world_records)
    await print_report(node, storage, run_id, outcome)
    return outcome


async def _start_run(node: Node, storage: Storage, options: DemoOptions) -> UUID:
    """Start the run, or find the one that `--keep` continues."""
    icp = await storage.icps.record(ICP)
    limits = RunLimits(
        sends=SendsPolicy.GO,
        cap_micros=storage.settings.budget.run_micros,
        has_default_caps=False,
    )
    key = f"demo:{options.world.seed}:{options.leads}"
    async with node.publisher.transaction() as publication:
        run_id, is_new = await storage.runs.resume_or_open_run(
            publication.tx, "demo", limits, title=icp.name, key=key
        )
        if is_new:
            await _start_discovery(node, publication, icp, run_id, options.leads)
    return run_id


async def _start_discovery(
    node: Node, publication: Publication, icp: Icp, run_id: UUID, lead_count: int
) -> None:
    discovery = NewDiscovery(
        run_id=run_id,
        icp_id=icp.id,
        provider=node.services.discovery.sources[0],
        query=people_query(icp),
        wanted_count=lead_count,
    )
    page = await node.services.discovery.start(publication.tx, discovery)
    await publication.publish([page], run_id=run_id)


def _finish(outcome: DemoOutcome, options: DemoOptions) -> int:
    """Print what is wrong, and the JSON if requested; return the exit code."""
    problems = list_problems(outcome, options)
    if options.keep and outcome.sends.unknown:
        print_message(
            f"demo: {outcome.sends.unknown} messages were on their way when the demo was killed:"
            " nobody knows whether they arrived, so they are never sent again by themselves (in an"
            " installation of yours, `leadflood sending unknown list` shows them to a person)"
        )
    for problem in problems:
        print_message(f"demo: NOT as it should be: {problem}")
    if options.as_json:
        print_json(outcome.as_json())
    return 1 if problems else 0


def list_problems(outcome: DemoOutcome, options: DemoOptions) -> list[str]:
    """Return what a demo of this size must show and does not."""
    is_faultless = options.world.faults == "none"
    sends = outcome.sends
    problems = []
    in_doubt = sends.unknown if options.keep else 0  # of the demo that was killed before
    if sends.accepted + in_doubt != sends.intended and is_faultless:
        problems.append(f"{sends.accepted} of {sends.intended} sends accepted")
    if sends.duplicates:
        problems.append(f"{sends.duplicates} messages arrived twice")
    if outcome.mismatches:
        problems.append(f"{len(outcome.mismatches)} ledger lines differ from the invoices")
    if options.leads == DEFAULT_LEADS and is_faultless:
        problems += _list_broken_promises(outcome)
    return problems


def _list_broken_promises(outcome: DemoOutcome) -> list[str]:
    """Return what README promises of the plain demo and this one does not show."""
    problems = []
    if outcome.leads.high not in HIGH_LEADS_EXPECTED:
        problems.append(f"{outcome.leads.high} leads are HIGH, expected 20 to 80")
    if outcome.sends.intended < MIN_SENDS:
        problems.append(f"only {outcome.sends.intended} sends were intended")
    if outcome.charged_enrichers < MIN_CHARGED_ENRICHERS or outcome.invoiced_micros == 0:
        problems.append("fewer than two enrichment providers were charged")
    return problems


async def _keep_serving(node: Node, storage: Storage) -> None:
    async def announce(address: str) -> None:
        print_message(f"demo: serving on {address} until Ctrl-C (docs: {address}/docs)")
        await show_claim_link(storage, address)

    with anyio.CancelScope():
        await serve_node(node, announce)
    await REAL_TIME.sleep(0)
