"""`leadflood demo`: the whole product on a pretend world, on one command, with no key."""

import shutil
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Annotated, Any
from uuid import UUID

import anyio
import msgspec
import typer

from leadflood.app import Node, Storage, open_node, open_storage
from leadflood.cli.claim import show_claim_link
from leadflood.cli.console import print_json, run_async, say
from leadflood.cli.demo.report import Outcome, compare, report
from leadflood.cli.run.progress import watch_run
from leadflood.cli.sandbox import World, child_environment, read_announcement, world_command
from leadflood.domain.discovery.schemas import NewDiscovery
from leadflood.domain.icp.schemas import Autopilot, Bands, IcpInput, Target, query_of
from leadflood.engine.clock import REAL_TIME
from leadflood.engine.db.filelock import FileLock
from leadflood.engine.errors import Conflict
from leadflood.engine.net.calls import Window
from leadflood.engine.obs import log as logs
from leadflood.engine.queue import runs
from leadflood.engine.queue.runs import NewRun
from leadflood.providers import catalog
from leadflood.sandbox.connections import connections
from leadflood.sandbox.faults import FaultProfile
from leadflood.sandbox.prices import Prices
from leadflood.settings import Settings, convert, load_settings

PLAN = 10
ICP = IcpInput(
    name="Operations leaders who buy on SAP",
    offer="We cut the time from purchase request to order by half, on top of the ERP you have.",
    autopilot=Autopilot.HIGH,
    target=Target(
        titles=("COO", "VP Operations", "Operations Director", "Head of Operations",
                "Head of Procurement", "Procurement Director"),
        industries=("robotics", "logistics", "manufacturing", "textiles", "food"),
        countries=("DE", "NL", "GB", "US", "SE"),
        company_size_min=50,
        company_size_max=1000,
        technologies=("SAP", "Salesforce", "Shopify"),
    ),
    bands=Bands(),
)  # fmt: skip


def demo(
    leads: Annotated[int, typer.Option(min=1, help="How many leads to find.")] = 200,
    seed: Annotated[int, typer.Option(help="Which world.")] = 7,
    faults: Annotated[FaultProfile, typer.Option(help="What goes wrong.")] = FaultProfile.NONE,
    *,
    as_json: Annotated[bool, typer.Option("--json", help="End with one JSON object.")] = False,
    serve: Annotated[
        bool | None, typer.Option("--serve/--no-serve", help="Keep serving; asks the terminal.")
    ] = None,
    keep: Annotated[bool, typer.Option(help="Go on where the last demo stopped.")] = False,
) -> None:
    """Find, enrich, score, write to and send to leads of a pretend world."""
    began = time.perf_counter()
    wants_serve = serve if serve is not None else sys.stdout.isatty()
    logs.configure(logs.Settings(level="error", format="text"))
    folder = load_settings().data_folder() / "demo"
    code = run_async(
        lambda: _run(folder, Demo(leads, seed, faults.value, as_json, wants_serve, keep, began))
    )
    raise typer.Exit(code)


class Demo(msgspec.Struct, frozen=True):
    """What was asked for on the command line."""

    leads: int
    seed: int
    faults: str
    as_json: bool
    serve: bool
    keep: bool
    began: float


async def _run(folder: Path, asked: Demo) -> int:
    with _locked(folder) as folder:  # noqa: PLR1704 - the same folder, now ours
        if not asked.keep:
            await anyio.to_thread.run_sync(_empty, folder)
        say(f"demo: a pretend world, no key, nothing leaves this machine (folder {folder})")
        async with _world(folder, asked) as world:
            settings = demo_settings(folder, world, asked)
            async with (
                open_storage(settings, report=say, begin_empty=not asked.keep) as storage,
                open_node(storage, seed=asked.seed) as node,
            ):
                return await _show(node, storage, world, asked)


