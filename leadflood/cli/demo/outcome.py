"""Outcome of the demo: our ledger and sends beside the invoices and mails of the pretend world."""

from collections.abc import Iterator, Sequence
from decimal import Decimal
from typing import Any, TypeVar
from uuid import UUID

import msgspec

from leadflood.cli.demo.progress import RunTimes
from leadflood.contracts.ports.people import PersonEnricher
from leadflood.domain.runs.schemas import Funnel
from leadflood.domain.runs.service.reports import RunReports
from leadflood.engine.ledger.lines import Line, list_lines
from leadflood.engine.net.calls import Http
from leadflood.engine.net.ledger_port import LineState
from leadflood.providers import catalog
from leadflood.wiring.storage import Storage

RecordT = TypeVar("RecordT")


class LeadCounts(msgspec.Struct, frozen=True):
    """Leads by how far they got."""

    discovered: int
    enriched: int
    scored: int
    high: int
    failed: int


class SendCounts(msgspec.Struct, frozen=True):
    """Our sends, and how many of them the pretend world received twice or never."""

    intended: int
    accepted: int
    duplicates: int
    missing: int
    unknown: int


class Invoice(msgspec.Struct, frozen=True):
    """A charge in the sandbox's journal."""

    provider: str
    operation: str
    reference: str
    credits: Decimal
    amount_micros: int


class DeliveredMessage(msgspec.Struct, frozen=True):
    """A message as the sandbox received it, and how often."""

    provider: str
    key: str
    count: int


class WorldRecords(msgspec.Struct, frozen=True):
    """The pretend world's record of our calls."""

    invoices: tuple[Invoice, ...]
    messages: tuple[DeliveredMessage, ...]


class DemoOutcome(msgspec.Struct, frozen=True, kw_only=True):
    """The demo in numbers; `mismatches` are charges on which the two sides differ."""

    funnel: Funnel
    leads: LeadCounts
    sends: SendCounts
    times: RunTimes
    ledger_micros: int
    invoiced_micros: int
    charged_enrichers: int
    lines: int
    invoices: int
    unresolved: int
    mismatches: tuple[str, ...]

    def as_json(self) -> dict[str, Any]:
        """Return the numbers under the names that scripts expect."""
        return {
            "leads": msgspec.to_builtins(self.leads),
            "seconds": {
                "toFirstScore": self.times.first_score_seconds,
                "total": self.times.total_seconds,
            },
            "ledgerMicros": self.ledger_micros,
            "invoicedMicros": self.invoiced_micros,
            "sends": msgspec.to_builtins(self.sends),
        }


async def fetch_records(http: Http, admin_url: str) -> WorldRecords:
    """Fetch the records of the pretend world."""
    return WorldRecords(
        invoices=await _fetch(http, f"{admin_url.rstrip('/')}/invoices", tuple[Invoice, ...]),
        messages=await _fetch(
            http, f"{admin_url.rstrip('/')}/messages", tuple[DeliveredMessage, ...]
        ),
    )


async def _fetch(http: Http, url: str, result_type: type[RecordT]) -> RecordT:
    reply = await http.request("GET", url)
    return msgspec.json.decode(reply.body, type=result_type, strict=False)


async def compare(
    storage: Storage, run_id: UUID, times: RunTimes, records: WorldRecords
) -> DemoOutcome:
    """Compare our ledger and sends with the records of the pretend world."""
    lines = await list_lines(storage.db)
    reports = RunReports(storage.db)
    funnel = await reports.count_funnel(run_id)
    references = await reports.list_accepted_references(run_id)
    invoices = records.invoices
    return DemoOutcome(
        funnel=funnel,
        leads=LeadCounts(funnel.found, funnel.enriched, funnel.scored, funnel.high, funnel.failed),
        sends=_count_sends(funnel, references, records.messages),
        times=times,
        ledger_micros=sum(line.settled_micros or 0 for line in lines),
        invoiced_micros=sum(invoice.amount_micros for invoice in invoices),
        charged_enrichers=_count_charged_enrichers(invoices),
        lines=sum(1 for line in lines if line.state is LineState.SETTLED and line.settled_micros),
        invoices=len(invoices),
        unresolved=sum(1 for line in lines if line.state is LineState.UNRESOLVED),
        mismatches=tuple(list_mismatches(lines, invoices)),
    )


def _count_sends(
    funnel: Funnel, references: Sequence[str], messages: Sequence[DeliveredMessage]
) -> SendCounts:
    delivered_counts = {message.key: message.count for message in messages}
    return SendCounts(
        funnel.intended,
        funnel.accepted,
        sum(count - 1 for count in delivered_counts.values()),
        sum(1 for reference in references if reference not in delivered_counts),
        funnel.unknown,
    )


def _count_charged_enrichers(invoices: Sequence[Invoice]) -> int:
    enrichers = catalog.list_implementing(PersonEnricher)
    charged = {invoice.provider for invoice in invoices if invoice.amount_micros > 0}
    return len(charged.intersection(enrichers))


def list_mismatches(lines: Sequence[Line], invoices: Sequence[Invoice]) -> Iterator[str]:
    """Compare line by line: each charge has a line of the same amount, and the other way round."""
    billed: dict[str, int] = {}
    for invoice in invoices:
        billed[invoice.reference] = billed.get(invoice.reference, 0) + invoice.amount_micros
    for line in lines:
        amount = billed.pop(str(line.id), 0)
        settled = line.settled_micros or 0
        if line.state is not LineState.UNRESOLVED and amount != settled:
            yield f"{line.provider} {line.operation} {line.id}: {settled} != {amount}"
    for reference, amount in billed.items():
        if amount:
            yield f"invoiced, but not in the ledger: {reference}"
