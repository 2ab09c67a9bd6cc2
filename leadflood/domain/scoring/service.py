"""Reading scores: for a lead's page, for the best of a run, and in words."""

from collections.abc import Callable, Sequence
from uuid import UUID

from anyio import to_thread

from leadflood.contracts.values import Band
from leadflood.domain.features.schemas import Vector
from leadflood.domain.icp.schemas import Bands, QualificationRule
from leadflood.domain.leads import store as leads
from leadflood.domain.leads.schemas import LeadProfile
from leadflood.domain.scoring import repository
from leadflood.domain.scoring.rules import explanation
from leadflood.domain.scoring.rules.preview import Preview
from leadflood.domain.scoring.schemas import LeadCount, Needs, Prediction, PreviewResult
from leadflood.engine.db.tx import Reader

PREVIEW_LIMIT = 2_000
"""How many leads a preview looks at: the newest ones."""
LEADS_AT_ONCE = 250
"""How many of them are in memory at once."""
EXACT_LIMIT = 10_000
Vectors = Callable[[Sequence[LeadProfile]], Sequence[Vector]]


class ScoringService:
    """The use cases of scores."""

    def __init__(self, db: Reader) -> None:
        self._db = db

    async def scores_of(
        self, lead_ids: Sequence[UUID], icp_id: UUID | None = None
    ) -> dict[UUID, Prediction]:
        """Find the newest score of each lead, for one ICP version or (None) for any."""
        return await repository.find_scores(self._db, lead_ids, icp_id)

    async def newest_of(self, lead_ids: Sequence[UUID]) -> dict[UUID, UUID]:
        """Tell which score of each lead is the newest; those without one are left out."""
        return await repository.find_newest(self._db, lead_ids)

    async def top(self, run_id: UUID, limit: int) -> list[Prediction]:
        """List the best leads of a run, best first."""
        return await repository.list_top(self._db, run_id, limit)

    def explain(self, prediction: Prediction, needs: Needs | None = None) -> list[str]:
        """Explain a score in lines; give what HIGH needs where it is known already."""
        return explanation.explain(prediction, needs)

    def needs_of(self, prediction: Prediction, band: Band = Band.HIGH) -> Needs:
        """Find the fewest changes that lift the lead into a band."""
        return explanation.find_needs_of(prediction, band)

    async def preview(
        self,
        rules: Sequence[QualificationRule],
        bands: Bands,
        vectors_of: Vectors,
        *,
        owner: str | None = None,
        sample_size: int = 10,
    ) -> PreviewResult:
        """Tell what rules would make of the newest leads, by the pipeline's own arithmetic.

        Nothing is written. `vectors_of` computes features; `owner` None looks at all leads.
        Waits: for the database, and for a thread that computes.
        """
        preview = Preview(rules, bands, sample_size)
        lead_ids = await repository.list_newest(self._db, owner, PREVIEW_LIMIT)

        def add(profiles: Sequence[LeadProfile]) -> None:
            preview.add(profiles, vectors_of(profiles))

        for start in range(0, len(lead_ids), LEADS_AT_ONCE):
            part = lead_ids[start : start + LEADS_AT_ONCE]
            found = await leads.profiles(self._db, part)
            profiles = [found[lead_id] for lead_id in part if lead_id in found]
            await to_thread.run_sync(add, profiles)
        return preview.tally()

    async def count_leads(self, owner: str | None = None) -> LeadCount:
        """Count the leads of an owner or (None) of all; beyond 10,000 an estimate stands in."""
        return await repository.count_leads(self._db, owner, EXACT_LIMIT)
