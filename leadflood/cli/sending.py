"""`leadflood sending`: hold and release all sending; resolve unknown sends."""

from collections.abc import Sequence
from datetime import UTC, datetime
from enum import StrEnum
from typing import Annotated
from uuid import UUID

import typer

from leadflood.cli import command_audit
from leadflood.cli.console import count_messages, format_time, print_data, print_json, print_table
from leadflood.cli.database_command import AsJson, Reason, terminal_user, with_storage
from leadflood.contracts.values import Channel
from leadflood.domain.sending.schemas import (
    IntentState,
    IntentView,
    SendingStatus,
    UnknownFilter,
    UnknownSummary,
    WaitingSummary,
)
from leadflood.engine.ids import OLDEST
from leadflood.wiring.storage import Storage

PAGE = 500
RESOLVE_ADVICE = (
    "`leadflood sending unknown list` names them; then `leadflood sending unknown resolve ID"
    " sent|not-sent`, or many at once: `resolve-all sent|not-sent --channel … --before …`"
)

app = typer.Typer(no_args_is_help=True, help="Hold or release sending; resolve unknown sends.")
unknown_app = typer.Typer(no_args_is_help=True, help="Sends that may or may not have arrived.")
app.add_typer(unknown_app, name="unknown")


class ArrivalAnswer(StrEnum):
    """Whether an unknown send arrived, as a person found out."""

    SENT = "sent"
    NOT_SENT = "not-sent"


@app.command()
def hold(reason: Reason = "", *, as_json: AsJson = False) -> None:
    """Hold all sending; only the sends that this command lists may still arrive."""
    status = with_storage(lambda storage: _hold(storage, reason), proves_secret=False)
    _print_status(status, as_json=as_json)


@app.command()
def release(reason: Reason = "", *, as_json: AsJson = False) -> None:
    """Release sending."""
    status = with_storage(lambda storage: _release(storage, reason))
    _print_status(status, as_json=as_json)


@app.command("status")
def show_status(*, as_json: AsJson = False) -> None:
    """Show whether sending is held, and which sends may still arrive."""
    status = with_storage(lambda storage: storage.messaging().sending.status(), proves_secret=False)
    _print_status(status, as_json=as_json)


@unknown_app.command("list")
def list_unknown(
    limit: Annotated[int, typer.Option(min=1, max=10_000)] = 100, *, as_json: AsJson = False
) -> None:
    """List the sends that may or may not have arrived, oldest first."""
    intents = with_storage(lambda storage: storage.messaging().unknown_sends.list(limit=limit))
    if as_json:
        print_json(intents)
        return
    _print_intents(intents)


@unknown_app.command()
def resolve(
    send_id: Annotated[UUID, typer.Argument(metavar="ID")],
    answer: Annotated[ArrivalAnswer, typer.Argument(help="Whether it arrived.")],
    *,
    as_json: AsJson = False,
) -> None:
    """Record whether an unknown send arrived; one that did not is sent again."""
    has_arrived = answer is ArrivalAnswer.SENT
    state = with_storage(lambda storage: _resolve(storage, send_id, has_arrived=has_arrived))
    if as_json:
        print_json({"id": send_id, "state": state})
        return
    print_data(f"{send_id} is {state} now")


@unknown_app.command("resolve-all")
def resolve_all(
    answer: Annotated[ArrivalAnswer, typer.Argument(help="Whether they arrived.")],
    channel: Annotated[Channel | None, typer.Option(help="Only those of a channel.")] = None,
    before: Annotated[
        datetime | None, typer.Option(help="Only those handed over before this time (UTC).")
    ] = None,
    *,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    as_json: AsJson = False,
) -> None:
    """Record of many unknown sends whether they arrived; those that did not are sent again."""
    sent_before = None if before is None else before.replace(tzinfo=UTC)
    chosen = UnknownFilter(channel=channel, sent_before=sent_before)
    has_arrived = answer is ArrivalAnswer.SENT
    if not (yes or has_arrived):
        typer.confirm("Send all of them again?", abort=True, err=True)
    count = with_storage(lambda storage: _resolve_all(storage, chosen, has_arrived=has_arrived))
    if as_json:
        print_json({"resolved": count})
        return
    print_data(f"{count} sends are {'accepted' if has_arrived else 'ready to go again'} now")


