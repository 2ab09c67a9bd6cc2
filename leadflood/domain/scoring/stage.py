"""`scoring.compute`: a snapshot of features becomes a score."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, ClassVar, Self
from uuid import UUID

from anyio import to_thread
from typing_extensions import override

from leadflood.contracts.parts import StageParts
from leadflood.contracts.values import Band
from leadflood.domain.features.schemas import FeaturesComputed, Vector
from leadflood.domain.leads.schemas.profiles import NewScore
from leadflood.domain.leads.service import kernel as leads
from leadflood.domain.scoring import repository
from leadflood.domain.scoring.repository import NewPrediction, Rulebook
from leadflood.domain.scoring.rules.scorecard import Scorecard
from leadflood.domain.scoring.schemas import LeadQualified, LeadScored, Score
from leadflood.engine.clock import Clock
from leadflood.engine.db.tx import Reader, Tx
from leadflood.engine.db.version_cache import VersionCache
from leadflood.engine.errors import NotFound
from leadflood.engine.ids import Ids
from leadflood.engine.queue.outcome import Discard, Done, Outcome, Snooze
from leadflood.engine.queue.stage import (
    ClaimedTask,
    FinishedTask,
    FollowUp,
    Policy,
    Stage,
    group_failures,
    list_results,
)

INLINE_STEPS = 2_000
"""A batch that costs more than so many simple rules, some milliseconds, is scored in a thread."""
BATCH_SECONDS = 20.0
FinishedScoring = FinishedTask[FeaturesComputed, Score]


class ScoringInput:
    """A vector, and the scorecard to score it by."""

    __slots__ = ("scorecard", "vector")

    def __init__(self, vector: Vector, scorecard: Scorecard) -> None:
        self.vector = vector
        self.scorecard = scorecard


class ScoringStage(Stage[FeaturesComputed, ScoringInput, Score]):
    """Scores a batch at a time; a lead is scored once for a snapshot and run."""

    name: ClassVar[str] = "scoring.compute"
    task: ClassVar[Any] = FeaturesComputed
    default_policy: ClassVar[Policy] = Policy(batch=500)
    in_batches: ClassVar[bool] = True

    def __init__(self, policy: Policy, ids: Ids, clock: Clock) -> None:
        super().__init__(policy)
        self._ids = ids
        self._clock = clock
        self._scorecards = VersionCache(_find_scorecards)

    @classmethod
    @override
    def build(cls, policy: Policy, parts: StageParts) -> Self:
        return cls(policy, parts.ids, parts.clock)

    @override
    async def load(
        self, db: Reader, tasks: Sequence[ClaimedTask[FeaturesComputed]]
    ) -> Sequence[ScoringInput | Outcome[Score]]:
        snapshot_ids = list({claimed.task.snapshot_id for claimed in tasks})
        vectors = await repository.find_vectors(db, snapshot_ids)
        icp_ids = {claimed.task.icp_id for claimed in tasks}
        scorecards = await self._scorecards.find_many(db, icp_ids)
        return [
            _input_of(vectors.get(claimed.task.snapshot_id), scorecards.get(claimed.task.icp_id))
            for claimed in tasks
        ]

    @override
    async def work_batch(self, items: Sequence[ScoringInput]) -> Sequence[Outcome[Score]]:
        if sum(item.scorecard.steps for item in items) <= INLINE_STEPS:
            return self._score(items)
        return await to_thread.run_sync(self._score, items)

    def _score(self, items: Sequence[ScoringInput]) -> Sequence[Outcome[Score]]:
        """Score within the time of a batch; what is left of it comes again at once."""
        ends_at = self._clock.monotonic() + BATCH_SECONDS
        outcomes: list[Outcome[Score]] = []
        for item in items:
            if outcomes and self._clock.monotonic() > ends_at:
                outcomes.append(Snooze(0.0, "the rules of its ICP take long to evaluate"))
            else:
                outcomes.append(Done(item.scorecard.score(item.vector)))
        return outcomes

    @override
    async def commit(self, tx: Tx, tasks: Sequence[FinishedScoring]) -> Sequence[FollowUp]:
        """Store the scores; one that was stored before has had its events.

        A lead whose task ends without one has failed, with the code.
        """
        now = self._clock.now()
        await leads.lock(tx, [finished.task.lead_id for finished in tasks])
        await leads.record_failures(tx, group_failures(tasks), now)
        results = list_results(tasks)
        if not results:
            return ()
        new = [_new_prediction(finished, score) for finished, score in results]
        prediction_ids = await repository.record_predictions(tx, new, self._ids, now)
        await leads.record_scores(tx, _lead_scores(new, prediction_ids, now))
        stored = [
            (finished, score, prediction_id)
            for (finished, score), prediction_id in zip(results, prediction_ids, strict=True)
            if prediction_id is not None
        ]
        high = {
            (finished.task.lead_id, finished.task.icp_id)
            for finished, score, _ in stored
            if score.band is Band.HIGH and finished.task.may_draft
        }
        newest_high = await repository.find_newest_high(tx, high)
        return [
            finished.follow_up(event)
            for finished, score, prediction_id in stored
            for event in _events_of(finished.task, score, prediction_id, newest_high)
        ]


async def _find_scorecards(db: Reader, icp_ids: Sequence[UUID]) -> Mapping[UUID, Scorecard]:
    rulebooks = await repository.find_rulebooks(db, icp_ids)
    return await to_thread.run_sync(_prepare, rulebooks)


def _prepare(rulebooks: Mapping[UUID, Rulebook]) -> Mapping[UUID, Scorecard]:
    return {icp_id: Scorecard(book.rules, book.bands) for icp_id, book in rulebooks.items()}


def _input_of(vector: Vector | None, scorecard: Scorecard | None) -> ScoringInput | Outcome[Score]:
    if vector is None:
        detail = "the snapshot is gone with its lead"
        return Discard(NotFound(detail, code="scoring.snapshot.not_found"))
    if scorecard is None:
        detail = "the ICP version is gone: start a new run"
        return Discard(NotFound(detail, code="scoring.icp.not_found"))
    return ScoringInput(vector, scorecard)


def _new_prediction(finished: FinishedScoring, score: Score) -> NewPrediction:
    task = finished.task
    return NewPrediction(
        task.lead_id, task.icp_id, finished.run_id, task.snapshot_id, task.source_version, score
    )


def _lead_scores(
    predictions: Sequence[NewPrediction], prediction_ids: Sequence[UUID | None], now: datetime
) -> Sequence[NewScore]:
    """Return the scores that leads show; those that were stored before are left out."""
    return [
        NewScore(
            lead_id=prediction.lead_id,
            score_id=prediction_id,
            source_version=prediction.source_version,
            score_milli=prediction.score.score_milli,
            band=prediction.score.band,
            icp_id=prediction.icp_id,
            run_id=prediction.run_id,
            scored_at=now,
        )
        for prediction, prediction_id in zip(predictions, prediction_ids, strict=True)
        if prediction_id is not None
    ]


def _events_of(
    task: FeaturesComputed,
    score: Score,
    prediction_id: UUID,
    newest_high: Mapping[tuple[UUID, UUID], UUID],
) -> Sequence[LeadScored | LeadQualified]:
    scored = LeadScored(
        lead_id=task.lead_id,
        icp_id=task.icp_id,
        prediction_id=prediction_id,
        score_milli=score.score_milli,
        band=score.band.value,
        source_version=task.source_version,
    )
    newest_id = newest_high.get((task.lead_id, task.icp_id))
    if score.band is not Band.HIGH or not task.may_draft or newest_id is None:
        return (scored,)
    qualified = LeadQualified(lead_id=task.lead_id, icp_id=task.icp_id, prediction_id=newest_id)
    return scored, qualified
