"""Leads' pages as they were written last, good for as long as no row of theirs has changed.

To read, put together and write a page costs ten times what it costs to ask whether it is still
true; the pages people look at are few, and are looked at again and again.
"""

from collections.abc import Mapping
from uuid import UUID

import msgspec

from leadflood.api.lead_detail import LeadDetail

MOST_BYTES = 32_000_000
"""Of pages in memory; a page has about 5 kB."""


class LeadPage(msgspec.Struct, frozen=True):
    """A page, and the same as JSON."""

    lead: LeadDetail
    body: msgspec.Raw


class LeadPages:
    """The pages that were asked for last, each with the mark of the rows it was made of."""

    def __init__(self, most_bytes: int = MOST_BYTES) -> None:
        self._most_bytes = most_bytes
        self._kept: dict[UUID, tuple[str, LeadPage]] = {}
        self._bytes = 0

    def find(self, marks: Mapping[UUID, str]) -> tuple[dict[UUID, LeadPage], list[UUID]]:
        """Tell the pages that are still true, and whose are not."""
        pages: dict[UUID, LeadPage] = {}
        changed: list[UUID] = []
        for lead_id, mark in marks.items():
            kept = self._kept.get(lead_id)
            if kept is not None and kept[0] == mark:
                pages[lead_id] = kept[1]
            else:
                changed.append(lead_id)
        return pages, changed

    def keep(
        self, marks: Mapping[UUID, str], leads: Mapping[UUID, LeadDetail]
    ) -> dict[UUID, LeadPage]:
        """Write pages and keep them under marks read before them: a later change is never missed.

        Those kept longest make room.
        """
        pages: dict[UUID, LeadPage] = {}
        for lead_id, lead in leads.items():
            body = msgspec.json.encode(lead)
            self._drop(lead_id)
            pages[lead_id] = page = LeadPage(lead, msgspec.Raw(body))
            self._kept[lead_id] = (marks[lead_id], page)
            self._bytes += len(body)
        while self._bytes > self._most_bytes:
            self._drop(next(iter(self._kept)))
        return pages

    def _drop(self, lead_id: UUID) -> None:
        known = self._kept.pop(lead_id, None)
        if known is not None:
            self._bytes -= len(bytes(known[1].body))
