"""`leadflood version`: the release."""

from typing import Annotated

import typer

from leadflood import __version__
from leadflood.cli.console import print_data, print_json
from leadflood.cli.database_command import AsJson


def version(*, as_json: AsJson = False) -> None:
    """Print the version."""
    if as_json:
        print_json({"version": __version__})
        return
    print_data(__version__)


def _print_and_exit(is_requested: bool) -> None:
    if is_requested:
        version()
        raise typer.Exit


AsVersion = Annotated[
    bool,
    typer.Option("--version", help="Print the version.", callback=_print_and_exit, is_eager=True),
]


def root(*, _as_version: AsVersion = False) -> None:
    """Find, enrich, score, write to and send: a lead engine in one process."""
