"""Snapshots: all leads that fit a filter at one moment, read piece by piece."""

from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Any, BinaryIO
from uuid import UUID

from anyio import to_thread

from leadflood.contracts.found_values import Scalar
from leadflood.contracts.lead_columns import OWNER_EMAIL
from leadflood.contracts.values import FieldName
from leadflood.domain.lead_views.repository import lists
from leadflood.domain.lead_views.rules.export_columns import needs_values
from leadflood.domain.lead_views.rules.export_file import begin_file
from leadflood.domain.lead_views.schemas import (
    ExportedLead,
    ExportOptions,
    LeadPaging,
    LeadPosition,
    LeadSort,
    LeadSummary,
)
from leadflood.domain.leads.schemas.profiles import LeadProfile
from leadflood.domain.leads.service import kernel
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

    async def write(self, target: BinaryIO, options: ExportOptions) -> None:
        """Write them to a file, oldest first, in pieces; memory holds one of them.

        Raises: Invalid when the format does not hold them.
        """
        file = await to_thread.run_sync(begin_file, target, options)
        try:
            async for leads in self._pieces():
                exported = await self._complete(leads, options.columns)
                await to_thread.run_sync(file.add, exported)
            await to_thread.run_sync(file.end)
        except BaseException:
            file.discard()
            raise

    async def _complete(
        self, leads: Sequence[LeadSummary], columns: Sequence[str]
    ) -> list[ExportedLead]:
        """Return leads with what their columns need beside what lists show."""
        profiles: Mapping[UUID, LeadProfile] = {}
        if needs_values(columns):
            profiles = await kernel.find_profiles(self._tx, [lead.id for lead in leads])
        emails: Mapping[str, str] = {}
        if OWNER_EMAIL in columns:
            owners = {lead.owner for lead in leads if lead.owner is not None}
            emails = await lists.find_owner_emails(self._tx, owners)
        return [
            ExportedLead(
                summary=lead,
                values=_values_of(profiles.get(lead.id)),
                owner_email=emails.get(lead.owner or ""),
            )
            for lead in leads
        ]

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


def _values_of(profile: LeadProfile | None) -> dict[FieldName, Scalar]:
    if profile is None:
        return {}
    return {field: winner.value for field, winner in profile.values.items()}
