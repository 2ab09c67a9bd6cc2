"""The step that turns a snapshot of features into a score."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, ClassVar, Self
from uuid import UUID

from typing_extensions import override

from leadflood.contracts.parts import StageParts
from leadflood.contracts.values import Band
from leadflood.domain.features.schemas import FeaturesComputed, Vector
from leadflood.domain.leads.schemas import LeadStatus, NewScore
from leadflood.domain.leads.service import kernel as leads
from leadflood.domain.scoring import store
from leadflood.domain.scoring.rules import Scorecard
from leadflood.domain.scoring.schemas import LeadQualified, LeadScored, Score
from leadflood.domain.scoring.store import NewPrediction
from leadflood.engine.clock import Clock
from leadflood.engine.db.tx import Reader, Tx
from leadflood.engine.errors import NotFound, code_of
from leadflood.engine.ids import Ids
from leadflood.engine.queue.outcome import Cancelled, Discard, Done, Outcome
from leadflood.engine.queue.stage import ClaimedTask, FinishedTask, FollowUp, Policy, Stage

MAX_SCORECARDS = 256


class ScoringInput:
    """A vector and the card to score it by."""

    __slots__ = ("card", "vector")

    def __init__(self, vector: Vector, card: Scorecard) -> None:
        self.vector = vector
        self.card = card


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
        self._cards: dict[UUID, Scorecard] = {}

    @classmethod
    @override
    def build(cls, policy: Policy, parts: StageParts) -> Self:
        return cls(policy, parts.ids, parts.clock)

    @override
    async def load(
        self, db: Reader, tasks: Sequence[ClaimedTask[FeaturesComputed]]
    ) -> Sequence[ScoringInput | Outcome[Score]]:
        """Read the vectors and the rules; versions never change, so rules are read once."""
        vectors = await store.find_vectors(db, list({one.task.snapshot_id for one in tasks}))
        cards = await self._find_cards(db, {one.task.icp_id for one in tasks})
        return [_input_of(one.task, vectors, cards) for one in tasks]

    @override
    async def work_batch(self, items: Sequence[ScoringInput]) -> Sequence[Outcome[Score]]:
        """Score each."""
        return [Done(item.card.score(item.vector)) for item in items]

    @override
    async def commit(
        self, tx: Tx, ended: Sequence[FinishedTask[FeaturesComputed, Score]]
    ) -> Sequence[FollowUp]:
        """Keep the scores; one that was kept before has been told of before.

        A lead whose task ends without one has failed, with the code.
        """
        now = self._clock.now()
        await leads.lock(tx, [one.task.lead_id for one in ended])
        await _fail(tx, ended, now)
        done = [(one, one.outcome.result) for one in ended if isinstance(one.outcome, Done)]
        if not done:
            return ()
        made = [_new_prediction(one, score) for one, score in done]
        kept = await store.record_predictions(tx, made, self._ids, now)
        await leads.record_scores(tx, _shown(made, kept, now))
        return [
            one.follow_up(event)
            for (one, score), prediction_id in zip(done, kept, strict=True)
            if prediction_id is not None
            for event in _events_of(one.task, score, prediction_id)
        ]

    async def _find_cards(self, db: Reader, icp_ids: set[UUID]) -> dict[UUID, Scorecard]:
        unknown = icp_ids - self._cards.keys()
        if unknown:
            if len(self._cards) + len(unknown) > MAX_SCORECARDS:
                self._cards = {}
                unknown = icp_ids
            books = await store.find_rulebooks(db, list(unknown))
            self._cards |= {
                icp_id: Scorecard(book.rules, book.bands) for icp_id, book in books.items()
            }
        return self._cards


def _input_of(
    task: FeaturesComputed, vectors: dict[UUID, Vector], cards: dict[UUID, Scorecard]
) -> ScoringInput | Outcome[Score]:
    vector, card = vectors.get(task.snapshot_id), cards.get(task.icp_id)
    if vector is None:
        return Discard(NotFound("the snapshot is gone with its lead", code="scoring.snapshot.gone"))
    if card is None:
        return Discard(
            NotFound("the ICP version is gone: start a new run", code="scoring.icp.gone")
        )
    return ScoringInput(vector, card)


def _new_prediction(ended: FinishedTask[FeaturesComputed, Score], score: Score) -> NewPrediction:
    task = ended.task
    return NewPrediction(task.lead_id, task.icp_id, ended.run_id, task.snapshot_id, score)


def _shown(
    made: Sequence[NewPrediction], kept: Sequence[UUID | None], now: datetime
) -> Sequence[NewScore]:
    return [
        NewScore(
            lead_id=one.lead_id,
            score_id=prediction_id,
            score_milli=one.score.score_milli,
            band=one.score.band,
            icp_id=one.icp_id,
            run_id=one.run_id,
            scored_at=now,
        )
        for one, prediction_id in zip(made, kept, strict=True)
        if prediction_id is not None
    ]


def _events_of(
    task: FeaturesComputed, score: Score, prediction_id: UUID
) -> Sequence[LeadScored | LeadQualified]:
    scored = LeadScored(
        lead_id=task.lead_id,
        icp_id=task.icp_id,
        prediction_id=prediction_id,
        score_milli=score.score_milli,
        band=score.band.value,
    )
    if score.band is not Band.HIGH:
        return (scored,)
    qualified = LeadQualified(lead_id=task.lead_id, icp_id=task.icp_id, prediction_id=prediction_id)
    return scored, qualified


async def _fail(
    tx: Tx, ended: Sequence[FinishedTask[FeaturesComputed, Score]], now: datetime
) -> None:
    """Mark leads that cannot go on; a cancelled run says nothing of its leads."""
    by_code: dict[str, list[UUID]] = {}
    for one in ended:
        error = one.outcome.error if isinstance(one.outcome, Discard) else None
        if error is not None and not isinstance(error, Cancelled):
            by_code.setdefault(code_of(error), []).append(one.task.lead_id)
    for code, lead_ids in sorted(by_code.items()):
        await leads.set_status(tx, lead_ids, LeadStatus.FAILED, now, code)
