"""Snapshots: all leads that fit a filter at one moment, read piece by piece."""

from collections.abc import AsyncIterator, Sequence
from typing import Any
from uuid import UUID

from leadflood.domain.lead_views.repository import lists
from leadflood.domain.lead_views.rules.export_file import ExportFile
from leadflood.domain.lead_views.schemas import (
    ExportFormat,
    LeadPaging,
    LeadPosition,
    LeadSort,
    LeadSummary,
)
from leadflood.engine.db.tx import Tx

PIECE = 1_000
"""Leads in a piece of an export: some 250 kB, read in about ten milliseconds."""


class LeadSnapshot:
    """The leads of one moment that fit a filter."""

    def __init__(self, tx: Tx, params: dict[str, Any]) -> None:
        self._tx = tx
        self._params = params

    async def count(self) -> int:
        """Count them all."""
        return await lists.count_all_leads(self._tx, self._params)

    async def file(
        self, export_format: ExportFormat, *, has_bom: bool = False
    ) -> AsyncIterator[bytes]:
        """Yield them as a file, oldest first, in pieces; memory holds one of them."""
        file = ExportFile(export_format, has_bom=has_bom)
        yield file.begin()
        async for leads in self._pieces():
            yield file.add(leads)
        yield file.end()

    async def ids(self, most: int) -> list[UUID]:
        """List their ids, oldest first; more than `most` are not read to their end."""
        lead_ids: list[UUID] = []
        async for leads in self._pieces():
            lead_ids += [lead.id for lead in leads]
            if len(lead_ids) > most:
                break
        return lead_ids

    async def _pieces(self) -> AsyncIterator[Sequence[LeadSummary]]:
        after: LeadPosition | None = None
        size = PIECE
        while True:
            paging = LeadPaging(sort=LeadSort.OLDEST, after=after, limit=size)
            piece = await lists.list_page(self._tx, self._params, paging)
            if piece:
                yield [listed.lead for listed in piece]
                after = piece[-1].position
            if len(piece) < size:
                return
