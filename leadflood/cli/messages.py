"""`leadflood messages`: read drafts with their facts, let them go or not."""

from typing import Annotated
from uuid import UUID

import typer

from leadflood.app import Storage
from leadflood.cli.console import print_data, print_json, print_table
from leadflood.cli.database_command import AsJson, Reason, terminal_user, with_storage
from leadflood.cli.sending import messaging_of
from leadflood.domain.messages.schemas import (
    Decider,
    MessageDetail,
    MessageFilter,
    MessageState,
    MessageView,
)

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
    message_filter = MessageFilter(state=state, run_id=run)
    messages = with_storage(
        lambda storage: messaging_of(storage).messages.list(message_filter, limit=limit)
    )
    if as_json:
        print_json(messages)
        return
    print_table(
        ("id", "drafted", "state", "send", "to", "subject"),
        [
            (
                message.id,
                f"{message.drafted_at:%Y-%m-%d %H:%M}",
                message.state,
                message.intent_state,
                message.to_address,
                message.subject or message.reason,
            )
            for message in messages
        ],
    )


@app.command()
def show(message: MessageId, *, as_json: AsJson = False) -> None:
    """Show a message with the facts that carry it."""
    detail = with_storage(lambda storage: messaging_of(storage).messages.get(message))
    if as_json:
        print_json(detail)
        return
    _print_message(detail)


@app.command()
def approve(message: MessageId, *, as_json: AsJson = False) -> None:
    """Approve a waiting message."""

    async def work(storage: Storage) -> MessageView:
        publisher = storage.producer()
        approval = storage.messaging(publisher).approval
        async with publisher.transaction() as publication:
            return await approval.approve(publication, message, Decider(by=terminal_user()))

    _print_state(with_storage(work), as_json=as_json)


@app.command()
def reject(message: MessageId, reason: Reason = "", *, as_json: AsJson = False) -> None:
    """Keep a draft from going."""

    async def work(storage: Storage) -> MessageView:
        publisher = storage.producer()
        approval = storage.messaging(publisher).approval
        async with publisher.transaction() as publication:
            return await approval.reject(publication, message, Decider(by=terminal_user()), reason)

    _print_state(with_storage(work), as_json=as_json)


def _print_state(message: MessageView, *, as_json: bool) -> None:
    if as_json:
        print_json(message)
        return
    print_data(f"{message.id} is {message.state} now")


def _print_message(detail: MessageDetail) -> None:
    message = detail.message
    print_data(f"{message.id} is {message.state} {message.reason}".rstrip())
    print_data(f"to:      {message.to_address} ({message.channel or 'no channel'})")
    print_data(f"by:      {message.writer}")
    print_data(f"subject: {message.subject}\n\n{message.body}\n")
    for number, parameter in enumerate(message.parameters, 1):
        print_data(f"parameter {number}: {parameter}")
    for fact in detail.facts:
        print_data(f"fact {fact.number}: {fact.field} = {fact.value} ({fact.field_value_id})")
    for problem in detail.problems:
        print_data(f"problem: {problem.code}: {problem.detail}")
