"""Report of the demo: the best leads, one message, the funnel, the ledger beside the invoices."""

from collections.abc import Sequence
from uuid import UUID

from rich.table import Table

from leadflood.app import Node
from leadflood.cli.console import format_money, print_message, stderr_console
from leadflood.cli.demo.outcome import DemoOutcome
from leadflood.cli.demo.progress import RunTimes
from leadflood.contracts.values import FieldName
from leadflood.domain.leads.schemas.profiles import LeadProfile
from leadflood.domain.leads.service import kernel as leads
from leadflood.domain.messages.schemas import MessageFilter
from leadflood.domain.runs.schemas import Funnel
from leadflood.domain.runs.service.reports import RunReports
from leadflood.domain.scoring.schemas import Prediction
from leadflood.wiring.storage import Storage

TOP_COUNT = 5
MAX_MISMATCHES = 10


async def print_report(node: Node, storage: Storage, run_id: UUID, outcome: DemoOutcome) -> None:
    """Print the best leads, one message, the funnel, the money and the times."""
    best = await storage.scores.top(run_id, TOP_COUNT)
    await _print_leads(storage, run_id, best)
    if best:
        _print_explanation(storage, best[0])
        await _print_message_to(node, best[0].lead_id)
    _print_funnel(outcome.funnel)
    _print_money(outcome)
    _print_times(outcome.times)


async def _print_leads(storage: Storage, run_id: UUID, best: Sequence[Prediction]) -> None:
    ids = [prediction.lead_id for prediction in best]
    profiles = await leads.find_profiles(storage.db, ids)
    costs = await RunReports(storage.db).list_lead_costs(run_id, ids)
    table = Table(title="The best leads", title_justify="left")
    for column in ("score", "band", "who", "company", "cost"):
        table.add_column(column)
    for prediction in best:
        cost = costs.get(prediction.lead_id)
        table.add_row(
            f"{prediction.score.score_milli / 1000:.1f}",
            prediction.score.band.value,
            *_describe(profiles[prediction.lead_id]),
            format_money(cost.micros) if cost else "0",
        )
    stderr_console.print(table)


def _describe(profile: LeadProfile) -> tuple[str, str]:
    """Return the person and the company, each with what matters most of it."""
    return (
        f"{profile.text(FieldName.FULL_NAME)}, {profile.text(FieldName.TITLE)}",
        f"{profile.text(FieldName.COMPANY_NAME)} ({profile.text(FieldName.COMPANY_SIZE)})",
    )


def _print_explanation(storage: Storage, prediction: Prediction) -> None:
    print_message("Why the first one:")
    for line in storage.scores.explain(prediction):
        print_message(f"  {line}")


async def _print_message_to(node: Node, lead_id: UUID) -> None:
    """Print the newest message to the lead, if there is one."""
    messages = await node.messaging.messages.list(MessageFilter(lead_id=lead_id))
    for message in messages[:1]:
        print_message(f"The message to {message.to_address}:\n")
        print_message(f"  {message.subject}\n")
        for line in message.body.splitlines():
            print_message(f"  {line}")
        print_message("")


def _print_funnel(funnel: Funnel) -> None:
    print_message(
        f"funnel: {funnel.found} found > {funnel.enriched} enriched > {funnel.scored} scored > "
        f"{funnel.high} HIGH > {funnel.intended} intended > {funnel.accepted} sent"
        f" ({funnel.merged} merged, {funnel.failed} failed, {funnel.needs_data} need data,"
        f" {funnel.unknown} unknown)"
    )


def _print_money(outcome: DemoOutcome) -> None:
    unresolved = ""
    if outcome.unresolved:
        unresolved = f", {outcome.unresolved} calls cut: their lines are unresolved"
    print_message(
        f"money:  ledger {format_money(outcome.ledger_micros)} on {outcome.lines} lines, "
        f"invoices {format_money(outcome.invoiced_micros)} on {outcome.invoices} lines, "
        f"{len(outcome.mismatches)} differ{unresolved}"
    )
    for mismatch in outcome.mismatches[:MAX_MISMATCHES]:
        print_message(f"        {mismatch}")


def _print_times(times: RunTimes) -> None:
    if times.first_score_seconds is None:
        print_message(f"time:   {times.total_seconds:.1f} s, nothing was scored")
        return
    print_message(
        f"time:   first score after {times.first_score_seconds:.1f} s, "
        f"all after {times.total_seconds:.1f} s"
    )
