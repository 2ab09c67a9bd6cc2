"""`leadflood sandbox`: the pretend world alone, in its own process."""

from pathlib import Path
from typing import Annotated

import typer

from leadflood.cli.console import print_message, run_async
from leadflood.engine.clock import SystemClock
from leadflood.sandbox.faults import FaultProfile
from leadflood.sandbox.main import run_sandbox
from leadflood.sandbox.world import WorldConfig

MAX_PORT = 65_535
MAX_PLAN = 1_000_000


def sandbox(
    folder: Annotated[Path, typer.Option(help="Where its records are kept.")] = Path(
        "leadflood-data/sandbox"
    ),
    seed: Annotated[int, typer.Option(help="The seed of its people and companies.")] = 7,
    faults: Annotated[FaultProfile, typer.Option(help="What goes wrong.")] = FaultProfile.NONE,
    port: Annotated[
        int, typer.Option(min=0, max=MAX_PORT, help="HTTP port; 0 takes a free one.")
    ] = 0,
    smtp_port: Annotated[
        int, typer.Option(min=0, max=MAX_PORT, help="Mail port; 0 takes a free one.")
    ] = 0,
    plan: Annotated[
        int,
        typer.Option(min=1, max=MAX_PLAN, help="Multiple of the documented paid limits."),
    ] = 10,
    *,
    parent: Annotated[bool, typer.Option(help="End when stdin closes.")] = False,
) -> None:
    """Run the pretend providers alone; prints one line of JSON with addresses and keys."""
    folder.mkdir(parents=True, exist_ok=True)
    config = WorldConfig(
        folder=str(folder),
        seed=seed,
        faults=faults,
        port=port,
        smtp_port=smtp_port,
        plan_multiplier=plan,
    )
    print_message(
        f"sandbox: pretend providers, nothing here is real; plans are {plan} x the documented ones"
    )
    run_async(lambda: run_sandbox(config, SystemClock(), until_stdin_closes=parent))
