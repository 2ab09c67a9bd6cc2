"""What the demo shows at its end: the best leads, the funnel, the ledger beside the invoices."""

from decimal import Decimal
from typing import Any
from uuid import UUID

import msgspec
from rich.table import Table

from leadflood.app import Node, Storage
from leadflood.cli.console import money, say, talk
from leadflood.cli.run.progress import Watched
from leadflood.cli.sandbox import World
from leadflood.contracts.ports.people import PersonEnricher
from leadflood.contracts.values import FieldName
from leadflood.domain.leads import store as leads
from leadflood.domain.overview import store as overview
from leadflood.domain.overview.schemas import Funnel
from leadflood.engine.ledger.repository import Line, list_lines
from leadflood.engine.net.ledger_port import LineState
from leadflood.providers import catalog

TOP = 5


class LeadCounts(msgspec.Struct, frozen=True):
    """Leads by how far they got."""

    discovered: int
    enriched: int
    scored: int
    high: int
    failed: int


class SendCounts(msgspec.Struct, frozen=True):
    """Sends: ours, and what the pretend world counted of them."""

    intended: int
    accepted: int
    duplicates: int
    missing: int
    unknown: int


class Invoice(msgspec.Struct, frozen=True):
    """A line of the sandbox's books."""

    provider: str
    operation: str
    reference: str
    credits: Decimal
    amount_micros: int


class Delivered(msgspec.Struct, frozen=True):
    """A message as the sandbox received it, and how often."""

    provider: str
    key: str
    count: int


class Outcome(msgspec.Struct, frozen=True, kw_only=True):
    """The demo in numbers."""

    funnel: Funnel
    leads: LeadCounts
    sends: SendCounts
    watched: Watched
    ledger_micros: int
    invoiced_micros: int
    charged_enrichers: int
    lines: int
    invoices: int
    unresolved: int
    mismatches: tuple[str, ...]

    def as_json(self) -> dict[str, Any]:
        """Name the numbers as scripts expect them."""
        return {
            "leads": msgspec.to_builtins(self.leads),
            "seconds": {
                "toFirstScore": self.watched.first_score_seconds,
                "total": self.watched.total_seconds,
            },
            "ledgerMicros": self.ledger_micros,
            "invoicedMicros": self.invoiced_micros,
            "sends": msgspec.to_builtins(self.sends),
        }


async def compare(
    node: Node, storage: Storage, world: World, run_id: UUID, watched: Watched
) -> Outcome:
    """Put our books beside the pretend world's."""
    invoices = await _fetch(node, world, "invoices", tuple[Invoice, ...])
    delivered = await _fetch(node, world, "messages", tuple[Delivered, ...])
    lines = await list_lines(storage.db)
    funnel = await overview.count_funnel(storage.db, run_id)
    enrichers = catalog.list_implementing(PersonEnricher)
    arrived = {mail.key: mail.count for mail in delivered}
    references = await overview.list_accepted(storage.db, run_id)
    return Outcome(
        funnel=funnel,
        leads=LeadCounts(funnel.found, funnel.enriched, funnel.scored, funnel.high, funnel.failed),
        sends=SendCounts(
            funnel.intended,
            funnel.accepted,
            sum(count - 1 for count in arrived.values()),
            sum(1 for reference in references if reference not in arrived),
            funnel.unknown,
        ),
        watched=watched,
        ledger_micros=sum(line.settled_micros or 0 for line in lines),
        invoiced_micros=sum(invoice.amount_micros for invoice in invoices),
        charged_enrichers=len(
            {i.provider for i in invoices if i.provider in enrichers and i.amount_micros > 0}
        ),
        lines=sum(1 for line in lines if line.state is LineState.SETTLED and line.settled_micros),
        invoices=len(invoices),
        unresolved=sum(1 for line in lines if line.state is LineState.UNRESOLVED),
        mismatches=tuple(mismatches_of(lines, invoices)),
    )


