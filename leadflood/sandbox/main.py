"""The pretend world as its own process: starts, announces its addresses, ends with its parent."""

import os
import signal
import sys
from collections.abc import Callable
from typing import Final

import anyio
import msgspec

from leadflood.engine.clock import Clock
from leadflood.sandbox.prices import Keys
from leadflood.sandbox.world import Addresses, WorldConfig, serve

_CHUNK_BYTES: Final = 65_536


class Announcement(msgspec.Struct, frozen=True, kw_only=True):
    """The one line a parent reads from stdout: the addresses, the keys, the plans."""

    addresses: Addresses
    keys: Keys
    seed: int
    plan_multiplier: int


def print_line(announcement: Announcement) -> None:
    """Print the announcement as one line of JSON."""
    sys.stdout.write(msgspec.json.encode(announcement).decode() + "\n")
    sys.stdout.flush()


async def run_sandbox(
    config: WorldConfig,
    clock: Clock,
    announce: Callable[[Announcement], None] = print_line,
    *,
    until_stdin_closes: bool = False,
) -> None:
    """Keep the world open until a signal, or until the parent's pipe reaches its end."""
    with anyio.open_signal_receiver(signal.SIGTERM, signal.SIGINT) as signals:
        async with serve(config, clock) as addresses, anyio.create_task_group() as tasks:
            announce(
                Announcement(
                    addresses=addresses,
                    keys=config.keys,
                    seed=config.seed,
                    plan_multiplier=config.plan_multiplier,
                )
            )
            if until_stdin_closes:
                tasks.start_soon(_end_with_parent, tasks.cancel_scope)
            async for _ in signals:
                tasks.cancel_scope.cancel()


async def _end_with_parent(scope: anyio.CancelScope) -> None:
    """Wait for the end of stdin; what comes before it is thrown away."""
    pipe = sys.stdin.fileno()
    await anyio.wait_readable(pipe)
    while os.read(pipe, _CHUNK_BYTES):
        await anyio.wait_readable(pipe)
    scope.cancel()
