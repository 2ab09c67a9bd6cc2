"""Scorecards: a lead's score by an ICP's rules, exactly the sum of its contributions."""

from collections.abc import Mapping, Sequence
from fractions import Fraction

from leadflood.contracts.values import Band
from leadflood.domain.icp.schemas import (
    SCORE_MILLI_MAX,
    Bands,
    QualificationRule,
    RuleKind,
)
from leadflood.domain.scoring.rules.rule_evaluation import RuleEvaluator
from leadflood.domain.scoring.schemas import Contribution, FactValue, RuleTrace, Score

RULE = "rule."
FILTER = "filter."
CLAMP = "clamp"


class Scorecard:
    """The rules of an ICP version prepared once: what each is worth, and where bands begin.

    `steps` is what a lead costs to score, in simple rules (some microseconds each). To prepare
    one compiles patterns, up to 0.1 s: do it in a thread.
    """

    def __init__(self, rules: Sequence[QualificationRule], bands: Bands) -> None:
        self._evaluators = tuple(map(RuleEvaluator, rules))
        self._worths = apportion(
            [rule.weight if rule.kind is RuleKind.WEIGHTED else 0.0 for rule in rules]
        )
        self.steps = sum(evaluator.steps for evaluator in self._evaluators)
        self.medium_milli = bands.medium_milli
        self.high_milli = bands.high_milli

    def score(self, features: Mapping[str, FactValue], extra: Sequence[Contribution] = ()) -> Score:
        """Score a lead. `extra` are contributions of other scorers (a model, an LLM).

        A hard filter that is not met takes everything away; what would leave 0 to 100 is taken
        away by a contribution of its own, so that the parts sum to the score exactly. A rule that
        cannot be evaluated gives and takes nothing; while a hard filter is one, nobody is HIGH.
        """
        trace = self._trace(features)
        parts = [
            Contribution(f"{RULE}{row.position}", row.points_milli)
            for row in trace
            if row.kind is RuleKind.WEIGHTED
        ]
        parts.extend(extra)
        failed = [row for row in trace if fails_filter(row)]
        parts.extend(limiting_contributions(sum(part.points_milli for part in parts), failed))
        score_milli = sum(part.points_milli for part in parts)
        return Score(
            score_milli=score_milli,
            band=self._band_of(score_milli, trace),
            is_filtered_out=bool(failed),
            contributions=tuple(parts),
            trace=tuple(trace),
        )

    def _band_of(self, score_milli: int, trace: Sequence[RuleTrace]) -> Band:
        band = band_of(score_milli, self.medium_milli, self.high_milli)
        return Band.MEDIUM if band is Band.HIGH and lacks_filter(trace) else band

    def worth_of(self, position: int) -> int:
        """Return what a rule gives at most, in 1/1000 points."""
        return self._worths[position]

    def error_of(self, position: int) -> str:
        """Return why a rule cannot be evaluated; empty: it can."""
        return self._evaluators[position].error

    def _trace(self, features: Mapping[str, FactValue]) -> list[RuleTrace]:
        rows = []
        for position, (evaluator, worth_milli) in enumerate(
            zip(self._evaluators, self._worths, strict=True)
        ):
            rule, evaluation = evaluator.rule, evaluator.evaluate(features)
            rows.append(
                RuleTrace(
                    position=position,
                    kind=rule.kind,
                    field=rule.field,
                    operator=rule.operator,
                    wanted=rule.value,
                    seen=evaluation.seen,
                    is_met=evaluation.is_met,
                    points_milli=worth_milli if evaluation.is_met else 0,
                    worth_milli=worth_milli,
                    reason=evaluation.reason,
                    error=evaluation.error,
                )
            )
        return rows


def fails_filter(row: RuleTrace) -> bool:
    """Whether a rule is a hard filter that is not met."""
    return row.kind is RuleKind.HARD_FILTER and not row.is_met and not row.error


def lacks_filter(trace: Sequence[RuleTrace]) -> bool:
    """Whether a hard filter could not be evaluated: whom it keeps out is not known."""
    return any(row.kind is RuleKind.HARD_FILTER and row.error for row in trace)


def limiting_contributions(sum_milli: int, failed: Sequence[RuleTrace]) -> list[Contribution]:
    """Return the contributions that bring a sum into 0 to 100, or to 0 by failed hard filters.

    The first failed filter takes all there is; the others are named with nothing left to take.
    """
    parts = []
    inside_milli = min(max(sum_milli, 0), SCORE_MILLI_MAX)
    if inside_milli != sum_milli:
        parts.append(Contribution(CLAMP, inside_milli - sum_milli))
    for row in failed:
        parts.append(Contribution(f"{FILTER}{row.position}", -inside_milli))
        inside_milli = 0
    return parts


def apportion(weights: Sequence[float]) -> list[int]:
    """Apportion 100 points among weights in 1/1000 points, exactly; none where no weight counts.

    Source: Hamilton's method of largest remainders; equal remainders go to the first.
    """
    exact = [Fraction(weight) for weight in weights]
    total = sum(exact)
    if total <= 0:
        return [0] * len(exact)
    quotas = [weight * SCORE_MILLI_MAX / total for weight in exact]
    shares = [int(quota) for quota in quotas]
    by_remainder = sorted(range(len(quotas)), key=lambda index: shares[index] - quotas[index])
    for index in by_remainder[: SCORE_MILLI_MAX - sum(shares)]:
        shares[index] += 1
    return shares


def band_of(score_milli: int, medium_milli: int, high_milli: int) -> Band:
    """Return the band of a score."""
    if score_milli >= high_milli:
        return Band.HIGH
    return Band.MEDIUM if score_milli >= medium_milli else Band.LOW
