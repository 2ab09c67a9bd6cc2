"""`leadflood opt-ins`: list, add and remove the opt-ins of a lead, with their evidence."""

from datetime import UTC, datetime
from typing import Annotated
from uuid import UUID

import msgspec
import typer

from leadflood.cli import command_audit
from leadflood.cli.console import USAGE_ERROR, format_time, print_data, print_json, print_table
from leadflood.cli.database_command import AsJson, Reason, terminal_user, with_storage
from leadflood.contracts.values import Channel
from leadflood.domain.leads.schemas.inputs import OptInEvidence
from leadflood.domain.suppressions.schemas import OptInView
from leadflood.engine.errors import Invalid
from leadflood.wiring.storage import Storage

app = typer.Typer(no_args_is_help=True, help="Opt-ins of leads: add, remove, list.")
LeadId = Annotated[UUID, typer.Argument(metavar="LEAD")]
ChannelName = Annotated[Channel, typer.Argument(metavar="CHANNEL")]


@app.command()
def add(
    lead_id: LeadId,
    channel: ChannelName,
    wording: Annotated[str, typer.Option(help="The wording the person agreed to.")],
    source: Annotated[str, typer.Option(help="Where they agreed: a form, a file, a call.")],
    obtained_at: Annotated[
        datetime | None, typer.Option(help="When they agreed, in UTC; default: now.")
    ] = None,
    *,
    as_json: AsJson = False,
) -> None:
    """Record that a lead opted in to a channel."""
    moment = None if obtained_at is None else obtained_at.replace(tzinfo=UTC)
    evidence = _read_evidence(wording, source, moment)
    opt_in = with_storage(lambda storage: _record(storage, lead_id, channel, evidence))
    if as_json:
        print_json(opt_in)
        return
    print_data(f"{opt_in.hint} has agreed to {opt_in.channel} ({opt_in.id})")


@app.command()
def remove(lead_id: LeadId, channel: ChannelName, reason: Reason = "") -> None:
    """Withdraw the opt-in of a lead: nothing more is sent on that channel."""
    with_storage(lambda storage: _withdraw(storage, lead_id, channel, reason))
    print_data(f"lead {lead_id} no longer agrees to {channel}")


@app.command("list")
def list_opt_ins(lead_id: LeadId, *, as_json: AsJson = False) -> None:
    """List the opt-ins of a lead, withdrawn ones too, newest first."""
    opt_ins = with_storage(lambda storage: storage.messaging().opt_ins.list(lead_id))
    if as_json:
        print_json(opt_ins)
        return
    print_table(
        ("channel", "address", "since", "until", "source", "wording", "by"),
        [
            (
                opt_in.channel,
                opt_in.hint,
                format_time(opt_in.obtained_at),
                format_time(opt_in.withdrawn_at),
                opt_in.source,
                opt_in.wording,
                opt_in.recorded_by,
            )
            for opt_in in opt_ins
        ],
    )


def _read_evidence(wording: str, source: str, moment: datetime | None) -> OptInEvidence:
    """Return the evidence, within the limits that it has over HTTP. Raises: Invalid."""
    evidence = OptInEvidence(wording=wording, source=source, obtained_at=moment)
    try:
        return msgspec.convert(msgspec.to_builtins(evidence), OptInEvidence)
    except msgspec.ValidationError as error:
        raise Invalid(f"--wording or --source: {error}", code=USAGE_ERROR) from error


async def _record(
    storage: Storage, lead_id: UUID, channel: Channel, evidence: OptInEvidence
) -> OptInView:
    publisher = storage.producer()
    opt_ins = storage.messaging(publisher).opt_ins
    async with publisher.transaction() as publication:
        view = await opt_ins.record(publication, lead_id, channel, evidence, terminal_user())
        await command_audit.record(
            storage, publication.tx, "opt_in.recorded", lead_id, "lead", channel=channel
        )
    return view


async def _withdraw(storage: Storage, lead_id: UUID, channel: Channel, reason: str) -> None:
    publisher = storage.producer()
    opt_ins = storage.messaging(publisher).opt_ins
    async with publisher.transaction() as publication:
        await opt_ins.withdraw(publication, lead_id, channel, terminal_user(), reason)
        await command_audit.record(
            storage, publication.tx, "opt_in.withdrawn", lead_id, "lead", channel=channel
        )
