"""Reading scores: for a lead's page, for the best of a run, and in words."""

from collections.abc import Sequence
from uuid import UUID

from leadflood.contracts.values import Band
from leadflood.domain.scoring import explanation, store
from leadflood.domain.scoring.schemas import BandCounts, Needs, Prediction
from leadflood.engine.db.tx import Reader


class ScoringService:
    """The use cases of scores."""

    def __init__(self, db: Reader) -> None:
        self._db = db

    async def scores_of(
        self, lead_ids: Sequence[UUID], icp_id: UUID | None = None
    ) -> dict[UUID, Prediction]:
        """Find the newest score of each lead, for one ICP version or (None) for any."""
        return await store.scores_of(self._db, lead_ids, icp_id)

    async def top(self, run_id: UUID, limit: int) -> list[Prediction]:
        """List the best leads of a run, best first."""
        return await store.top(self._db, run_id, limit)

    async def count_bands(self, run_id: UUID) -> BandCounts:
        """Count the leads of a run by band."""
        return await store.count_bands(self._db, run_id)

    def explain(self, prediction: Prediction) -> list[str]:
        """Explain a score in lines."""
        return explanation.explain(prediction)

    def needs_of(self, prediction: Prediction, band: Band = Band.HIGH) -> Needs:
        """Find the fewest changes that lift the lead into a band."""
        return explanation.needs_of(prediction, band)
