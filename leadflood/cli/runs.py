"""`leadflood runs`: what a run waits for, and what it may cost."""

from typing import Annotated
from uuid import UUID

import msgspec
import typer
from msgspec import UNSET

from leadflood.cli import command_audit
from leadflood.cli.console import (
    USAGE_ERROR,
    count_messages,
    format_money,
    format_time,
    print_data,
    print_json,
)
from leadflood.cli.database_command import AsJson, with_storage
from leadflood.cli.run.command import parse_budget
from leadflood.domain.auth.schemas.principals import EVERYTHING
from leadflood.domain.runs.schemas import CapChange, RunReport, RunWait
from leadflood.engine.errors import Invalid
from leadflood.engine.queue.runs import Run
from leadflood.wiring.storage import Storage

NO_CAP = "none"

app = typer.Typer(no_args_is_help=True, help="Runs: what they wait for, what they may cost.")
RunId = Annotated[UUID, typer.Argument(metavar="RUN")]


class ChangedRun(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """The caps of a run, and how many messages that waited for money go on."""

    id: UUID
    cap_micros: int | None
    lead_cap_micros: int | None
    resumed_count: int


@app.command()
def show(run_id: RunId, *, as_json: AsJson = False) -> None:
    """Show how far a run is, its money, and what it waits for."""
    report = with_storage(lambda storage: storage.runs.get_report(run_id, EVERYTHING))
    if as_json:
        print_json(report)
        return
    _print_report(report)


@app.command()
def cap(
    run_id: RunId,
    total: Annotated[
        str | None, typer.Argument(metavar="[MONEY]", help="The most it may cost, or `none`.")
    ] = None,
    *,
    lead: Annotated[
        str | None, typer.Option("--lead", help="The most that each lead may cost, or `none`.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Change what a run may cost, also one that has ended; messages that waited for it go."""
    if total is None and lead is None:
        raise Invalid.field("MONEY", "say how much: `leadflood runs cap RUN 25`", code=USAGE_ERROR)
    change = CapChange(
        cap_micros=_read_cap(total, "MONEY"), lead_cap_micros=_read_cap(lead, "--lead")
    )
    changed = with_storage(lambda storage: _change_caps(storage, run_id, change))
    if as_json:
        print_json(changed)
        return
    print_data(
        f"run {run_id}: {_describe_cap(changed.cap_micros)} in all,"
        f" {_describe_cap(changed.lead_cap_micros)} a lead;"
        f" {count_messages(changed.resumed_count)} that waited for it go on"
    )


async def _change_caps(storage: Storage, run_id: UUID, change: CapChange) -> ChangedRun:
    publisher = storage.producer()
    waiting_sends = storage.messaging(publisher).waiting_sends
    async with publisher.transaction() as publication:
        run = await storage.runs.change_caps(publication.tx, run_id, change, EVERYTHING)
        await command_audit.record(
            storage, publication.tx, "run.caps_changed", run_id, **msgspec.to_builtins(change)
        )
        resumed_count = await waiting_sends.resume_run(publication, run_id)
    return _show_change(run, resumed_count)


def _show_change(run: Run, resumed_count: int) -> ChangedRun:
    return ChangedRun(
        id=run.id,
        cap_micros=run.cap_micros,
        lead_cap_micros=run.lead_cap_micros,
        resumed_count=resumed_count,
    )


def _read_cap(text: str | None, option: str) -> int | msgspec.UnsetType | None:
    """Return a cap as a person writes it: money, `none`, or left out."""
    if text is None:
        return UNSET
    return None if text.strip().lower() == NO_CAP else parse_budget(text, option)


def _describe_cap(micros: int | None) -> str:
    return "no cap" if micros is None else f"at most {format_money(micros)}"


def _print_report(report: RunReport) -> None:
    run, funnel = report.run, report.funnel
    print_data(f"run {run.id} {run.kind} {run.title!r}: {run.state}, sends {run.sends}")
    print_data(
        f"leads: {funnel.found} found, {funnel.scored} scored, {funnel.high} HIGH;"
        f" messages: {funnel.drafted} drafted, {funnel.waiting} to approve, {funnel.ready} ready,"
        f" {funnel.accepted} sent"
    )
    print_data(
        f"money: {format_money(report.cap_used_micros)} used, {_describe_cap(run.cap_micros)}"
    )
    for wait in report.waits:
        print_data(describe_wait(wait))


def describe_wait(wait: RunWait) -> str:
    """Return what work of a run waits for, in one line."""
    again = "" if wait.again_at is None else f" (again at {format_time(wait.again_at)} UTC)"
    return f"waits: {wait.count} of {wait.stage}: {wait.reason}{again}"
