"""Scores as they are read: of leads, of the best of a run, in words, and as a preview."""

from collections.abc import Callable, Sequence
from uuid import UUID

from anyio import to_thread

from leadflood.contracts.values import Band
from leadflood.domain.auth.schemas.principals import EVERYTHING, Visibility
from leadflood.domain.features.schemas import Vector
from leadflood.domain.icp.schemas import Bands, QualificationRule
from leadflood.domain.leads.schemas.profiles import LeadProfile
from leadflood.domain.leads.service import kernel as leads
from leadflood.domain.scoring import repository
from leadflood.domain.scoring.rules import explanation
from leadflood.domain.scoring.rules.preview import Preview
from leadflood.domain.scoring.schemas import LeadCount, Needs, Prediction, PreviewResult
from leadflood.engine.clock import Clock
from leadflood.engine.db.tx import Reader

PREVIEW_LIMIT = 2_000
"""How many leads a preview scores: the newest ones."""
PREVIEW_SECONDS = 1.0
"""How long it computes at most: costly rules are shown on fewer leads."""
LEADS_AT_ONCE = 250
"""How many of them are in memory at once."""
LEADS_BETWEEN_LOOKS = 10
"""How many of them are scored between two looks at the clock."""
EXACT_LIMIT = 10_000
ComputeVectors = Callable[[Sequence[LeadProfile]], Sequence[Vector]]


class ScoringService:
    """The use cases of scores."""

    def __init__(self, db: Reader) -> None:
        self._db = db

    async def scores_of(
        self, lead_ids: Sequence[UUID], icp_id: UUID | None = None
    ) -> dict[UUID, Prediction]:
        """Return the newest score of each lead, for one ICP version or (None) for any."""
        return await repository.find_scores(self._db, lead_ids, icp_id)

    async def newest_of(self, lead_ids: Sequence[UUID]) -> dict[UUID, UUID]:
        """Return the id of each lead's newest score; leads without one are left out."""
        return await repository.find_newest(self._db, lead_ids)

    async def top(self, run_id: UUID, limit: int) -> list[Prediction]:
        """List the best leads of a run, best first."""
        return await repository.list_top(self._db, run_id, limit)

    def explain(self, prediction: Prediction, needs: Needs | None = None) -> list[str]:
        """Explain a score in lines; give what HIGH needs where it is known already."""
        return explanation.explain(prediction, needs)

    def needs_of(self, prediction: Prediction, band: Band = Band.HIGH) -> Needs:
        """Return the fewest changes that lift the lead into a band."""
        return explanation.find_needs_of(prediction, band)

    async def preview(  # noqa: PLR0913 - what is scored, by what, for whom and how long
        self,
        rules: Sequence[QualificationRule],
        bands: Bands,
        compute_vectors: ComputeVectors,
        clock: Clock,
        *,
        visibility: Visibility = EVERYTHING,
        sample_size: int = 10,
        seconds: float = PREVIEW_SECONDS,
    ) -> PreviewResult:
        """Score the newest visible leads by rules, as the pipeline would; nothing is written.

        As many leads are scored as `seconds` are enough for: `evaluated_count` says it.
        Waits: for the database, and for a thread that computes.
        """
        preview = await to_thread.run_sync(Preview, rules, bands, sample_size)
        lead_ids = await repository.list_newest(self._db, visibility, PREVIEW_LIMIT)
        spent_seconds = 0.0

        def add(profiles: Sequence[LeadProfile]) -> None:
            nonlocal spent_seconds
            for start in range(0, len(profiles), LEADS_BETWEEN_LOOKS):
                if spent_seconds < seconds:
                    started_s = clock.monotonic()
                    some = profiles[start : start + LEADS_BETWEEN_LOOKS]
                    preview.add(some, compute_vectors(some))
                    spent_seconds += clock.monotonic() - started_s

        for start in range(0, len(lead_ids), LEADS_AT_ONCE):
            if spent_seconds >= seconds:
                break
            batch = lead_ids[start : start + LEADS_AT_ONCE]
            by_id = await leads.find_profiles(self._db, batch)
            profiles = [by_id[lead_id] for lead_id in batch if lead_id in by_id]
            await to_thread.run_sync(add, profiles)
        return preview.result()

    async def count_leads(self, visibility: Visibility = EVERYTHING) -> LeadCount:
        """Count the visible leads; beyond 10,000 the count is an estimate."""
        return await repository.count_leads(self._db, visibility, EXACT_LIMIT)
