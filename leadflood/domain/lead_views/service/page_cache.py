"""Page cache: lead pages as they were written last, valid until a row of theirs changes.

To read, put together and write a page costs ten times what it costs to ask whether it is still
true; the pages people look at are few, and are looked at again and again.
"""

from collections.abc import Mapping
from uuid import UUID

import msgspec

from leadflood.domain.lead_views.schemas import LeadDetail, LeadPage

MAX_BYTES = 32_000_000
"""Of pages in memory; a page has about 5 kB."""


class LeadPageCache:
    """The pages that were asked for last, each with the mark of the rows it was made of."""

    def __init__(self, max_bytes: int = MAX_BYTES) -> None:
        self._max_bytes = max_bytes
        self._pages: dict[UUID, tuple[str, LeadPage]] = {}
        self._bytes = 0

    def find(self, marks: Mapping[UUID, str]) -> tuple[dict[UUID, LeadPage], list[UUID]]:
        """Return the pages that are still valid, and the leads whose are not."""
        pages: dict[UUID, LeadPage] = {}
        changed: list[UUID] = []
        for lead_id, mark in marks.items():
            entry = self._pages.get(lead_id)
            if entry is not None and entry[0] == mark:
                pages[lead_id] = entry[1]
            else:
                changed.append(lead_id)
        return pages, changed

    def record(
        self, marks: Mapping[UUID, str], leads: Mapping[UUID, LeadDetail]
    ) -> dict[UUID, LeadPage]:
        """Write pages and cache them under marks read before them: no later change is missed.

        The oldest entries make room.
        """
        pages: dict[UUID, LeadPage] = {}
        for lead_id, lead in leads.items():
            body = msgspec.json.encode(lead)
            self._drop(lead_id)
            pages[lead_id] = page = LeadPage(lead, msgspec.Raw(body))
            self._pages[lead_id] = (marks[lead_id], page)
            self._bytes += len(body)
        while self._bytes > self._max_bytes:
            self._drop(next(iter(self._pages)))
        return pages

    def _drop(self, lead_id: UUID) -> None:
        entry = self._pages.pop(lead_id, None)
        if entry is not None:
            self._bytes -= len(bytes(entry[1].body))
