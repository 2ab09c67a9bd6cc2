"""How commands that look at or change the database open it."""

import getpass
import logging
from collections.abc import Awaitable, Callable, Iterable, Sequence
from typing import Annotated, TypeVar

import typer

from leadflood.app import Storage, open_storage
from leadflood.cli.console import USAGE, print_data, run_async, say
from leadflood.engine.errors import Invalid
from leadflood.engine.obs import log as logs
from leadflood.settings import load_settings

ResultT = TypeVar("ResultT")

AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]
Reason = Annotated[str, typer.Option("--reason", help="Why, for the one who looks later.")]


def with_storage(work: Callable[[Storage], Awaitable[ResultT]]) -> ResultT:
    """Open the database as the settings say, do the work, close it."""
    settings = load_settings()
    log_errors_only()

    async def opened() -> ResultT:
        async with open_storage(settings, report=say) as storage:
            return await work(storage)

    return run_async(opened)


def log_errors_only() -> None:
    """Keep the terminal for what the command says itself.

    asyncpg tells asyncio's log of each transaction that an interrupt ends: as it should be.
    """
    logs.configure(logs.Settings(level="error", format="text"))
    logging.getLogger("asyncio").setLevel(logging.CRITICAL)


def who() -> str:
    """Name the person at the terminal: stands beside everything that is switched or decided."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return "somebody"


def one_of(path: str, value: str, known: Iterable[str]) -> str:
    """Check a name. Raises: Invalid, telling those that exist."""
    names = list(known)
    if value not in names:
        problem = f"write one of {', '.join(names)}"
        raise Invalid.field(
            path, problem, detail=f"{path}: there is no {value!r}: {problem}", code=USAGE
        )
    return value


def print_table(headers: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """Print rows on stdout under their headers, nothing cut off."""
    cells = [[_cell(one) for one in row] for row in rows]
    widths = [max(map(len, column)) for column in zip(headers, *cells, strict=True)]
    for line in (headers, *cells):
        parts = [cell.ljust(width) for cell, width in zip(line, widths, strict=True)]
        print_data("  ".join(parts).rstrip())


def _cell(value: object) -> str:
    """Write a value on one line; what would steer the terminal (a name may hold it) is shown."""
    text = " ".join(("" if value is None else str(value)).split())
    return "".join([char if char.isprintable() else "\ufffd" for char in text])
