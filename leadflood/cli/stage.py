"""`leadflood stage`: pause, resume, drain or scale a stage on all nodes."""

from typing import Annotated

import anyio
import typer

from leadflood.cli import command_audit
from leadflood.cli.console import USAGE_ERROR, print_message
from leadflood.cli.database_command import AsJson, Reason, require_name, terminal_user, with_storage
from leadflood.cli.switch_result import SwitchResult, print_switch
from leadflood.engine.clock import REAL_TIME
from leadflood.engine.control import inspection
from leadflood.engine.errors import Conflict, Invalid
from leadflood.engine.queue import switches
from leadflood.pipeline import STAGE_NAMES, STAGES
from leadflood.wiring.storage import Storage

POLL_SECONDS = 0.25
DEFAULT = "default"

app = typer.Typer(no_args_is_help=True, help="Pause, resume, drain or scale a stage.")

StageName = Annotated[str, typer.Argument(metavar="STAGE", help=", ".join(STAGE_NAMES))]


@app.command()
def pause(name: StageName, reason: Reason = "", *, as_json: AsJson = False) -> None:
    """Stop a stage on all nodes; jobs in flight are finished."""
    require_name("STAGE", name, STAGE_NAMES)
    with_storage(lambda storage: _pause(storage, name, reason, "stage.paused"))
    print_switch(SwitchResult(f"stage:{name}", "paused", changed=True), as_json=as_json)


@app.command()
def resume(name: StageName, *, as_json: AsJson = False) -> None:
    """Resume a paused stage."""
    require_name("STAGE", name, STAGE_NAMES)
    with_storage(lambda storage: _resume(storage, name))
    print_switch(SwitchResult(f"stage:{name}", "running", changed=True), as_json=as_json)


@app.command()
def drain(
    name: StageName,
    reason: Reason = "",
    timeout: Annotated[float, typer.Option(min=0, help="The longest wait, in seconds.")] = 600.0,
    *,
    as_json: AsJson = False,
) -> None:
    """Pause a stage and wait until no job of it is in flight on any node."""
    require_name("STAGE", name, STAGE_NAMES)
    with_storage(lambda storage: _drain(storage, name, reason, timeout))
    print_switch(SwitchResult(f"stage:{name}", "paused", changed=True, running=0), as_json=as_json)


@app.command()
def scale(
    name: StageName,
    concurrency: Annotated[str, typer.Argument(help="Jobs at once on each node, or `default`.")],
    reason: Reason = "",
    *,
    as_json: AsJson = False,
) -> None:
    """Set how many jobs of a stage each node runs at once."""
    require_name("STAGE", name, STAGE_NAMES)
    switches.require_scalable(name, in_batches=STAGES[name].in_batches, code=USAGE_ERROR)
    limit = None if concurrency == DEFAULT else _parse_concurrency(concurrency)
    changed = with_storage(lambda storage: _scale(storage, name, limit, reason))
    print_switch(SwitchResult(f"scale:{name}", concurrency, changed), as_json=as_json)


def _parse_concurrency(text: str) -> int:
    if not (text.isascii() and text.isdigit() and 1 <= int(text) <= switches.MAX_CONCURRENCY):
        most = switches.MAX_CONCURRENCY
        problem = f"write a whole number from 1 to {most}, or {DEFAULT}; to stop a stage, pause it"
        raise Invalid.field(
            "CONCURRENCY",
            problem,
            detail=f"CONCURRENCY: {text!r} will not do: {problem}",
            code=USAGE_ERROR,
        )
    return int(text)


async def _pause(storage: Storage, name: str, reason: str, action: str) -> None:
    async with storage.db.transaction() as tx:
        await switches.pause_stage(tx, storage.clock, name, terminal_user(), reason)
        await command_audit.record(storage, tx, action, name, reason=reason)


async def _resume(storage: Storage, name: str) -> None:
    async with storage.db.transaction() as tx:
        await switches.resume_stage(tx, name)
        await command_audit.record(storage, tx, "stage.resumed", name)


async def _drain(storage: Storage, name: str, reason: str, timeout_seconds: float) -> None:
    await _pause(storage, name, reason, "stage.drained")
    with anyio.move_on_after(timeout_seconds):
        while running := await _count_running(storage, name):
            print_message(f"{name}: {running} in flight")
            await REAL_TIME.sleep(POLL_SECONDS)
        return
    raise Conflict(
        f"{name} is paused, but still has jobs in flight after {timeout_seconds:g} s: "
        "drain again, or look at `leadflood status`",
        code="engine.stage.not_drained",
    )


async def _count_running(storage: Storage, name: str) -> int:
    stages = await inspection.list_stages(storage.db, [name], storage.clock.now())
    return stages[0].running


async def _scale(storage: Storage, name: str, limit: int | None, reason: str) -> bool:
    async with storage.db.transaction() as tx:
        if limit is None:
            if has_changed := await switches.unscale_stage(tx, name):
                await command_audit.record(storage, tx, "stage.unscaled", name)
            return has_changed
        await switches.scale_stage(tx, storage.clock, name, limit, terminal_user(), reason)
        await command_audit.record(
            storage, tx, "stage.scaled", name, concurrency=limit, reason=reason
        )
    return True
