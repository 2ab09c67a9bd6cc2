"""A lead's score as a sum of contributions, and what it would take to reach a band. Pure."""

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
    """The rules of an ICP version made ready: what each is worth, and from where a band begins."""

    def __init__(self, rules: Sequence[QualificationRule], bands: Bands) -> None:
        self._judges = tuple(map(RuleEvaluator, rules))
        self._worths = apportion(
            [rule.weight if rule.kind is RuleKind.WEIGHTED else 0.0 for rule in rules]
        )
        self.medium_milli = bands.medium_milli
        self.high_milli = bands.high_milli

    def score(self, features: Mapping[str, FactValue], extra: Sequence[Contribution] = ()) -> Score:
        """Score a lead. `extra` are contributions of other judges (a model, an LLM).

        A hard filter that is not met takes everything away; what would leave 0 to 100 is taken
        away by a contribution of its own, so that the parts sum to the score exactly.
        """
        trace = self._trace(features)
        parts = [
            Contribution(f"{RULE}{row.position}", row.points_milli)
            for row in trace
            if row.kind is RuleKind.WEIGHTED
        ]
        parts.extend(extra)
        failed = [row for row in trace if row.kind is RuleKind.HARD_FILTER and not row.is_met]
        parts.extend(limiting_contributions(sum(part.points_milli for part in parts), failed))
        score_milli = sum(part.points_milli for part in parts)
        return Score(
            score_milli=score_milli,
            band=band_of(score_milli, self.medium_milli, self.high_milli),
            is_filtered_out=bool(failed),
            contributions=tuple(parts),
            trace=tuple(trace),
        )

    def worth_of(self, position: int) -> int:
        """Tell what a rule gives at most, in 1/1000 points."""
        return self._worths[position]

    def _trace(self, features: Mapping[str, FactValue]) -> list[RuleTrace]:
        rows = []
        for position, (judge, worth_milli) in enumerate(
            zip(self._judges, self._worths, strict=True)
        ):
            verdict = judge.judge(features)
            rows.append(
                RuleTrace(
                    position=position,
                    kind=judge.rule.kind,
                    field=judge.rule.field,
                    operator=judge.rule.operator,
                    wanted=judge.rule.value,
                    seen=verdict.seen,
                    is_met=verdict.is_met,
                    points_milli=worth_milli if verdict.is_met else 0,
                    worth_milli=worth_milli,
                    reason=verdict.reason,
                )
            )
        return rows


def limiting_contributions(sum_milli: int, failed: Sequence[RuleTrace]) -> list[Contribution]:
    """Say what brings a sum into 0 to 100, and to 0 where hard filters failed.

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
    """Share 100 points among weights in 1/1000 points, exactly; nothing where no weight counts.

    Source: Hamilton's method of largest remainders; equal remainders go to the first.
    """
    exact = [Fraction(weight) for weight in weights]
    total = sum(exact)
    if total <= 0:
        return [0] * len(exact)
    quotas = [weight * SCORE_MILLI_MAX / total for weight in exact]
    shares = [int(quota) for quota in quotas]
    by_remainder = sorted(range(len(quotas)), key=lambda place: shares[place] - quotas[place])
    for place in by_remainder[: SCORE_MILLI_MAX - sum(shares)]:
        shares[place] += 1
    return shares


def band_of(score_milli: int, medium_milli: int, high_milli: int) -> Band:
    """Tell what a score means."""
    if score_milli >= high_milli:
        return Band.HIGH
    return Band.MEDIUM if score_milli >= medium_milli else Band.LOW
