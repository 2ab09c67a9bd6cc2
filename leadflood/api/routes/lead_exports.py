"""Leads as a file over HTTP: all that fit a filter, at one moment, however many."""

from collections.abc import AsyncGenerator, Iterator
from contextlib import contextmanager
from types import MappingProxyType

import msgspec

from leadflood.api.http.request_context import Caller
from leadflood.api.http.responses import Streamed
from leadflood.api.http.routing import Route
from leadflood.api.routes.lead_list import LeadChoice, read_choice
from leadflood.api.services import Node
from leadflood.domain.audit.schemas import AuditEntry
from leadflood.domain.overview.schemas import ExportFormat, LeadFilter
from leadflood.domain.overview.service import LeadListService
from leadflood.engine.errors import Invalid, Throttled

MOST_AT_ONCE = 3
"""Each holds a connection to the database for as long as its client reads."""

_MEDIA = MappingProxyType(
    {
        ExportFormat.CSV: "text/csv; charset=utf-8",
        ExportFormat.JSON: "application/json",
        ExportFormat.NDJSON: "application/x-ndjson",
    }
)


class ExportQuery(
    LeadChoice, frozen=True, kw_only=True, forbid_unknown_fields=True, rename="camel"
):
    """Which leads, as what; `bom`: a CSV begins with U+FEFF, by which Excel knows UTF-8."""

    format: ExportFormat = ExportFormat.CSV
    bom: bool = False


class Exports:
    """The route that exports leads."""

    def __init__(self, node: Node) -> None:
        self._node = node
        self._open = 0

    def routes(self) -> tuple[Route, ...]:
        """List the rows of the table."""
        return (
            Route(
                method="GET", path="/v1/leads/export", handler=self.export,
                permission="leads:export", rate="heavy", errors=(Invalid, Throttled),
                content_type="text/csv, application/json, application/x-ndjson",
            ),
        )  # fmt: skip

    async def export(self, query: ExportQuery, caller: Caller) -> Streamed:
        """Export the leads that fit as CSV, JSON or JSON lines, oldest first.

        A CSV cell that a spreadsheet could run as a formula, or that begins with an apostrophe,
        has an apostrophe before it: take one off to read it back.
        """
        wanted = read_choice(query, caller)
        day = self._node.services.clock.now().date().isoformat()
        return Streamed(
            pieces=self._pieces(wanted, query, caller),
            content_type=_MEDIA[query.format],
            file_name=f"leads-{day}.{query.format.value}",
        )

    async def _pieces(
        self, wanted: LeadFilter, query: ExportQuery, caller: Caller
    ) -> AsyncGenerator[bytes, None]:
        lists = LeadListService(self._node.services.db)
        with self._place():
            async with lists.snapshot(wanted) as snapshot:
                await self._record(caller, query, await snapshot.count())
                async for piece in snapshot.file(query.format, has_bom=query.bom):
                    yield piece

    async def _record(self, caller: Caller, query: ExportQuery, count: int) -> None:
        """Write down who takes what, before the first of it leaves."""
        asked = {
            name: value
            for name, value in msgspec.to_builtins(query).items()
            if value is not None and name not in {"format", "bom"}
        }
        detail = {"format": query.format.value, "filter": asked, "leadCount": count}
        entry = AuditEntry(action="lead.exported", subject_kind="lead", detail=detail)
        services = self._node.services
        async with services.db.transaction() as tx:
            await services.audit.record(tx, caller.actor, [entry])

    @contextmanager
    def _place(self) -> Iterator[None]:
        if self._open >= MOST_AT_ONCE:
            raise Throttled(
                f"{MOST_AT_ONCE} exports are under way: wait for one to end",
                retry_after_seconds=5.0,
                code="leads.export.busy",
            )
        self._open += 1
        try:
            yield
        finally:
            self._open -= 1
