"""Exports of leads: all that fit a filter, at one moment, on record before they leave.

A file is written whole before its first piece leaves: however slowly a client reads, it holds a
file on disk and no connection to the database.
"""

from collections.abc import AsyncGenerator, Mapping
from typing import BinaryIO, cast

import anyio

from leadflood.domain.audit.schemas import AuditActor, AuditEntry
from leadflood.domain.audit.service import AuditTrail
from leadflood.domain.lead_views.rules.export_columns import read_columns
from leadflood.domain.lead_views.schemas import ExportFormat, ExportOptions, LeadFilter
from leadflood.domain.lead_views.service.lists import LeadLists
from leadflood.engine.bulkhead import Bulkhead, Load
from leadflood.engine.db.pool import Database
from leadflood.engine.errors import Throttled

WRITTEN_AT_ONCE = 3
"""Each holds a connection to the database while it is written."""
MOST_OPEN = 30
MOST_OPEN_OF_CALLER = 3
IN_MEMORY_BYTES = 1_000_000
PIECE_BYTES = 256 * 1024


def read_options(
    export_format: ExportFormat, fields: str, *, has_bom: bool = False
) -> ExportOptions:
    """Return how leads are exported; `fields` names the columns. Raises: Invalid."""
    return ExportOptions(format=export_format, columns=read_columns(fields), has_bom=has_bom)


class LeadExports:
    """Exports leads as files, a few at a time."""

    def __init__(self, db: Database, lists: LeadLists, audit: AuditTrail) -> None:
        self._db = db
        self._lists = lists
        self._audit = audit
        self._places = anyio.Semaphore(WRITTEN_AT_ONCE)
        self._under_way = Bulkhead(MOST_OPEN, MOST_OPEN_OF_CALLER)

    async def export(
        self,
        lead_filter: LeadFilter,
        options: ExportOptions,
        actor: AuditActor,
        request: Mapping[str, object],
    ) -> AsyncGenerator[bytes, None]:
        """Yield a file in pieces; `request` is the filter as it is recorded.

        Waits: while others are written. Raises: Throttled while too many are under way; Invalid
        when the format does not hold the leads.
        """
        detail = {"format": options.format.value, "filter": request}
        with self._under_way.hold(actor.principal.by, _refuse_export):
            async with anyio.SpooledTemporaryFile(max_size=IN_MEMORY_BYTES) as file:
                async with self._places, self._lists.snapshot(lead_filter) as snapshot:
                    lead_count = await snapshot.count()
                    await snapshot.write(cast("BinaryIO", file.wrapped), options)
                await self._record(actor, {**detail, "leadCount": lead_count})
                await file.seek(0)
                while piece := await file.read(PIECE_BYTES):
                    yield piece

    async def _record(self, actor: AuditActor, detail: Mapping[str, object]) -> None:
        """Record who takes what, before the first of it leaves."""
        entry = AuditEntry(action="lead.exported", subject_kind="lead", detail=detail)
        async with self._db.transaction() as tx:
            await self._audit.record(tx, actor, [entry])


def _refuse_export(load: Load) -> Throttled:
    return Throttled(
        f"{load.of_caller} exports of yours are under way, {load.in_all} in all: wait for one to"
        " end",
        retry_after_seconds=5.0,
        code="leads.export.busy",
    )
