"""Reading across the slices, for whoever may not ask their stores."""

from collections.abc import Sequence
from uuid import UUID

from leadflood.contracts.values import Band
from leadflood.domain.leads import store as leads
from leadflood.domain.leads.schemas import LeadProfile, LeadStatus
from leadflood.domain.overview import store
from leadflood.domain.overview.schemas import (
    Funnel,
    LeadEvent,
    LeadFilter,
    LeadRecord,
    LeadSummary,
    RunFilter,
    RunSummary,
    Total,
)
from leadflood.engine.db.tx import Reader, Row


class OverviewService:
    """The numbers of a run, and what was asked about a lead."""

    def __init__(self, db: Reader) -> None:
        self._db = db

    async def count_funnel(self, run_id: UUID) -> Funnel:
        """Count how many leads of a run got how far."""
        return await store.count_funnel(self._db, run_id)

    async def records_of(self, families: Sequence[Sequence[UUID]]) -> list[tuple[LeadRecord, ...]]:
        """List what was found and asked about each family of leads that are one, oldest first."""
        found = await store.list_lead_records(self._db, [one for each in families for one in each])
        return [
            tuple(
                sorted(
                    [record for lead_id in family for record in found.get(lead_id, ())],
                    key=lambda record: (record.at, record.kind, record.provider),
                )
            )
            for family in families
        ]

    async def list_leads(
        self, wanted: LeadFilter, before: UUID | None, limit: int
    ) -> list[LeadSummary]:
        """List leads with their newest score and values, newest first, behind a place."""
        rows = await store.list_leads(self._db, wanted, before, limit)
        profiles = await leads.profiles(self._db, [row["id"] for row in rows])
        return [_summary(row, profiles.get(row["id"])) for row in rows]

    async def count_leads(self, wanted: LeadFilter) -> Total:
        """Count the leads that fit."""
        return await store.count_leads(self._db, wanted)

    async def list_discovery_runs(
        self, wanted: RunFilter, before: UUID | None, limit: int
    ) -> list[RunSummary]:
        """List discovery runs, newest first, behind a place."""
        return await store.list_discovery_runs(self._db, wanted, before, limit)

    async def list_lead_events(
        self, lead_id: UUID, before: UUID | None, limit: int
    ) -> list[LeadEvent]:
        """List what happened to a lead, newest first, behind a place."""
        return await store.list_lead_events(self._db, lead_id, before, limit)


def _summary(row: Row, profile: LeadProfile | None) -> LeadSummary:
    told = dict(row.items())
    milli = told.pop("score_milli")
    values = {} if profile is None else {f: one.value for f, one in profile.values.items()}
    band = told.pop("band")
    return LeadSummary(
        **{**told, "status": LeadStatus(told["status"])},
        score=None if milli is None else milli / 1000,
        band=None if band is None else Band(band),
        values=values,
    )
