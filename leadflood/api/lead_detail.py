"""A lead as it is shown, with its score and what came of it."""

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

import msgspec

from leadflood.contracts.values import Band, Micros
from leadflood.domain.icp.schemas import Operator, RuleField, RuleKind, RuleValue
from leadflood.domain.leads.schemas import LeadView
from leadflood.domain.messaging.schemas import MessageView, OptInView
from leadflood.domain.overview.schemas import LeadRecord
from leadflood.domain.scoring.schemas import FactValue, Needs, Prediction, RuleTrace
from leadflood.domain.scoring.service import ScoringService

MOST_KEPT = 4_000
"""Shown scores in memory; about 3 kB each."""


class ContributionView(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """One part of a score; all parts sum to it exactly."""

    name: str
    points_milli: int


class RuleView(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """What one rule saw and gave; `seen` null: the value is not known."""

    position: int
    kind: RuleKind
    field: RuleField
    operator: Operator
    wanted: RuleValue
    seen: FactValue | None
    is_met: bool
    points_milli: int
    worth_milli: int
    reason: str


class ScoreView(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """A score, why it is so, and what would make it HIGH. Points are in 1/1000.

    `needs` are the fewest values that would have to be different; none for a lead that is HIGH.
    """

    id: UUID
    icp_id: UUID
    run_id: UUID | None
    score: float
    score_milli: int
    band: Band
    is_filtered_out: bool
    contributions: tuple[ContributionView, ...]
    trace: tuple[RuleView, ...]
    explanation: tuple[str, ...]
    needs: Needs
    algorithm: str
    algorithm_version: int
    created_at: datetime


class LeadDetail(LeadView, frozen=True, kw_only=True, rename="camel"):
    """A lead with all that is known, where it comes from, what it cost and what came of it.

    `score` null: it has none yet. `optIns` are the person's agreements, live and withdrawn.
    """

    cost_micros: Micros
    records: Sequence[LeadRecord]
    score: ScoreView | None
    messages: Sequence[MessageView]
    opt_ins: Sequence[OptInView]


def detail_of(
    view: LeadView,
    records: Sequence[LeadRecord],
    score: ScoreView | None,
    *,
    messages: Sequence[MessageView],
    opt_ins: Sequence[OptInView],
) -> LeadDetail:
    """Put a lead's page together."""
    values = {name: getattr(view, name) for name in LeadView.__struct_fields__}
    return LeadDetail(
        **values,
        cost_micros=sum([record.cost_micros for record in records]),
        records=records,
        score=score,
        messages=messages,
        opt_ins=opt_ins,
    )


class ShownScores:
    """The newest scores of leads as they are shown.

    A score never changes, and to say what would lift it costs more than all the rest of a lead's
    page: those shown last are kept.
    """

    def __init__(self) -> None:
        self._kept: dict[UUID, ScoreView] = {}

    async def of(self, lead_ids: Sequence[UUID], scores: ScoringService) -> dict[UUID, ScoreView]:
        """Tell the newest score of each lead; those without one are left out."""
        newest = await scores.newest_of(lead_ids)
        kept = self._kept
        unknown = [lead_id for lead_id, score_id in newest.items() if score_id not in kept]
        shown = {
            lead_id: kept[score_id] for lead_id, score_id in newest.items() if score_id in kept
        }
        if unknown:
            for lead_id, found in (await scores.scores_of(unknown)).items():
                shown[lead_id] = self._keep(show_score(found, scores))
        return shown

    def _keep(self, score: ScoreView) -> ScoreView:
        self._kept[score.id] = score
        if len(self._kept) > MOST_KEPT:
            del self._kept[next(iter(self._kept))]
        return score


def show_score(found: Prediction, scores: ScoringService) -> ScoreView:
    """Show a score with its parts and what they mean."""
    score = found.score
    needs = scores.needs_of(found)
    return ScoreView(
        id=found.id,
        icp_id=found.icp_id,
        run_id=found.run_id,
        score=score.score_milli / 1000,
        score_milli=score.score_milli,
        band=score.band,
        is_filtered_out=score.is_filtered_out,
        contributions=tuple(
            [
                ContributionView(name=part.name, points_milli=part.points_milli)
                for part in score.contributions
            ]
        ),
        trace=tuple([_show_rule(rule) for rule in score.trace]),
        explanation=tuple(scores.explain(found, needs)),
        needs=needs,
        algorithm=found.algorithm,
        algorithm_version=found.algorithm_version,
        created_at=found.created_at,
    )


def _show_rule(rule: RuleTrace) -> RuleView:
    return RuleView(
        position=rule.position,
        kind=rule.kind,
        field=rule.field,
        operator=rule.operator,
        wanted=rule.wanted,
        seen=rule.seen,
        is_met=rule.is_met,
        points_milli=rule.points_milli,
        worth_milli=rule.worth_milli,
        reason=rule.reason,
    )
