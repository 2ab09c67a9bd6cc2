"""The command tree, and what happens to an error on its way to the terminal."""

import sys

import typer

from leadflood.cli import (
    dead_letters,
    duplicates,
    mappings,
    messages,
    migrate,
    opt_ins,
    provider,
    runs,
    sending,
    stage,
    suppressions,
    templates,
    users,
)
from leadflood.cli.claim import claim
from leadflood.cli.console import exit_with_error
from leadflood.cli.demo.command import demo
from leadflood.cli.doctor.command import doctor
from leadflood.cli.events import events
from leadflood.cli.openapi import openapi
from leadflood.cli.reindex import reindex
from leadflood.cli.run.command import run
from leadflood.cli.sandbox import sandbox
from leadflood.cli.serve import serve
from leadflood.cli.status import status
from leadflood.cli.version import root, version
from leadflood.engine.actors.supervisor import first_cause
from leadflood.engine.db.tx import sqlstate_of
from leadflood.engine.errors import LeadfloodError, Transient
from leadflood.engine.open_files import raise_limit

app = typer.Typer(
    name="leadflood",
    help="A lead engine in one process: find, enrich, score, write to and send.",
    callback=root,
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
COMMANDS = (demo, run, serve, claim, sandbox, doctor, status, events, openapi, reindex, version)
for command in COMMANDS:
    app.command()(command)
app.add_typer(stage.app, name="stage")
app.add_typer(provider.app, name="provider")
app.add_typer(dead_letters.app, name="dead-letters")
app.add_typer(runs.app, name="runs")
app.add_typer(sending.app, name="sending")
app.add_typer(messages.app, name="messages")
app.add_typer(suppressions.app, name="suppress")
app.add_typer(duplicates.app, name="duplicates")
app.add_typer(mappings.app, name="mappings")
app.add_typer(opt_ins.app, name="opt-ins")
app.add_typer(templates.app, name="templates")
app.add_typer(users.app, name="users")
app.add_typer(migrate.app, name="migrate")


def main() -> None:
    """Run the command; an expected error ends in a sentence and an exit code, not a traceback."""
    raise_limit()
    try:
        app()
    except KeyboardInterrupt:
        sys.exit(130)
    except Exception as error:
        expected = expected_error(error)
        if expected is None:
            raise
        exit_with_error(expected)


def expected_error(error: Exception) -> LeadfloodError | None:
    """Return the error that the user can mend; None: it is a bug of ours."""
    cause = first_cause(error)
    if isinstance(cause, LeadfloodError):
        return cause
    is_odd_url = isinstance(cause, ValueError) and type(cause).__module__.startswith("asyncpg")
    if is_odd_url or isinstance(cause, OSError) or sqlstate_of(cause) is not None:
        where = "no connection to the database: " if isinstance(cause, ConnectionError) else ""
        return Transient(
            f"{where}{type(cause).__name__}: {cause}; `leadflood doctor` looks at the database,"
            " the data folder and the settings, and says what to change",
            code="command.failed",
        )
    return None
