"""`leadflood stage` and `leadflood provider`: switches that hold for all nodes."""

from typing import Annotated

import anyio
import msgspec
import typer

from leadflood.app import STAGE_NAMES, Storage
from leadflood.cli.console import USAGE, print_data, print_json, say
from leadflood.cli.database_command import AsJson, Reason, one_of, print_table, who, with_storage
from leadflood.engine.clock import REAL_TIME
from leadflood.engine.errors import Conflict, Invalid
from leadflood.engine.queue import repository, switches
from leadflood.pipeline import STAGES
from leadflood.providers import catalog
from leadflood.settings import PROVIDER_NAMES

LOOK_SECONDS = 0.25
DEFAULT = "default"
BATCHED = tuple(name for name, stage in STAGES.items() if stage.in_batches)

stage_app = typer.Typer(no_args_is_help=True, help="Pause, resume, drain or scale a stage.")
provider_app = typer.Typer(no_args_is_help=True, help="List providers; switch one off and on.")

StageName = Annotated[str, typer.Argument(metavar="STAGE", help=", ".join(STAGE_NAMES))]
ProviderName = Annotated[str, typer.Argument(metavar="NAME", help=", ".join(PROVIDER_NAMES))]


class Switched(msgspec.Struct, frozen=True, rename="camel"):
    """A switch after a command."""

    name: str
    state: str
    changed: bool
    running: int | None = None


@stage_app.command()
def pause(name: StageName, reason: Reason = "", *, as_json: AsJson = False) -> None:
    """Stop a stage on all nodes; what is in hand is finished."""
    one_of("STAGE", name, STAGE_NAMES)
    with_storage(lambda storage: _pause(storage, name, reason))
    _tell(Switched(f"stage:{name}", "paused", changed=True), as_json=as_json)


@stage_app.command()
def resume(name: StageName, *, as_json: AsJson = False) -> None:
    """Let a paused stage go on."""
    one_of("STAGE", name, STAGE_NAMES)
    with_storage(lambda storage: switches.resume_stage(storage.db, name))
    _tell(Switched(f"stage:{name}", "running", changed=True), as_json=as_json)


@stage_app.command()
def drain(
    name: StageName,
    reason: Reason = "",
    timeout: Annotated[float, typer.Option(min=0, help="Seconds to wait at most.")] = 600.0,
    *,
    as_json: AsJson = False,
) -> None:
    """Pause a stage and wait until nothing of it is in hand on any node."""
    one_of("STAGE", name, STAGE_NAMES)
    with_storage(lambda storage: _drain(storage, name, reason, timeout))
    _tell(Switched(f"stage:{name}", "paused", changed=True, running=0), as_json=as_json)


@stage_app.command()
def scale(
    name: StageName,
    concurrency: Annotated[str, typer.Argument(help="How many at once on each node; or default.")],
    reason: Reason = "",
    *,
    as_json: AsJson = False,
) -> None:
    """Set how many jobs of a stage each node has at work at once."""
    one_of("STAGE", name, STAGE_NAMES)
    if name in BATCHED:
        raise Invalid(
            f"{name} computes whole batches: it has no number of jobs at once to scale", code=USAGE
        )
    wanted = None if concurrency == DEFAULT else _count_of(concurrency)
    changed = with_storage(lambda storage: _scale(storage, name, wanted, reason))
    _tell(Switched(f"scale:{name}", concurrency, changed), as_json=as_json)


@provider_app.command("list")
def list_all(
    *,
    as_json: AsJson = False,
    markdown: Annotated[bool, typer.Option(help="Write the page docs/providers.md.")] = False,
) -> None:
    """List what each provider can do, allows and charges."""
    rows = catalog.feature_matrix()
    if as_json:
        print_json(rows)
    elif markdown:
        print_data(catalog.write_page().rstrip("\n"))
    else:
        print_table(
            ("provider", "does", "plan", "most credits"),
            [(row.name, ", ".join(row.does), row.plan, row.credits) for row in rows],
        )


@provider_app.command()
def off(name: ProviderName, reason: Reason = "", *, as_json: AsJson = False) -> None:
    """Ask a provider nothing any more, on all nodes."""
    one_of("NAME", name, PROVIDER_NAMES)
    with_storage(lambda storage: _off(storage, name, reason))
    _tell(Switched(f"provider:{name}", "off", changed=True), as_json=as_json)


@provider_app.command()
def on(name: ProviderName, *, as_json: AsJson = False) -> None:
    """Let a provider be asked again."""
    one_of("NAME", name, PROVIDER_NAMES)
    changed = with_storage(lambda storage: switches.switch_provider_on(storage.db, name))
    _tell(Switched(f"provider:{name}", "on", changed), as_json=as_json)


def _count_of(text: str) -> int:
    if not (text.isascii() and text.isdigit() and 1 <= int(text) <= switches.MAX_CONCURRENCY):
        most = switches.MAX_CONCURRENCY
        problem = f"write a whole number from 1 to {most}, or {DEFAULT}; to stop a stage, pause it"
        raise Invalid.field(
            "CONCURRENCY",
            problem,
            detail=f"CONCURRENCY: {text!r} will not do: {problem}",
            code=USAGE,
        )
    return int(text)


async def _pause(storage: Storage, name: str, reason: str) -> None:
    await switches.pause_stage(storage.db, storage.clock, name, who(), reason)


async def _drain(storage: Storage, name: str, reason: str, timeout_seconds: float) -> None:
    await _pause(storage, name, reason)
    with anyio.move_on_after(timeout_seconds):
        while running := await _count_running(storage, name):
            say(f"{name}: {running} in hand")
            await REAL_TIME.sleep(LOOK_SECONDS)
        return
    raise Conflict(
        f"{name} is paused, but still has jobs in hand after {timeout_seconds:g} s: "
        "drain again, or look at `leadflood status`",
        code="engine.stage.not_drained",
    )


async def _count_running(storage: Storage, name: str) -> int:
    rows = await repository.count_jobs(storage.db)
    return next((row["running"] for row in rows if row["stage"] == name), 0)


async def _scale(storage: Storage, name: str, wanted: int | None, reason: str) -> bool:
    if wanted is None:
        return await switches.unscale_stage(storage.db, name)
    await switches.scale_stage(storage.db, storage.clock, name, wanted, who(), reason)
    return True


async def _off(storage: Storage, name: str, reason: str) -> None:
    await switches.switch_provider_off(storage.db, storage.clock, name, who(), reason)


def _tell(switched: Switched, *, as_json: bool) -> None:
    if as_json:
        print_json(switched)
        return
    print_data(f"{switched.name} is {switched.state}{'' if switched.changed else ' (as before)'}")
