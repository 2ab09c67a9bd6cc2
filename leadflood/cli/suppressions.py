"""`leadflood suppress`: whom nothing is ever sent to. Only keyed hashes are kept."""

from typing import Annotated
from uuid import UUID

import typer

from leadflood.cli.console import print_data, print_json
from leadflood.cli.database_command import AsJson, Reason, print_table, who, with_storage
from leadflood.cli.sending import messaging_of
from leadflood.domain.messaging.schemas import SuppressionKind, SuppressionView

app = typer.Typer(no_args_is_help=True, help="The suppression list: add, list, remove.")
Kind = Annotated[SuppressionKind, typer.Argument()]


@app.command()
def add(
    kind: Kind,
    value: Annotated[str, typer.Argument(help="The address, domain, channel or lead id.")],
    reason: Reason = "asked on the command line",
    *,
    as_json: AsJson = False,
) -> None:
    """Never write to an address, a domain with all below it, a channel or a lead again."""
    line = with_storage(lambda one: messaging_of(one).suppress(kind, value, reason, by=who()))
    _tell(line, "is suppressed", as_json=as_json)


@app.command("list")
def list_lines(
    limit: Annotated[int, typer.Option(min=1, max=10_000)] = 100, *, as_json: AsJson = False
) -> None:
    """List the suppression list, newest first."""
    found = with_storage(lambda one: messaging_of(one).list_suppressed(limit=limit))
    if as_json:
        print_json(found)
        return
    print_table(
        ("id", "since", "kind", "hint", "reason", "source", "by"),
        [
            (one.id, f"{one.created_at:%Y-%m-%d %H:%M}", one.kind, one.hint, one.reason,
             one.source, one.by)
            for one in found
        ],
    )  # fmt: skip


@app.command()
def remove(
    kind_or_id: Annotated[str, typer.Argument(metavar="KIND|ID")],
    value: Annotated[str | None, typer.Argument(help="With a kind: the value.")] = None,
    *,
    as_json: AsJson = False,
) -> None:
    """Take a line off the list: by its id, or by kind and value."""
    if value is None:
        line_id = _id_of(kind_or_id)
        line = with_storage(lambda one: messaging_of(one).lift(line_id, who()))
    else:
        kind = _kind_of(kind_or_id)
        line = with_storage(lambda one: messaging_of(one).lift_value(kind, value, who()))
    _tell(line, "is no longer suppressed", as_json=as_json)


def _id_of(text: str) -> UUID:
    try:
        return UUID(text)
    except ValueError as error:
        raise typer.BadParameter("write an id, or a kind and a value") from error


def _kind_of(text: str) -> SuppressionKind:
    try:
        return SuppressionKind(text)
    except ValueError as error:
        kinds = ", ".join(SuppressionKind)
        raise typer.BadParameter(f"{text!r} is no kind: write one of {kinds}") from error


def _tell(line: SuppressionView, what: str, *, as_json: bool) -> None:
    if as_json:
        print_json(line)
        return
    print_data(f"{line.kind} {line.hint} {what} ({line.id})")
