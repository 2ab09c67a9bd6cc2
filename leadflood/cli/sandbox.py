"""`leadflood sandbox`: the pretend world alone, as a process of its own."""

import os
from pathlib import Path
from typing import Annotated

import anyio
import msgspec
import typer

from leadflood.cli.console import run_async, say
from leadflood.engine.clock import SystemClock
from leadflood.sandbox.faults import FaultProfile
from leadflood.sandbox.main import run_sandbox
from leadflood.sandbox.world import Addresses, WorldConfig


class World(msgspec.Struct, frozen=True):
    """A sandbox that runs as our child: where it is and which keys it takes."""

    addresses: Addresses
    keys: dict[str, str]
    plan_multiplier: int


def sandbox(
    folder: Annotated[Path, typer.Option(help="Where the books are kept.")] = Path(
        "leadflood-data/sandbox"
    ),
    seed: Annotated[int, typer.Option(help="Which world.")] = 7,
    faults: Annotated[FaultProfile, typer.Option(help="What goes wrong.")] = FaultProfile.NONE,
    port: Annotated[int, typer.Option(help="HTTP port; 0 takes a free one.")] = 0,
    smtp_port: Annotated[int, typer.Option(help="Mail port; 0 takes a free one.")] = 0,
    plan: Annotated[int, typer.Option(help="Times the documented paid limits.")] = 10,
    *,
    parent: Annotated[bool, typer.Option(help="End when stdin closes.")] = False,
) -> None:
    """Run the pretend providers alone; prints one line of JSON with addresses and keys."""
    folder.mkdir(parents=True, exist_ok=True)
    config = WorldConfig(
        folder=str(folder), seed=seed, faults=faults, port=port, smtp_port=smtp_port,
        plan_multiplier=plan,
    )  # fmt: skip
    say(f"sandbox: pretend providers, nothing here is real; plans are {plan} x the documented ones")
    run_async(lambda: run_sandbox(config, SystemClock(), until_stdin_closes=parent))


def world_command(python: str, folder: Path, seed: int, faults: str, plan: int = 10) -> list[str]:
    """Write the command that runs a sandbox as a child."""
    return [
        python, "-m", "leadflood", "sandbox", "--folder", str(folder), "--seed", str(seed),
        "--faults", faults, "--plan", str(plan), "--parent",
    ]  # fmt: skip


async def read_announcement(process: anyio.abc.Process) -> World:
    """Wait for the child's one line."""
    if process.stdout is None:
        raise RuntimeError("the sandbox has no stdout")
    received = b""
    while b"\n" not in received:
        received += await process.stdout.receive()
    return msgspec.json.decode(received.split(b"\n")[0], type=World)


def child_environment() -> dict[str, str]:
    """Give the child our environment without our database."""
    hidden = ("DATABASE_URL", "LEADFLOOD_")
    return {name: value for name, value in os.environ.items() if not name.startswith(hidden)}  # noqa: TID251 - a child's environment is not a setting
