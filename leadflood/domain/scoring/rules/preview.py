"""Previews: the scores that leads would have by some rules, counted, and the best of them."""

import heapq
from collections.abc import Sequence
from uuid import UUID

from leadflood.contracts.found_values import Scalar
from leadflood.contracts.values import Band, FieldName
from leadflood.domain.features.schemas import Vector
from leadflood.domain.icp.schemas import Bands, QualificationRule
from leadflood.domain.leads.schemas.profiles import LeadProfile
from leadflood.domain.scoring.rules.scorecard import Scorecard
from leadflood.domain.scoring.schemas import (
    BandCounts,
    PreviewedLead,
    PreviewResult,
    RuleCount,
    RuleTrace,
    Score,
)

SAMPLE_FIELDS = (
    FieldName.FULL_NAME,
    FieldName.TITLE,
    FieldName.COMPANY_NAME,
    FieldName.COUNTRY,
    FieldName.EMAIL,
)
"""The fields shown beside a lead's score."""

_Ranked = tuple[int, int, UUID, LeadProfile, Score]


class _Count:
    """The evaluations of one rule so far."""

    __slots__ = ("fitting", "holding", "met", "not_met", "unknown")

    def __init__(self) -> None:
        self.met = self.not_met = self.unknown = self.holding = self.fitting = 0

    def add(self, row: RuleTrace, *, is_fit: bool) -> None:
        if row.seen is None or row.error:
            self.unknown += 1
        elif row.is_met:
            self.met += 1
        else:
            self.not_met += 1
        is_kept = row.is_met or bool(row.error)
        self.holding += is_kept
        self.fitting += is_kept and is_fit


class Preview:
    """Scores leads, added a batch at a time; `result` returns the counts so far.

    It compiles and computes only: make and feed it in a thread.
    """

    def __init__(self, rules: Sequence[QualificationRule], bands: Bands, sample_size: int) -> None:
        self._rules = tuple(rules)
        self._card = Scorecard(rules, bands)
        self._counts = [_Count() for _ in rules]
        self._bands = dict.fromkeys(Band, 0)
        self._filtered_out = 0
        self._scored = 0
        self._sample_size = sample_size
        self._best: list[_Ranked] = []

    def add(self, profiles: Sequence[LeadProfile], vectors: Sequence[Vector]) -> None:
        """Score more leads, in the order in which equal ones are shown."""
        for profile, vector in zip(profiles, vectors, strict=True):
            score = self._card.score(vector)
            self._scored += 1
            self._bands[score.band] += 1
            self._filtered_out += score.is_filtered_out
            self._count(score)
            self._keep(profile, score)

    def result(self) -> PreviewResult:
        """Return the counts and the best leads, best first."""
        fit_count = self._scored - self._bands[Band.LOW]
        return PreviewResult(
            evaluated_count=self._scored,
            fit_count=fit_count,
            filtered_out_count=self._filtered_out,
            bands=BandCounts(
                low=self._bands[Band.LOW],
                medium=self._bands[Band.MEDIUM],
                high=self._bands[Band.HIGH],
            ),
            rules=tuple(
                self._rule_count(position, rule, count)
                for position, (rule, count) in enumerate(
                    zip(self._rules, self._counts, strict=True)
                )
            ),
            sample=tuple(
                PreviewedLead(lead_id=lead_id, shown=_sample_values(profile), score=score)
                for _, _, lead_id, profile, score in sorted(self._best, reverse=True)
            ),
        )

    def _count(self, score: Score) -> None:
        is_fit = score.band is not Band.LOW
        for row, count in zip(score.trace, self._counts, strict=True):
            count.add(row, is_fit=is_fit)

    def _keep(self, profile: LeadProfile, score: Score) -> None:
        ranked = (score.score_milli, -self._scored, profile.lead_id, profile, score)
        if len(self._best) < self._sample_size:
            heapq.heappush(self._best, ranked)
        elif self._best:
            heapq.heappushpop(self._best, ranked)

    def _rule_count(self, position: int, rule: QualificationRule, count: _Count) -> RuleCount:
        return RuleCount(
            position=position,
            kind=rule.kind,
            field=rule.field,
            operator=rule.operator,
            wanted=rule.value,
            worth_milli=self._card.worth_of(position),
            met_count=count.met,
            not_met_count=count.not_met,
            unknown_count=count.unknown,
            kept_as_only_filter=count.holding,
            fit_as_filter=count.fitting,
            error=self._card.error_of(position),
        )


def _sample_values(profile: LeadProfile) -> dict[FieldName, Scalar]:
    return {
        field: profile.values[field].value for field in SAMPLE_FIELDS if field in profile.values
    }
