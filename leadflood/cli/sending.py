"""`leadflood sending`: hold everything, release it, settle what nobody knows."""

from enum import StrEnum
from typing import Annotated
from uuid import UUID

import typer

from leadflood.app import Storage
from leadflood.cli.console import print_data, print_json
from leadflood.cli.database_command import AsJson, Reason, print_table, who, with_storage
from leadflood.domain.messaging.schemas import IntentView, SendingStatus
from leadflood.domain.messaging.service import MessagingService

app = typer.Typer(no_args_is_help=True, help="Hold or release sending; settle unknown sends.")
unknown_app = typer.Typer(no_args_is_help=True, help="Sends that may or may not have arrived.")
app.add_typer(unknown_app, name="unknown")


class Arrived(StrEnum):
    """What a person knows of an unknown send."""

    SENT = "sent"
    NOT_SENT = "not-sent"


def messaging_of(storage: Storage) -> MessagingService:
    """Make the use cases of messages for a process that is no node."""
    return storage.messaging(storage.producer())


@app.command()
def hold(reason: Reason = "", *, as_json: AsJson = False) -> None:
    """Stop all sending. Once this answers, only the listed sends may still arrive."""
    _show(with_storage(lambda one: messaging_of(one).hold(who(), reason)), as_json=as_json)


@app.command()
def release(reason: Reason = "", *, as_json: AsJson = False) -> None:
    """Let sending go on."""
    _show(with_storage(lambda one: messaging_of(one).release(who(), reason)), as_json=as_json)


@app.command()
def status(*, as_json: AsJson = False) -> None:
    """Tell whether sending is held, and what may still arrive."""
    _show(with_storage(lambda one: messaging_of(one).sending_status()), as_json=as_json)


@unknown_app.command("list")
def list_unknown(
    limit: Annotated[int, typer.Option(min=1, max=10_000)] = 100, *, as_json: AsJson = False
) -> None:
    """List the sends of which nobody knows whether they arrived, oldest first."""
    found = with_storage(lambda one: messaging_of(one).unknown_list(limit=limit))
    if as_json:
        print_json(found)
        return
    _print_intents(found)


@unknown_app.command()
def resolve(
    send: Annotated[UUID, typer.Argument(metavar="ID")],
    arrived: Annotated[Arrived, typer.Argument()],
    *,
    as_json: AsJson = False,
) -> None:
    """Say whether an unknown send arrived; one that did not goes again."""
    is_sent = arrived is Arrived.SENT
    state = with_storage(
        lambda one: messaging_of(one).resolve_unknown(send, sent=is_sent, by=who())
    )
    if as_json:
        print_json({"id": send, "state": state})
        return
    print_data(f"{send} is {state} now")


def _show(told: SendingStatus, *, as_json: bool) -> None:
    if as_json:
        print_json(told)
        return
    state = "HELD" if told.held else "released"
    why = f" ({told.reason})" if told.reason else ""
    when = f" since {told.changed_at:%Y-%m-%d %H:%M} UTC" if told.changed_at else ""
    print_data(f"sending is {state} by {told.by}{when}{why}")
    counts = ", ".join(f"{count} {state}" for state, count in told.counts.items() if count)
    print_data(f"sends: {counts or 'none'}")
    if told.sending:
        print_data("may still arrive:")
        _print_intents(told.sending)


def _print_intents(intents: tuple[IntentView, ...]) -> None:
    print_table(
        ("id", "channel", "to", "state", "since", "code"),
        [
            (one.id, one.channel, one.to_hint, one.state,
             f"{one.sending_at:%Y-%m-%d %H:%M:%S}" if one.sending_at else "", one.code)
            for one in intents
        ],
    )  # fmt: skip
