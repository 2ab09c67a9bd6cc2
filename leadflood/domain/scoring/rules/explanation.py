"""Explanations: a score in words."""

from leadflood.contracts.values import Band
from leadflood.domain.icp.schemas import RuleKind
from leadflood.domain.scoring.rules.counterfactuals import find_needs
from leadflood.domain.scoring.rules.scorecard import CLAMP, FILTER, RULE
from leadflood.domain.scoring.schemas import Contribution, Needs, Prediction, RuleTrace

_PART_WORDS = {
    CLAMP: "kept within 0 to 100",
    "model": "learned from outcomes",
    "llm": "read by an LLM",
}


def explain(prediction: Prediction, needs: Needs | None = None) -> list[str]:
    """Explain a score: its parts, largest first, which sum to it, and what HIGH would take.

    `needs` None: they are found here.
    """
    score = prediction.score
    rows = {row.position: row for row in score.trace}
    parts = sorted(score.contributions, key=lambda part: -part.points_milli)
    lines = [f"{format_points(score.score_milli)} of 100: {score.band}"]
    lines.extend(_part_line(part, rows) for part in parts)
    lines.extend(
        f"hard filter met: {row.reason}"
        for row in score.trace
        if row.kind is RuleKind.HARD_FILTER and row.is_met
    )
    lines.extend(
        f"hard filter left out, nobody is HIGH without it: {row.reason}"
        for row in score.trace
        if row.kind is RuleKind.HARD_FILTER and row.error
    )
    if score.band is not Band.HIGH:
        lines.append(describe_needs(needs or find_needs_of(prediction)))
    return lines


def find_needs_of(prediction: Prediction, band: Band = Band.HIGH) -> Needs:
    """Find the fewest changes that lift the lead into a band."""
    starts = {Band.LOW: 0, Band.MEDIUM: prediction.medium_milli, Band.HIGH: prediction.high_milli}
    return find_needs(prediction.score, band, starts[band])


def describe_needs(needs: Needs) -> str:
    """Return in words what it would take."""
    if not needs.is_reachable:
        return f"to reach {needs.band}: these rules cannot give it to this lead"
    if not needs.changes:
        return f"to reach {needs.band}: needs nothing, it is there"
    changes = "; ".join(
        f"{change.words} (+{format_points(change.gain_milli)})" for change in needs.changes
    )
    return f"to reach {needs.band}: needs {changes} → {format_points(needs.reaches_milli)}"


def format_points(milli: int) -> str:
    """Format points with the decimals they have: 72.5, 0, -12.345."""
    sign = "-" if milli < 0 else ""
    whole, rest = divmod(abs(milli), 1000)
    return f"{sign}{whole}" + (f".{rest:03}".rstrip("0") if rest else "")


def _part_line(part: Contribution, rows: dict[int, RuleTrace]) -> str:
    signed = (
        format_points(part.points_milli)
        if part.points_milli < 0
        else f"+{format_points(part.points_milli)}"
    )
    kind, _, position = part.name.partition(".")
    row = rows.get(int(position)) if position.isdigit() else None
    if row is None:
        return f"{signed} {_PART_WORDS.get(part.name, part.name)}"
    if f"{kind}." == FILTER:
        return f"{signed} hard filter not met: {row.reason}"
    if f"{kind}." == RULE and not row.is_met:
        return f"{signed} of {format_points(row.worth_milli)} {row.reason}"
    return f"{signed} {row.reason}"
