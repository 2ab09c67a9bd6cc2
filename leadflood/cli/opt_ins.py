"""`leadflood opt-ins`: which channels a lead has agreed to, and what proves it."""

from datetime import UTC, datetime
from typing import Annotated
from uuid import UUID

import typer

from leadflood.app import Storage
from leadflood.cli.console import print_data, print_json, print_table
from leadflood.cli.database_command import AsJson, Reason, terminal_user, with_storage
from leadflood.cli.sending import messaging_of
from leadflood.contracts.values import Channel
from leadflood.domain.leads.schemas.inputs import OptInEvidence
from leadflood.domain.suppressions.schemas import OptInView

app = typer.Typer(no_args_is_help=True, help="What leads agreed to: add, remove, list.")
LeadId = Annotated[UUID, typer.Argument(metavar="LEAD")]
ChannelName = Annotated[Channel, typer.Argument(metavar="CHANNEL")]


@app.command()
def add(
    lead: LeadId,
    channel: ChannelName,
    wording: Annotated[str, typer.Option(help="The words the person agreed to.")],
    source: Annotated[str, typer.Option(help="Where: a form's address, a file, a call.")],
    obtained_at: Annotated[datetime | None, typer.Option(help="When, in UTC; now if left out.")] = (
        None
    ),
    *,
    as_json: AsJson = False,
) -> None:
    """Write down that a lead agreed to be written to on a channel."""
    obtained = None if obtained_at is None else obtained_at.replace(tzinfo=UTC)
    evidence = OptInEvidence(wording=wording, source=source, obtained_at=obtained)

    async def record(storage: Storage) -> OptInView:
        publisher = storage.producer()
        opt_ins = storage.messaging(publisher).opt_ins
        async with publisher.transaction() as publication:
            return await opt_ins.record(publication, lead, channel, evidence, terminal_user())

    opt_in = with_storage(record)
    if as_json:
        print_json(opt_in)
        return
    print_data(f"{opt_in.hint} has agreed to {opt_in.channel} ({opt_in.id})")


@app.command()
def remove(lead: LeadId, channel: ChannelName, reason: Reason = "") -> None:
    """Write down that a lead took its agreement back: nothing more is sent there."""

    async def withdraw(storage: Storage) -> None:
        publisher = storage.producer()
        opt_ins = storage.messaging(publisher).opt_ins
        async with publisher.transaction() as publication:
            await opt_ins.withdraw(publication, lead, channel, terminal_user(), reason)

    with_storage(withdraw)
    print_data(f"lead {lead} no longer agrees to {channel}")


@app.command("list")
def list_opt_ins(lead: LeadId, *, as_json: AsJson = False) -> None:
    """List what a lead agreed to, live and withdrawn, newest first."""
    opt_ins = with_storage(lambda storage: messaging_of(storage).opt_ins.list(lead))
    if as_json:
        print_json(opt_ins)
        return
    print_table(
        ("channel", "address", "since", "until", "source", "wording", "by"),
        [
            (
                opt_in.channel,
                opt_in.hint,
                f"{opt_in.obtained_at:%Y-%m-%d %H:%M}",
                opt_in.withdrawn_at and f"{opt_in.withdrawn_at:%Y-%m-%d %H:%M}",
                opt_in.source,
                opt_in.wording,
                opt_in.recorded_by,
            )
            for opt_in in opt_ins
        ],
    )
