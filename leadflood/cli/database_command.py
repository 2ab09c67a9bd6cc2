"""Commands on the database: open it, run the command, close it."""

import getpass
import logging
from collections.abc import Awaitable, Callable, Iterable
from typing import Annotated, TypeVar

import typer

from leadflood.app import open_storage
from leadflood.cli.console import USAGE_ERROR, print_message, run_async
from leadflood.engine.errors import Invalid
from leadflood.engine.obs import log as logs
from leadflood.providers import catalog
from leadflood.settings import Settings, load_settings
from leadflood.wiring.storage import Storage

ResultT = TypeVar("ResultT")

AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]
Reason = Annotated[str, typer.Option("--reason", help="Why; recorded for whoever looks later.")]


def with_storage(
    work: Callable[[Storage], Awaitable[ResultT]],
    *,
    migrate: bool = True,
    proves_secret: bool = True,
    creates: bool = False,
) -> ResultT:
    """Open the database as the settings say, run the work, close it.

    The master secret is proved first, but for what helps when it is lost or needs none of it.
    A command given in a wrong folder must not answer for an empty database: most make none.
    """
    settings = load_settings()
    log_errors_only()

    async def run() -> ResultT:
        async with open_storage(
            settings, report=print_message, migrate=migrate, creates=creates
        ) as storage:
            if proves_secret:
                await storage.master_secrets.prove()
            return await work(storage)

    return run_async(run)


def log_errors_only() -> None:
    """Keep the terminal for what the command prints itself.

    asyncpg logs each transaction that an interrupt cancels through asyncio's logger: expected.
    """
    logs.configure(logs.Settings(level="error", format="text"))
    logging.getLogger("asyncio").setLevel(logging.CRITICAL)


def warn_of_unpriced(settings: Settings) -> None:
    """Say which providers' calls count as free, so that no budget holds them."""
    if names := catalog.list_unpriced(settings.providers):
        print_message(
            f"warning: no budget holds {', '.join(names)}: set credit_price_micros, what one credit"
            f" costs, in providers.{names[0]} of the settings"
        )


def terminal_user() -> str:
    """Return the user at the terminal, who is recorded beside every switch and decision."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return "somebody"


def require_name(path: str, value: str, valid_names: Iterable[str]) -> None:
    """Check that a name exists. Raises: Invalid with the valid names."""
    names = list(valid_names)
    if value not in names:
        problem = f"write one of {', '.join(names)}"
        raise Invalid.field(
            path, problem, detail=f"{path}: there is no {value!r}: {problem}", code=USAGE_ERROR
        )
