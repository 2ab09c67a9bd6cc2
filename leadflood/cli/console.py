"""Console: messages on stderr, data on stdout, and the exit codes.

0 done · 1 failed, with the reason · 2 wrong usage · 130 interrupted
"""

import signal
import sys
from collections.abc import Awaitable, Callable, Iterable, Sequence
from datetime import datetime
from typing import Any, NoReturn, TypeVar

import anyio
import msgspec
from rich.console import Console

from leadflood.engine.errors import Invalid, LeadfloodError

ResultT = TypeVar("ResultT")
stderr_console = Console(stderr=True, highlight=False, soft_wrap=True)
MICROS = 1_000_000
USAGE_ERROR = "cli.usage"
"""The code of an error on the command line itself: exit code 2."""


def print_message(text: str) -> None:
    """Print a message for people, on stderr."""
    stderr_console.print(text, markup=False)


def print_data(text: str) -> None:
    """Print data on stdout."""
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


def print_json(data: Any) -> None:
    """Print a struct or plain data as one line of JSON on stdout."""
    print_data(msgspec.json.encode(data).decode())


def print_table(headers: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """Print rows on stdout under their headers, nothing cut off."""
    cells = [[_cell(value) for value in row] for row in rows]
    widths = [max(map(len, column)) for column in zip(headers, *cells, strict=True)]
    for line in (headers, *cells):
        parts = [cell.ljust(width) for cell, width in zip(line, widths, strict=True)]
        print_data("  ".join(parts).rstrip())


def _cell(value: object) -> str:
    """Return a value as one line; characters that would steer the terminal are made visible."""
    text = " ".join(("" if value is None else str(value)).split())
    return "".join([char if char.isprintable() else "\ufffd" for char in text])


def format_time(moment: datetime | None) -> str:
    """Return a moment to the minute; empty for None."""
    return "" if moment is None else f"{moment:%Y-%m-%d %H:%M}"


def count_messages(count: int) -> str:
    """Return a count of messages in words: `1 message`, `2 messages`."""
    return f"{count:,} message" if count == 1 else f"{count:,} messages"


def format_money(micros: int, digits: int = 4) -> str:
    """Return micro-units as an amount of money."""
    return f"{micros / MICROS:.{digits}f}"


def exit_with_error(error: LeadfloodError) -> NoReturn:
    """Print the error and exit with 1, or with 2 when the command line itself is wrong."""
    print_message(f"error [{error.error_code}]: {error.detail}")
    if isinstance(error, Invalid):
        for field in error.fields:
            print_message(f"  {field.path}: {field.problem}")
    sys.exit(2 if error.error_code == USAGE_ERROR else 1)


def run_async(work: Callable[[], Awaitable[ResultT]]) -> ResultT:
    """Run a command's coroutine; SIGTERM and Ctrl-C cancel it in order, and it exits with 130.

    A command with a shutdown of its own (`serve`) listens for the signals inside.
    """
    return anyio.run(_run_until_signal, work, backend_options=backend_options())


def backend_options() -> dict[str, bool]:
    """Return the options of the event loop: uvloop wherever it exists."""
    return {"use_uvloop": sys.platform != "win32"}


async def _run_until_signal(work: Callable[[], Awaitable[ResultT]]) -> ResultT:
    results: list[ResultT] = []
    async with anyio.create_task_group() as group:
        group.start_soon(_cancel_on_signal, group.cancel_scope)
        results.append(await work())
        group.cancel_scope.cancel()
    if not results:
        raise KeyboardInterrupt
    return results[0]


async def _cancel_on_signal(scope: anyio.CancelScope) -> None:
    with anyio.open_signal_receiver(signal.SIGTERM, signal.SIGINT) as signals:
        async for _ in signals:
            scope.cancel()
            return
