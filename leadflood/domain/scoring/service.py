"""Reading scores: for a lead's page, for the best of a run, and in words."""

from collections.abc import Callable, Sequence
from uuid import UUID

from anyio import to_thread

from leadflood.contracts.values import Band
from leadflood.domain.features.schemas import Vector
from leadflood.domain.icp.schemas import Bands, QualificationRule
from leadflood.domain.leads.schemas import LeadProfile
from leadflood.domain.leads.service import kernel as leads
from leadflood.domain.scoring import explanation, store
from leadflood.domain.scoring.preview import Preview
from leadflood.domain.scoring.schemas import Counted, Needs, Prediction, Tally
from leadflood.engine.db.tx import Reader

PREVIEWED = 2_000
"""How many leads a preview looks at: the newest ones."""
PART = 250
"""How many of them are in memory at once."""
EXACT = 10_000
Vectors = Callable[[Sequence[LeadProfile]], Sequence[Vector]]


class ScoringService:
    """The use cases of scores."""

    def __init__(self, db: Reader) -> None:
        self._db = db

    async def scores_of(
        self, lead_ids: Sequence[UUID], icp_id: UUID | None = None
    ) -> dict[UUID, Prediction]:
        """Find the newest score of each lead, for one ICP version or (None) for any."""
        return await store.scores_of(self._db, lead_ids, icp_id)

    async def newest_of(self, lead_ids: Sequence[UUID]) -> dict[UUID, UUID]:
        """Tell which score of each lead is the newest; those without one are left out."""
        return await store.newest_of(self._db, lead_ids)

    async def top(self, run_id: UUID, limit: int) -> list[Prediction]:
        """List the best leads of a run, best first."""
        return await store.top(self._db, run_id, limit)

    def explain(self, prediction: Prediction, needs: Needs | None = None) -> list[str]:
        """Explain a score in lines; give what HIGH needs where it is known already."""
        return explanation.explain(prediction, needs)

    def needs_of(self, prediction: Prediction, band: Band = Band.HIGH) -> Needs:
        """Find the fewest changes that lift the lead into a band."""
        return explanation.needs_of(prediction, band)

    async def preview(
        self,
        rules: Sequence[QualificationRule],
        bands: Bands,
        vectors_of: Vectors,
        *,
        owner: str | None = None,
        sample_size: int = 10,
    ) -> Tally:
        """Tell what rules would make of the newest leads, by the pipeline's own arithmetic.

        Nothing is written. `vectors_of` computes features; `owner` None looks at all leads.
        Waits: for the database, and for a thread that computes.
        """
        preview = Preview(rules, bands, sample_size)
        lead_ids = await store.list_newest(self._db, owner, PREVIEWED)

        def add(profiles: Sequence[LeadProfile]) -> None:
            preview.add(profiles, vectors_of(profiles))

        for start in range(0, len(lead_ids), PART):
            part = lead_ids[start : start + PART]
            found = await leads.find_profiles(self._db, part)
            profiles = [found[lead_id] for lead_id in part if lead_id in found]
            await to_thread.run_sync(add, profiles)
        return preview.tally()

    async def count_leads(self, owner: str | None = None) -> Counted:
        """Count the leads of an owner or (None) of all; beyond 10,000 an estimate stands in."""
        return await store.count_leads(self._db, owner, EXACT)
