"""`leadflood messages`: read drafts with their facts, let them go or not."""

from typing import Annotated
from uuid import UUID

import typer

from leadflood.cli.console import print_data, print_json
from leadflood.cli.database_command import AsJson, Reason, print_table, who, with_storage
from leadflood.cli.sending import messaging_of
from leadflood.domain.messaging.schemas import MessageDetail, MessageState, MessageView

app = typer.Typer(no_args_is_help=True, help="Drafts: list, show, approve, reject.")
MessageId = Annotated[UUID, typer.Argument(metavar="ID")]


@app.command("list")
def list_messages(
    state: Annotated[MessageState | None, typer.Option(help="Only in this state.")] = None,
    run: Annotated[UUID | None, typer.Option("--run", help="Only of this run.")] = None,
    limit: Annotated[int, typer.Option(min=1, max=10_000)] = 50,
    *,
    as_json: AsJson = False,
) -> None:
    """List messages, newest first."""
    found = with_storage(
        lambda one: messaging_of(one).list_messages(state=state, run_id=run, limit=limit)
    )
    if as_json:
        print_json(found)
        return
    print_table(
        ("id", "drafted", "state", "send", "to", "subject"),
        [
            (one.id, f"{one.drafted_at:%Y-%m-%d %H:%M}", one.state, one.intent_state,
             one.to_address, one.subject or one.reason)
            for one in found
        ],
    )  # fmt: skip


@app.command()
def show(message: MessageId, *, as_json: AsJson = False) -> None:
    """Show a message with the facts that carry it."""
    found = with_storage(lambda one: messaging_of(one).show(message))
    if as_json:
        print_json(found)
        return
    _print_message(found)


@app.command()
def approve(message: MessageId, *, as_json: AsJson = False) -> None:
    """Let a waiting message go."""
    _tell(with_storage(lambda one: messaging_of(one).approve(message, who())), as_json=as_json)


@app.command()
def reject(message: MessageId, reason: Reason = "", *, as_json: AsJson = False) -> None:
    """Keep a draft from going."""
    rejected = with_storage(lambda one: messaging_of(one).reject(message, who(), reason))
    _tell(rejected, as_json=as_json)


def _tell(message: MessageView, *, as_json: bool) -> None:
    if as_json:
        print_json(message)
        return
    print_data(f"{message.id} is {message.state} now")


def _print_message(found: MessageDetail) -> None:
    message = found.message
    print_data(f"{message.id} is {message.state} {message.reason}".rstrip())
    print_data(f"to:      {message.to_address} ({message.channel or 'no channel'})")
    print_data(f"by:      {message.writer}")
    print_data(f"subject: {message.subject}\n\n{message.body}\n")
    for place, parameter in enumerate(message.parameters, 1):
        print_data(f"parameter {place}: {parameter}")
    for fact in found.facts:
        print_data(f"fact {fact.number}: {fact.field} = {fact.value} ({fact.field_value_id})")
    for problem in found.problems:
        print_data(f"problem: {problem.code}: {problem.detail}")
