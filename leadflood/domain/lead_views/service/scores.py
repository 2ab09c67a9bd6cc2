"""Scores as they are shown: with their parts, their reasons and what would make them HIGH."""

from collections.abc import Sequence
from uuid import UUID

import msgspec
from anyio import to_thread

from leadflood.domain.lead_views.schemas import ContributionView, RuleView, ScoreView
from leadflood.domain.scoring.schemas import Prediction
from leadflood.domain.scoring.service import ScoringService

MAX_CACHED = 4_000
"""Score views in memory; about 3 kB each."""


class ScoreViews:
    """The newest scores of leads as they are shown.

    A score never changes, and to say what would lift it costs more than all the rest of a lead's
    page: those shown last are cached, and the others are worked out in a thread.
    """

    def __init__(self) -> None:
        self._cache: dict[UUID, ScoreView] = {}

    async def find_many(
        self, lead_ids: Sequence[UUID], scores: ScoringService
    ) -> dict[UUID, ScoreView]:
        """Return the newest score of each lead; those without one are left out."""
        newest = await scores.newest_of(lead_ids)
        cache = self._cache
        views = {
            lead_id: cache[score_id] for lead_id, score_id in newest.items() if score_id in cache
        }
        missing = [lead_id for lead_id in newest if lead_id not in views]
        if missing:
            for lead_id, prediction in (await scores.scores_of(missing)).items():
                view = await to_thread.run_sync(show_score, prediction, scores)
                views[lead_id] = self._record(view)
        return views

    def _record(self, view: ScoreView) -> ScoreView:
        self._cache[view.id] = view
        if len(self._cache) > MAX_CACHED:
            del self._cache[next(iter(self._cache))]
        return view


def show_score(prediction: Prediction, scores: ScoringService) -> ScoreView:
    """Return a score with its parts and what they mean."""
    score = prediction.score
    needs = scores.needs_of(prediction)
    return ScoreView(
        id=prediction.id,
        icp_id=prediction.icp_id,
        run_id=prediction.run_id,
        score=score.score_milli / 1000,
        score_milli=score.score_milli,
        band=score.band,
        is_filtered_out=score.is_filtered_out,
        contributions=msgspec.convert(
            score.contributions, tuple[ContributionView, ...], from_attributes=True
        ),
        trace=msgspec.convert(score.trace, tuple[RuleView, ...], from_attributes=True),
        explanation=tuple(scores.explain(prediction, needs)),
        needs=needs,
        algorithm=prediction.algorithm,
        algorithm_version=prediction.algorithm_version,
        created_at=prediction.created_at,
    )
