"""Exports of leads: all that fit a filter, at one moment, on record before they leave."""

from collections.abc import AsyncGenerator, Iterator, Mapping
from contextlib import contextmanager

from leadflood.domain.audit.schemas import AuditActor, AuditEntry
from leadflood.domain.audit.service import AuditTrail
from leadflood.domain.lead_views.schemas import ExportFormat, LeadFilter
from leadflood.domain.lead_views.service.lists import LeadLists
from leadflood.engine.db.pool import Database
from leadflood.engine.errors import Throttled

MAX_AT_ONCE = 3
"""Each holds a connection to the database for as long as its client reads."""


class LeadExports:
    """Exports leads as files, a few at a time."""

    def __init__(self, db: Database, lists: LeadLists, audit: AuditTrail) -> None:
        self._db = db
        self._lists = lists
        self._audit = audit
        self._open_count = 0

    async def export(
        self,
        lead_filter: LeadFilter,
        export_format: ExportFormat,
        actor: AuditActor,
        request: Mapping[str, object],
        *,
        has_bom: bool = False,
    ) -> AsyncGenerator[bytes, None]:
        """Yield a file in pieces; `request` is the filter as it is recorded.

        Raises: Throttled while too many are under way.
        """
        with self._slot():
            async with self._lists.snapshot(lead_filter) as snapshot:
                detail = {"format": export_format.value, "filter": request}
                await self._record(actor, {**detail, "leadCount": await snapshot.count()})
                async for piece in snapshot.file(export_format, has_bom=has_bom):
                    yield piece

    async def _record(self, actor: AuditActor, detail: Mapping[str, object]) -> None:
        """Record who takes what, before the first of it leaves."""
        entry = AuditEntry(action="lead.exported", subject_kind="lead", detail=detail)
        async with self._db.transaction() as tx:
            await self._audit.record(tx, actor, [entry])

    @contextmanager
    def _slot(self) -> Iterator[None]:
        if self._open_count >= MAX_AT_ONCE:
            raise Throttled(
                f"{MAX_AT_ONCE} exports are under way: wait for one to end",
                retry_after_seconds=5.0,
                code="leads.export.busy",
            )
        self._open_count += 1
        try:
            yield
        finally:
            self._open_count -= 1