def mismatches_of(lines: list[Line], invoices: tuple[Invoice, ...]) -> list[str]:
    """Compare line by line: each charge has its line of the same amount, and the other way."""
    billed: dict[str, int] = {}
    for invoice in invoices:
        billed[invoice.reference] = billed.get(invoice.reference, 0) + invoice.amount_micros
    found = []
    for line in lines:
        amount = billed.pop(str(line.id), 0)
        settled = line.settled_micros or 0
        if line.state is not LineState.UNRESOLVED and amount != settled:
            found.append(f"{line.provider} {line.operation} {line.id}: {settled} != {amount}")
    found.extend(
        f"invoiced, but not in the ledger: {reference}"
        for reference, left in billed.items()
        if left
    )
    return found


async def _fetch(node: Node, world: World, what: str, wanted: Any) -> Any:
    reply = await node.http.request("GET", f"{world.addresses.admin.rstrip('/')}/{what}")
    return msgspec.json.decode(reply.body, type=wanted, strict=False)


async def report(node: Node, storage: Storage, run_id: UUID, outcome: Outcome) -> None:
    """Show the best leads, one message, the funnel and the books."""
    await _show_top(node, storage, run_id)
    _show_funnel(outcome.funnel)
    _show_books(outcome)


async def _show_top(node: Node, storage: Storage, run_id: UUID) -> None:
    best = await storage.scores.top(run_id, TOP)
    ids = [one.lead_id for one in best]
    profiles = await leads.profiles(storage.db, ids)
    costs = await overview.list_lead_costs(storage.db, run_id, ids)
    table = Table(title="The best leads", title_justify="left")
    for column in ("score", "band", "who", "company", "cost"):
        table.add_column(column)
    for one in best:
        profile, cost = profiles[one.lead_id], costs.get(one.lead_id)
        table.add_row(
            f"{one.score.score_milli / 1000:.1f}", one.score.band.value,
            f"{profile.text(FieldName.FULL_NAME)}, {profile.text(FieldName.TITLE)}",
            f"{profile.text(FieldName.COMPANY_NAME)} ({profile.text(FieldName.COMPANY_SIZE)})",
            money(cost.micros) if cost else "0",
        )  # fmt: skip
    talk.print(table)
    if best:
        say("Why the first one:")
        for line in storage.scores.explain(best[0]):
            say(f"  {line}")
        await _show_message(node, best[0].lead_id)


async def _show_message(node: Node, lead_id: UUID) -> None:
    for message in await node.messaging.list_of_lead(lead_id):
        say(f"What was written to {message.to_address}:\n")
        say(f"  {message.subject}\n")
        for line in message.body.splitlines():
            say(f"  {line}")
        say("")
        return


def _show_funnel(funnel: Funnel) -> None:
    say(
        f"funnel: {funnel.found} found > {funnel.enriched} enriched > {funnel.scored} scored > "
        f"{funnel.high} HIGH > {funnel.intended} intended > {funnel.accepted} sent"
        f" ({funnel.merged} merged, {funnel.failed} failed, {funnel.needs_data} need data,"
        f" {funnel.unknown} unknown)"
    )


def _show_books(outcome: Outcome) -> None:
    say(
        f"money:  ledger {money(outcome.ledger_micros)} on {outcome.lines} lines, "
        f"invoices {money(outcome.invoiced_micros)} on {outcome.invoices} lines, "
        f"{len(outcome.mismatches)} differ"
        + (
            f", {outcome.unresolved} calls cut: their lines are unresolved"
            if outcome.unresolved
            else ""
        )
    )
    for mismatch in outcome.mismatches[:10]:
        say(f"        {mismatch}")
    first = outcome.watched.first_score_seconds
    say(
        f"time:   first score after {first:.1f} s, all after {outcome.watched.total_seconds:.1f} s"
        if first is not None
        else f"time:   {outcome.watched.total_seconds:.1f} s, nothing was scored"
    )