class _locked:  # noqa: N801 - reads as a statement
    """Holds the demo's folder: two demos at once would empty each other's."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def __enter__(self) -> Path:
        self._folder.mkdir(parents=True, exist_ok=True)
        self._lock = FileLock(self._folder / "demo.lock")
        if not self._lock.try_alone():
            self._lock.close()
            raise Conflict(
                f"another demo is running in {self._folder}: stop it, or set LEADFLOOD_DATA",
                code="demo.running",
            )
        return self._folder

    def __exit__(self, *exc_info: object) -> None:
        self._lock.close()


def _empty(folder: Path) -> None:
    """Throw the last world away; its database is emptied by the server, which may still run."""
    shutil.rmtree(folder / "world", ignore_errors=True)


@asynccontextmanager
async def _world(folder: Path, asked: Demo) -> AsyncIterator[World]:
    """Run the sandbox as a child; it ends when our pipe closes, also after a kill -9."""
    command = world_command(sys.executable, folder / "world", asked.seed, asked.faults, PLAN)
    async with await anyio.open_process(
        command, stdin=-1, stdout=-1, stderr=None, env=child_environment(), start_new_session=True
    ) as process:
        with anyio.fail_after(30):
            world = await read_announcement(process)
        say(f"demo: its providers sell plans {PLAN} times the documented paid limits")
        try:
            yield world
        finally:
            if process.stdin is not None:
                await process.stdin.aclose()
            with anyio.move_on_after(5):
                await process.wait()
            if process.returncode is None:
                process.kill()


def demo_settings(folder: Path, world: World, asked: Demo) -> Settings:
    """Point the real adapters at the pretend world, with its keys, plans and prices."""
    providers = {
        name: {
            **msgspec.to_builtins(connection),
            "api_key": world.keys[name],
            "limits": _plan_limits(name),
        }
        for name, connection in connections(world.addresses, Prices()).items()
    }
    return convert(
        {
            "mode": "sandbox",
            "data": str(folder),
            "providers": providers,
            "budget": {"run_micros": 200_000 * asked.leads + 10_000_000},
            "enrichment": {"longest_turn_seconds": 6.0, "verify_patience_seconds": 15.0},
            "messaging": {
                "sender_name": "Sam Sandbox",
                "sender_address": "sam@leadflood.example",
                "reply_to": "sam@leadflood.example",
                "postal_address": "Leadflood Demo, 1 Pretend Street, 12345 Sandbox",
                "unsubscribe_mailto": "unsubscribe@leadflood.example",
            },
        }
    )


def _plan_limits(name: str) -> dict[str, list[dict[str, Any]]]:
    return {
        limit: [msgspec.to_builtins(_times(window, PLAN)) for window in windows]
        for limit, windows in catalog.CATALOG[name].spec.limits.items()
    }


def _times(window: Window, factor: int) -> Window:
    capacity = None if window.capacity is None else window.capacity * factor
    return msgspec.structs.replace(window, calls=window.calls * factor, capacity=capacity)


async def _start(node: Node, storage: Storage, asked: Demo) -> UUID:
    """Start the run, or find the one that `--keep` goes on with."""
    icp = await storage.icps.record(ICP)
    settings = storage.settings
    now = storage.clock.now()
    async with node.publisher.transaction() as publication:
        wanted = storage.ids.new()
        new = NewRun(
            id=wanted, kind="demo", title=icp.name, sends="go",
            cap_micros=settings.budget.run_micros, key=f"demo:{asked.seed}:{asked.leads}",
        )  # fmt: skip
        run_id = await runs.create(publication.tx, new, now)
        if run_id == wanted:
            page = await node.discovery.start(
                publication.tx,
                NewDiscovery(
                    run_id=run_id,
                    icp_id=icp.id,
                    provider=node.discovery.sources[0],
                    query=query_of(icp),
                    wanted_count=asked.leads,
                ),
            )
            await publication.publish([page], run_id=run_id)
    return run_id


async def _show(node: Node, storage: Storage, world: World, asked: Demo) -> int:
    if asked.keep:  # an hour after the last one the guard holds sending, also here
        await node.messaging.release("demo", "a pretend world")
    run_id = await _start(node, storage, asked)
    watched = await watch_run(node, run_id, asked.leads, asked.began)
    outcome = await compare(node, storage, world, run_id, watched)
    await report(node, storage, run_id, outcome)
    for problem in problems_of(outcome, asked):
        say(f"demo: NOT as it should be: {problem}")
    if asked.as_json:
        print_json(outcome.as_json())
    code = 1 if any(True for _ in problems_of(outcome, asked)) else 0
    if asked.serve:
        await _keep_serving(node, storage)
    return code


def problems_of(outcome: Outcome, asked: Demo) -> list[str]:
    """List what a demo of this size must show and does not."""
    problems = []
    if outcome.sends.accepted != outcome.sends.intended and asked.faults == "none":
        problems.append(f"{outcome.sends.accepted} of {outcome.sends.intended} sends accepted")
    if outcome.sends.duplicates:
        problems.append(f"{outcome.sends.duplicates} messages arrived twice")
    if outcome.mismatches:
        problems.append(f"{len(outcome.mismatches)} ledger lines differ from the invoices")
    if asked.leads != 200 or asked.faults != "none":  # noqa: PLR2004 - what the README promises
        return problems
    if not 20 <= outcome.leads.high <= 80:  # noqa: PLR2004 - same
        problems.append(f"{outcome.leads.high} leads are HIGH, expected 20 to 80")
    if outcome.sends.intended < 20:  # noqa: PLR2004 - same
        problems.append(f"only {outcome.sends.intended} sends were intended")
    if outcome.charged_enrichers < 2 or outcome.invoiced_micros == 0:  # noqa: PLR2004 - same
        problems.append("fewer than two enrichment providers were charged")
    return problems


async def _keep_serving(node: Node, storage: Storage) -> None:
    from leadflood.api.application import serve_api  # noqa: PLC0415 - only where it is asked for

    http = storage.settings.http

    async def tell(address: str) -> None:
        say(f"demo: serving on {address} until Ctrl-C (docs: {address}/docs)")
        await show_claim_link(storage, address)

    with anyio.CancelScope():
        await serve_api(node, http, tell)
    await REAL_TIME.sleep(0)
