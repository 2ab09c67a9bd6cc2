"""`leadflood suppress`: whom nothing is ever sent to. Only keyed hashes are kept."""

from typing import Annotated
from uuid import UUID

import typer

from leadflood.app import Storage
from leadflood.cli.console import print_data, print_json, print_table
from leadflood.cli.database_command import AsJson, Reason, terminal_user, with_storage
from leadflood.cli.sending import messaging_of
from leadflood.domain.suppressions.schemas import (
    SuppressionInput,
    SuppressionKind,
    SuppressionView,
)

app = typer.Typer(no_args_is_help=True, help="The suppression list: add, list, remove.")
Kind = Annotated[SuppressionKind, typer.Argument()]
SOURCE = "manual"


@app.command()
def add(
    kind: Kind,
    value: Annotated[str, typer.Argument(help="The address, domain, channel or lead id.")],
    reason: Reason = "asked on the command line",
    *,
    as_json: AsJson = False,
) -> None:
    """Never write to an address, a domain with all below it, a channel or a lead again."""
    suppression = SuppressionInput(kind=kind, value=value, reason=reason)

    async def work(storage: Storage) -> SuppressionView:
        suppressions = messaging_of(storage).suppressions
        async with storage.db.transaction() as tx:
            return await suppressions.add(tx, suppression, by=terminal_user(), source=SOURCE)

    _print_line(with_storage(work), "is suppressed", as_json=as_json)


@app.command("list")
def list_lines(
    limit: Annotated[int, typer.Option(min=1, max=10_000)] = 100, *, as_json: AsJson = False
) -> None:
    """List the suppression list, newest first."""
    lines = with_storage(lambda storage: messaging_of(storage).suppressions.list(limit=limit))
    if as_json:
        print_json(lines)
        return
    print_table(
        ("id", "since", "kind", "hint", "reason", "source", "by"),
        [
            (
                line.id,
                f"{line.created_at:%Y-%m-%d %H:%M}",
                line.kind,
                line.hint,
                line.reason,
                line.source,
                line.by,
            )
            for line in lines
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
    line = _id_of(kind_or_id) if value is None else (_kind_of(kind_or_id), value)

    async def lift(storage: Storage) -> SuppressionView:
        suppressions = messaging_of(storage).suppressions
        line_id = line if isinstance(line, UUID) else (await suppressions.get(*line)).id
        async with storage.db.transaction() as tx:
            return await suppressions.lift(tx, line_id, terminal_user())

    _print_line(with_storage(lift), "is no longer suppressed", as_json=as_json)


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


def _print_line(line: SuppressionView, end: str, *, as_json: bool) -> None:
    if as_json:
        print_json(line)
        return
    print_data(f"{line.kind} {line.hint} {end} ({line.id})")
