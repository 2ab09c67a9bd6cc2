"""`leadflood opt-ins`: the channels a lead has agreed to, with the evidence."""

from datetime import UTC, datetime
from typing import Annotated
from uuid import UUID

import typer

from leadflood.app import Storage
from leadflood.cli.console import print_data, print_json, print_table
from leadflood.cli.database_command import AsJson, Reason, terminal_user, with_storage
from leadflood.contracts.values import Channel
from leadflood.domain.leads.schemas import OptInEvidence
from leadflood.domain.messaging.schemas import OptInView

app = typer.Typer(no_args_is_help=True, help="Opt-ins of leads: add, remove, list.")
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
    """Record that a lead agreed to be contacted on a channel."""
    obtained = None if obtained_at is None else obtained_at.replace(tzinfo=UTC)
    evidence = OptInEvidence(wording=wording, source=source, obtained_at=obtained)

    async def record(storage: Storage) -> OptInView:
        publisher = storage.producer()
        messaging = storage.messaging(publisher)
        async with publisher.transaction() as publication:
            return await messaging.record_opt_in(
                publication, lead, channel, evidence, terminal_user()
            )

    opt_in = with_storage(record)
    if as_json:
        print_json(opt_in)
        return
    print_data(f"{opt_in.hint} has agreed to {opt_in.channel} ({opt_in.id})")


@app.command()
def remove(lead: LeadId, channel: ChannelName, reason: Reason = "") -> None:
    """Record that a lead withdrew its agreement: nothing more is sent there."""

    async def withdraw(storage: Storage) -> None:
        publisher = storage.producer()
        messaging = storage.messaging(publisher)
        async with publisher.transaction() as publication:
            await messaging.withdraw_opt_in(publication, lead, channel, terminal_user(), reason)

    with_storage(withdraw)
    print_data(f"lead {lead} no longer agrees to {channel}")


@app.command("list")
def list_opt_ins(lead: LeadId, *, as_json: AsJson = False) -> None:
    """List the opt-ins of a lead, live and withdrawn, newest first."""

    async def read(storage: Storage) -> list[OptInView]:
        return await storage.messaging(storage.producer()).list_opt_ins(lead)

    opt_ins = with_storage(read)
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
