"""Reading across the slices, for whoever may not ask their stores."""

from uuid import UUID

from leadflood.domain.overview import store
from leadflood.domain.overview.schemas import Funnel, LeadRecord
from leadflood.engine.db.tx import Reader


class OverviewService:
    """The numbers of a run, and what was asked about a lead."""

    def __init__(self, db: Reader) -> None:
        self._db = db

    async def count_funnel(self, run_id: UUID) -> Funnel:
        """Count how many leads of a run got how far."""
        return await store.count_funnel(self._db, run_id)

    async def list_records(self, lead_id: UUID) -> list[LeadRecord]:
        """List what was found and asked about a lead and those merged into it, oldest first."""
        return await store.list_lead_records(self._db, lead_id)