async def _resolve_all(storage: Storage, chosen: UnknownFilter, *, has_arrived: bool) -> int:
    """Resolve page by page, each in a transaction of its own; return how many."""
    publisher = storage.producer()
    unknown_sends = storage.messaging(publisher).unknown_sends
    count, after = 0, OLDEST
    while views := await unknown_sends.list(chosen, after=after, limit=PAGE):
        after = views[-1].id
        async with publisher.transaction() as publication:
            results = await unknown_sends.resolve_many(
                publication, [view.id for view in views], sent=has_arrived, by=terminal_user()
            )
            resolved = sum(result.is_resolved for result in results)
            await command_audit.record(
                storage, publication.tx, "sending.resolved_many", sent=has_arrived, count=resolved
            )
        count += resolved
    return count


async def _hold(storage: Storage, reason: str) -> SendingStatus:
    async with storage.db.transaction() as tx:
        status = await storage.messaging().sending.hold(tx, terminal_user(), reason)
        await command_audit.record(storage, tx, "sending.held", reason=reason)
    return status


async def _release(storage: Storage, reason: str) -> SendingStatus:
    async with storage.db.transaction() as tx:
        status = await storage.messaging().sending.release(tx, terminal_user(), reason)
        await command_audit.record(storage, tx, "sending.released", reason=reason)
    return status


async def _resolve(storage: Storage, send_id: UUID, *, has_arrived: bool) -> IntentState:
    publisher = storage.producer()
    unknown_sends = storage.messaging(publisher).unknown_sends
    async with publisher.transaction() as publication:
        state = await unknown_sends.resolve(
            publication, send_id, sent=has_arrived, by=terminal_user()
        )
        await command_audit.record(
            storage, publication.tx, "sending.resolved", send_id, "intent", sent=has_arrived
        )
    return state


def _print_status(status: SendingStatus, *, as_json: bool) -> None:
    if as_json:
        print_json(status)
        return
    print_data(format_switch(status))
    counts = ", ".join(f"{count} {state}" for state, count in status.counts.items() if count)
    print_data(f"sends: {counts or 'none'}")
    if status.sending:
        print_data("may still arrive:")
        _print_intents(status.sending)
    for line in (*describe_waiting(status.waiting), *describe_unknown(status.unknown)):
        print_data(line)


def describe_waiting(summaries: Sequence[WaitingSummary]) -> list[str]:
    """Return what ready messages wait for, a line each."""
    return [f"waiting: {count_messages(each.count)}: {each.detail}" for each in summaries]


def describe_unknown(summaries: Sequence[UnknownSummary]) -> list[str]:
    """Return what is unknown, what to look at, and how to say what was seen."""
    lines = [
        f"unknown: {each.count} by {each.channel}, handed over"
        f" {format_time(each.oldest_at)} to {format_time(each.newest_at)} UTC;"
        f" look at {each.look_at}"
        for each in summaries
    ]
    return [*lines, RESOLVE_ADVICE] if lines else []


def format_switch(status: SendingStatus) -> str:
    """Return whether sending is held, by whom, since when and why."""
    state = "HELD" if status.held else "released"
    operator = f" by {status.by}" if status.by else ""
    since = f" since {format_time(status.changed_at)} UTC" if status.changed_at else ""
    reason = f" ({status.reason})" if status.reason else ""
    return f"sending is {state}{operator}{since}{reason}"


def _print_intents(intents: tuple[IntentView, ...]) -> None:
    print_table(
        ("id", "channel", "to", "reference", "state", "since", "code"),
        [
            (
                intent.id,
                intent.channel,
                intent.to_hint,
                intent.reference,
                intent.state,
                f"{intent.sending_at:%Y-%m-%d %H:%M:%S}" if intent.sending_at else "",
                intent.code,
            )
            for intent in intents
        ],
    )
