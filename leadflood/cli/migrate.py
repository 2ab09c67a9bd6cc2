"""`leadflood migrate`: the tables up, down, and how they stand."""

from collections.abc import Awaitable, Callable
from typing import Annotated

import msgspec
import typer

from leadflood.app import Storage, open_storage
from leadflood.cli.console import print_data, print_json, run_async, say
from leadflood.cli.database_command import AsJson, log_errors_only
from leadflood.engine.db import migrations
from leadflood.engine.db.migrations import MigrationStatus
from leadflood.settings import load_settings

app = typer.Typer(no_args_is_help=True, help="Migrations: up, down, status.")


@app.command()
def up(*, as_json: AsJson = False) -> None:
    """Bring the database to the newest migration (every start does so, too)."""
    _tell(_with(lambda storage: migrations.upgrade(storage.database)), as_json=as_json)


@app.command()
def down(
    revision: Annotated[str, typer.Argument(help="Such as 0004; -1 for one step; or base.")],
    *,
    yes: Annotated[bool, typer.Option("--yes", help="The data of the tables is lost.")] = False,
    as_json: AsJson = False,
) -> None:
    """Take the database back. What the later tables hold is lost."""
    if not yes:
        raise typer.BadParameter("this throws data away: add --yes to do it")
    _tell(_with(lambda storage: migrations.downgrade(storage.database, revision)), as_json=as_json)


@app.command()
def status(*, as_json: AsJson = False) -> None:
    """Tell where the database stands. Exits with 1 when something is left to do."""
    found = _with(lambda storage: migrations.status(storage.database))
    _tell(found, as_json=as_json)
    raise typer.Exit(0 if found.is_current else 1)


def _with(work: Callable[[Storage], Awaitable[MigrationStatus]]) -> MigrationStatus:
    settings = load_settings()
    log_errors_only()

    async def opened() -> MigrationStatus:
        async with open_storage(settings, report=say, migrate=False) as storage:
            return await work(storage)

    return run_async(opened)


def _tell(found: MigrationStatus, *, as_json: bool) -> None:
    if as_json:
        print_json(msgspec.structs.asdict(found) | {"isCurrent": found.is_current})
        return
    print_data(f"at {found.current or 'nothing'}, newest is {found.newest}")
    if found.pending:
        print_data(f"left to do: {', '.join(found.pending)}")
