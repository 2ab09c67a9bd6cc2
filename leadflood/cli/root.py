"""The command tree, and what happens to an error on its way to the terminal."""

import sys

import typer

from leadflood.cli.demo import demo
from leadflood.cli.run import run
from leadflood.cli.sandbox import sandbox
from leadflood.cli.serve import serve
from leadflood.cli.talk import fail
from leadflood.engine.actors.supervisor import first_cause
from leadflood.engine.errors import LeadfloodError

app = typer.Typer(
    name="leadflood",
    help="A lead engine in one process: find, enrich, score, write to and send.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
app.command()(demo)
app.command()(sandbox)
app.command()(run)
app.command()(serve)


def main() -> None:
    """Run the command; an expected error is a sentence and exit code 1, never a trace."""
    try:
        app()
    except LeadfloodError as error:
        fail(error)
    except BaseExceptionGroup as group:
        cause = first_cause(group)
        if not isinstance(cause, LeadfloodError):
            raise
        fail(cause)
    except KeyboardInterrupt:
        sys.exit(130)
