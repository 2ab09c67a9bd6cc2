"""`leadflood suppress`: the suppression list. Only keyed hashes are kept."""

from typing import Annotated
from uuid import UUID

import typer

from leadflood.cli.console import print_data, print_json, print_table
from leadflood.cli.database_command import AsJson, Reason, terminal_user, with_storage
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
    suppression = with_storage(
        lambda storage: messaging_of(storage).suppress(kind, value, reason, by=terminal_user())
    )
    _print(suppression, "is suppressed", as_json=as_json)


@app.command("list")
def list_lines(
    limit: Annotated[int, typer.Option(min=1, max=10_000)] = 100, *, as_json: AsJson = False
) -> None:
    """List the suppression list, newest first."""
    suppressions = with_storage(lambda storage: messaging_of(storage).list_suppressed(limit=limit))
    if as_json:
        print_json(suppressions)
        return
    print_table(
        ("id", "since", "kind", "hint", "reason", "source", "by"),
        [
            (
                suppression.id,
                f"{suppression.created_at:%Y-%m-%d %H:%M}",
                suppression.kind,
                suppression.hint,
                suppression.reason,
                suppression.source,
                suppression.by,
            )
            for suppression in suppressions
        ],
    )


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
        suppression = with_storage(
            lambda storage: messaging_of(storage).lift(line_id, terminal_user())
        )
    else:
        kind = _kind_of(kind_or_id)
        suppression = with_storage(
            lambda storage: messaging_of(storage).lift_value(kind, value, terminal_user())
        )
    _print(suppression, "is no longer suppressed", as_json=as_json)


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


def _print(suppression: SuppressionView, what: str, *, as_json: bool) -> None:
    if as_json:
        print_json(suppression)
        return
    print_data(f"{suppression.kind} {suppression.hint} {what} ({suppression.id})")
