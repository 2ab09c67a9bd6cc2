"""`leadflood migrate`: migrations up, down, status."""

from collections.abc import Awaitable, Callable
from typing import Annotated

import msgspec
import typer

from leadflood.cli.console import print_data, print_json
from leadflood.cli.database_command import AsJson, with_storage
from leadflood.engine.db import migrations
from leadflood.engine.db.migration_status import MigrationStatus
from leadflood.engine.db.pool import Settings as DatabaseSettings

app = typer.Typer(no_args_is_help=True, help="Migrations: up, down, status.")


@app.command()
def up(*, as_json: AsJson = False) -> None:
    """Bring the database to the newest migration (every start does so, too)."""
    _print(_on_database(migrations.upgrade, creates=True), as_json=as_json)


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
    _print(_on_database(lambda database: migrations.downgrade(database, revision)), as_json=as_json)


@app.command()
def status(*, as_json: AsJson = False) -> None:
    """Show which migration the database is at. Exits with 1 when some are left to run."""
    state = _on_database(migrations.status)
    _print(state, as_json=as_json)
    raise typer.Exit(0 if state.is_current else 1)


def _on_database(
    work: Callable[[DatabaseSettings], Awaitable[MigrationStatus]], *, creates: bool = False
) -> MigrationStatus:
    return with_storage(
        lambda storage: work(storage.database), migrate=False, proves_secret=False, creates=creates
    )


def _print(state: MigrationStatus, *, as_json: bool) -> None:
    if as_json:
        print_json(msgspec.structs.asdict(state) | {"isCurrent": state.is_current})
        return
    print_data(f"at {state.current or 'nothing'}, newest is {state.newest}")
    if state.pending:
        print_data(f"left to do: {', '.join(state.pending)}")
