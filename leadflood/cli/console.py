"""How commands speak: talk on stderr, data on stdout, exit codes that mean something.

0 done · 1 not done, said why · 2 wrong usage · 130 interrupted
"""

import signal
import sys
from collections.abc import Awaitable, Callable
from typing import Any, NoReturn, TypeVar

import anyio
import msgspec
from rich.console import Console

from leadflood.engine.errors import Invalid, LeadfloodError

ResultT = TypeVar("ResultT")
talk = Console(stderr=True, highlight=False, soft_wrap=True)
MICROS = 1_000_000
USAGE = "cli.usage"
"""The code of an error on the command line itself: exit code 2."""


def say(text: str) -> None:
    """Say something to the person, on stderr."""
    talk.print(text, markup=False)


def print_data(text: str) -> None:
    """Print data on stdout."""
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


def print_json(data: Any) -> None:
    """Print a struct or plain data as one line of JSON on stdout."""
    print_data(msgspec.json.encode(data).decode())


def fail(error: LeadfloodError) -> NoReturn:
    """Say what went wrong and leave with 1, or 2 when the command line itself is wrong."""
    say(f"error [{error.error_code}]: {error.detail}")
    if isinstance(error, Invalid):
        for field in error.fields:
            say(f"  {field.path}: {field.problem}")
    sys.exit(2 if error.error_code == USAGE else 1)


def run_async(work: Callable[[], Awaitable[ResultT]]) -> ResultT:
    """Run a command's coroutine; SIGTERM and Ctrl-C end it in order, and it exits with 130.

    Whoever wants to end well on a signal (`serve`) listens for it inside.
    """
    return anyio.run(_until_signal, work, backend_options={"use_uvloop": sys.platform != "win32"})


async def _until_signal(work: Callable[[], Awaitable[ResultT]]) -> ResultT:
    ended: list[ResultT] = []
    async with anyio.create_task_group() as group:
        group.start_soon(_watch_signals, group.cancel_scope)
        ended.append(await work())
        group.cancel_scope.cancel()
    if not ended:
        raise KeyboardInterrupt
    return ended[0]


async def _watch_signals(scope: anyio.CancelScope) -> None:
    with anyio.open_signal_receiver(signal.SIGTERM, signal.SIGINT) as signals:
        async for _ in signals:
            scope.cancel()
            return


def money(micros: int, digits: int = 4) -> str:
    """Write micro-units as money."""
    return f"{micros / MICROS:.{digits}f}"
