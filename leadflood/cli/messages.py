"""`leadflood messages`: list and show messages; approve or reject drafts."""

from typing import Annotated
from uuid import UUID

import typer

from leadflood.cli import command_audit
from leadflood.cli.console import format_time, print_data, print_json, print_table
from leadflood.cli.database_command import AsJson, Reason, terminal_user, with_storage
from leadflood.domain.messages.schemas import (
    Decider,
    MessageDetail,
    MessageFilter,
    MessageState,
    MessageView,
)
from leadflood.engine.db.tx import Tx
from leadflood.wiring.storage import Storage

app = typer.Typer(no_args_is_help=True, help="Messages: list, show, approve, reject.")
MessageId = Annotated[UUID, typer.Argument(metavar="ID")]
Again = Annotated[
    bool, typer.Option("--again", help="Also to somebody who got a first message before.")
]


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
        lambda storage: storage.messaging().messages.list(message_filter, limit=limit)
    )
    if as_json:
        print_json(messages)
        return
    print_table(
        ("id", "drafted", "state", "send", "to", "subject"),
        [
            (
                message.id,
                format_time(message.drafted_at),
                message.state,
                message.intent_state,
                message.to_address,
                message.subject or message.reason,
            )
            for message in messages
        ],
    )


@app.command()
def show(message_id: MessageId, *, as_json: AsJson = False) -> None:
    """Show a message with the facts it cites and the problems of its check."""
    detail = with_storage(lambda storage: storage.messaging().messages.get(message_id))
    if as_json:
        print_json(detail)
        return
    _print_message(detail)


@app.command()
def approve(message_id: MessageId, *, again: Again = False, as_json: AsJson = False) -> None:
    """Approve a waiting message: it is sent."""
    message = with_storage(lambda storage: _approve(storage, message_id, again=again))
    _print_state(message, as_json=as_json)


@app.command()
def reject(message_id: MessageId, reason: Reason = "", *, as_json: AsJson = False) -> None:
    """Reject a waiting message: it is not sent."""
    message = with_storage(lambda storage: _reject(storage, message_id, reason))
    _print_state(message, as_json=as_json)


async def _approve(storage: Storage, message_id: UUID, *, again: bool) -> MessageView:
    publisher = storage.producer()
    approval = storage.messaging(publisher).approval
    async with publisher.transaction() as publication:
        decider = Decider(by=terminal_user(), repeats=again)
        message = await approval.approve(publication, message_id, decider)
        await _audit(storage, publication.tx, "message.approved", message, again=again)
    return message


async def _reject(storage: Storage, message_id: UUID, reason: str) -> MessageView:
    publisher = storage.producer()
    approval = storage.messaging(publisher).approval
    async with publisher.transaction() as publication:
        decider = Decider(by=terminal_user())
        message = await approval.reject(publication, message_id, decider, reason)
        await _audit(storage, publication.tx, "message.rejected", message)
    return message


async def _audit(
    storage: Storage, tx: Tx, action: str, message: MessageView, **detail: object
) -> None:
    shown = {"lead": str(message.lead_id), "version": message.version, **detail}
    await command_audit.record(storage, tx, action, message.id, "", **shown)


def _print_state(message: MessageView, *, as_json: bool) -> None:
    if as_json:
        print_json(message)
        return
    print_data(f"{message.id} is {message.state} now")


def _print_message(detail: MessageDetail) -> None:
    message = detail.message
    print_data(f"{message.id} is {message.state} {message.reason}".rstrip())
    if message.intent_state is not None:
        sending = (message.intent_state, message.intent_code, message.intent_detail)
        print_data(f"sending: {' '.join(part for part in sending if part)}")
    if message.earlier_message_id is not None:
        print_data(f"earlier: {message.earlier_message_id}")
    print_data(f"to:      {message.to_address} ({message.channel or 'no channel'})")
    print_data(f"by:      {message.writer}")
    print_data(f"subject: {message.subject}\n\n{message.body}\n")
    for number, parameter in enumerate(message.parameters, 1):
        print_data(f"parameter {number}: {parameter}")
    for fact in detail.facts:
        print_data(f"fact {fact.number}: {fact.field} = {fact.value} ({fact.field_value_id})")
    for problem in detail.problems:
        print_data(f"problem: {problem.code}: {problem.detail}")
