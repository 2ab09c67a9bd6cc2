"""The pretend world of the demo: a sandbox as child process, and the settings that point at it."""

import os
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import anyio
import msgspec

from leadflood.engine.net.calls import Window
from leadflood.providers import catalog
from leadflood.sandbox.connections import connections
from leadflood.sandbox.main import Announcement
from leadflood.sandbox.prices import Prices
from leadflood.settings import Settings, convert

START_SECONDS = 30
STOP_SECONDS = 5
RUN_MICROS_PER_LEAD = 200_000
RUN_MICROS_AT_LEAST = 10_000_000
MESSAGING = {
    "sender_name": "Sam Sandbox",
    "sender_address": "sam@leadflood.example",
    "reply_to": "sam@leadflood.example",
    "postal_address": "Leadflood Demo, 1 Pretend Street, 12345 Sandbox",
    "unsubscribe_mailto": "unsubscribe@leadflood.example",
}


class WorldOptions(msgspec.Struct, frozen=True, kw_only=True):
    """Which world: its seed, what goes wrong, and its plans as a multiple of the documented."""

    seed: int
    faults: str = "none"
    plan: int = 10


def sandbox_command(folder: Path, options: WorldOptions) -> list[str]:
    """Return the command that runs a sandbox as a child process."""
    command = [sys.executable, "-m", "leadflood", "sandbox", "--parent", "--folder", str(folder)]
    command += ["--seed", str(options.seed), "--faults", options.faults]
    return [*command, "--plan", str(options.plan)]


@asynccontextmanager
async def running_world(folder: Path, options: WorldOptions) -> AsyncIterator[Announcement]:
    """Run the sandbox as a child; it ends when our pipe closes, also after a kill -9."""
    async with await anyio.open_process(
        sandbox_command(folder, options),
        stdin=-1,
        stdout=-1,
        stderr=None,
        env=_child_environment(),
        start_new_session=True,
    ) as process:
        with anyio.fail_after(START_SECONDS):
            announcement = await _read_announcement(process)
        try:
            yield announcement
        finally:
            await _stop(process)


def _child_environment() -> dict[str, str]:
    """Return our environment without our database."""
    hidden = ("DATABASE_URL", "LEADFLOOD_")
    return {name: value for name, value in os.environ.items() if not name.startswith(hidden)}  # noqa: TID251 - a child's environment is not a setting


async def _read_announcement(process: anyio.abc.Process) -> Announcement:
    """Wait for the one line that the child prints when it is ready."""
    if process.stdout is None:
        raise RuntimeError("the sandbox has no stdout")
    received = b""
    while b"\n" not in received:
        received += await process.stdout.receive()
    return msgspec.json.decode(received.split(b"\n")[0], type=Announcement)


async def _stop(process: anyio.abc.Process) -> None:
    if process.stdin is not None:
        await process.stdin.aclose()
    with anyio.move_on_after(STOP_SECONDS):
        await process.wait()
    if process.returncode is None:
        process.kill()


def world_settings(folder: Path, world: Announcement, lead_count: int) -> Settings:
    """Return settings that point the real adapters at the world: its keys, plans and prices."""
    return convert(
        {
            "mode": "sandbox",
            "data": str(folder),
            "providers": _providers(world),
            "budget": {
                "run_micros": RUN_MICROS_PER_LEAD * lead_count + RUN_MICROS_AT_LEAST,
                "day_micros": None,
                "user_day_micros": None,
            },
            "enrichment": {"longest_turn_seconds": 6.0, "verify_patience_seconds": 15.0},
            "messaging": MESSAGING,
        }
    )


def _providers(world: Announcement) -> dict[str, dict[str, Any]]:
    return {
        name: {
            **msgspec.to_builtins(connection),
            "api_key": getattr(world.keys, name),
            "limits": _plan_limits(name, world.plan_multiplier),
        }
        for name, connection in connections(world.addresses, Prices()).items()
    }


def _plan_limits(name: str, factor: int) -> dict[str, list[dict[str, Any]]]:
    return {
        limit: [msgspec.to_builtins(_multiply(window, factor)) for window in windows]
        for limit, windows in catalog.CATALOG[name].spec.limits.items()
    }


def _multiply(window: Window, factor: int) -> Window:
    capacity = None if window.capacity is None else window.capacity * factor
    return msgspec.structs.replace(window, calls=window.calls * factor, capacity=capacity)
