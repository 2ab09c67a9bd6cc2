"""`leadflood sending`: hold and release all sending; resolve unknown sends."""

from enum import StrEnum
from typing import Annotated
from uuid import UUID

import typer

from leadflood.app import Storage
from leadflood.cli.console import print_data, print_json, print_table
from leadflood.cli.database_command import AsJson, Reason, terminal_user, with_storage
from leadflood.domain.messaging.schemas import IntentView, SendingStatus
from leadflood.domain.messaging.service import MessagingService

app = typer.Typer(no_args_is_help=True, help="Hold or release sending; resolve unknown sends.")
unknown_app = typer.Typer(no_args_is_help=True, help="Sends that may or may not have arrived.")
app.add_typer(unknown_app, name="unknown")


class SendResult(StrEnum):
    """What an operator found out about an unknown send."""

    SENT = "sent"
    NOT_SENT = "not-sent"


def messaging_of(storage: Storage) -> MessagingService:
    """Return the service of messages for a process that is no node."""
    return storage.messaging(storage.producer())


@app.command()
def hold(reason: Reason = "", *, as_json: AsJson = False) -> None:
    """Stop all sending. Once this answers, only the listed sends may still arrive."""
    _print_status(
        with_storage(lambda storage: messaging_of(storage).hold(terminal_user(), reason)),
        as_json=as_json,
    )


@app.command()
def release(reason: Reason = "", *, as_json: AsJson = False) -> None:
    """Release sending."""
    _print_status(
        with_storage(lambda storage: messaging_of(storage).release(terminal_user(), reason)),
        as_json=as_json,
    )


@app.command()
def status(*, as_json: AsJson = False) -> None:
    """Show whether sending is held, and what may still arrive."""
    _print_status(
        with_storage(lambda storage: messaging_of(storage).sending_status()), as_json=as_json
    )


@unknown_app.command("list")
def list_unknown(
    limit: Annotated[int, typer.Option(min=1, max=10_000)] = 100, *, as_json: AsJson = False
) -> None:
    """List the sends that may or may not have arrived, oldest first."""
    intents = with_storage(lambda storage: messaging_of(storage).unknown_list(limit=limit))
    if as_json:
        print_json(intents)
        return
    _print_intents(intents)


@unknown_app.command()
def resolve(
    send: Annotated[UUID, typer.Argument(metavar="ID")],
    arrived: Annotated[SendResult, typer.Argument()],
    *,
    as_json: AsJson = False,
) -> None:
    """Record whether an unknown send arrived; one that did not is sent again."""
    is_sent = arrived is SendResult.SENT
    state = with_storage(
        lambda storage: messaging_of(storage).resolve_unknown(
            send, sent=is_sent, by=terminal_user()
        )
    )
    if as_json:
        print_json({"id": send, "state": state})
        return
    print_data(f"{send} is {state} now")


def _print_status(sending: SendingStatus, *, as_json: bool) -> None:
    if as_json:
        print_json(sending)
        return
    state = "HELD" if sending.held else "released"
    why = f" ({sending.reason})" if sending.reason else ""
    when = f" since {sending.changed_at:%Y-%m-%d %H:%M} UTC" if sending.changed_at else ""
    print_data(f"sending is {state} by {sending.by}{when}{why}")
    counts = ", ".join(f"{count} {state}" for state, count in sending.counts.items() if count)
    print_data(f"sends: {counts or 'none'}")
    if sending.sending:
        print_data("may still arrive:")
        _print_intents(sending.sending)


def _print_intents(intents: tuple[IntentView, ...]) -> None:
    print_table(
        ("id", "channel", "to", "state", "since", "code"),
        [
            (
                intent.id,
                intent.channel,
                intent.to_hint,
                intent.state,
                f"{intent.sending_at:%Y-%m-%d %H:%M:%S}" if intent.sending_at else "",
                intent.code,
            )
            for intent in intents
        ],
    )
