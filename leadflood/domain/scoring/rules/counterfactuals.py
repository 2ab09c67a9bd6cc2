"""Counterfactuals: the fewest changes that would lift a lead into a band.

Every rule reads one field, so a score is a sum over fields: the best value of each field can be
sought alone, and the fewest fields that close the gap are those with the largest gains. Fields
are taken as independent of each other, as the rules take them.
"""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from itertools import islice, zip_longest
from typing import Any

import msgspec

from leadflood.contracts.values import Band
from leadflood.domain.icp.schemas import (
    FIELD_DESCRIPTIONS,
    SCORE_MILLI_MAX,
    FieldKind,
    Operator,
    QualificationRule,
    RuleField,
    RuleKind,
)
from leadflood.domain.scoring.rules.rule_evaluation import RuleEvaluator
from leadflood.domain.scoring.rules.rule_text import describe_rule
from leadflood.domain.scoring.rules.scorecard import CLAMP, FILTER, fails_filter, lacks_filter
from leadflood.domain.scoring.schemas import (
    Change,
    Contribution,
    FactValue,
    Needs,
    RuleTrace,
    Score,
)

SOMETHING_ELSE = "something else"
STEP = 1
MAX_CANDIDATES = 50
MAX_TRIED = 300
"""Values of one field that are tried against each of its rules."""
_NO_VALUE: Any = object()


class _BestChange(msgspec.Struct, frozen=True):
    """The best change of a field; `is_required`: a hard filter fails without one."""

    change: Change
    is_required: bool


def find_needs(score: Score, band: Band, from_milli: int) -> Needs:
    """Find the fewest values that must be different for the score to reach `from_milli`."""
    if band is Band.HIGH and lacks_filter(score.trace):
        return Needs(band=band, is_reachable=False)
    if score.score_milli >= from_milli:
        return Needs(band=band, is_reachable=True, reaches_milli=score.score_milli)
    by_field: dict[RuleField, list[RuleTrace]] = defaultdict(list)
    for row in score.trace:
        if not row.error:
            by_field[row.field].append(row)
    bests = [best for rows in by_field.values() if (best := _best_of(rows)) is not None]
    stuck = {rows[0].field for rows in by_field.values() if _fails_filter(rows)}
    required = [best.change for best in bests if best.is_required]
    if stuck - {change.field for change in required}:
        return Needs(band=band, is_reachable=False)
    reached_milli = _sum_without_limits(score) + sum(change.gain_milli for change in required)
    optional = [best.change for best in bests if not best.is_required]
    selection = _choose_fewest(optional, from_milli - reached_milli)
    if selection is None:
        return Needs(band=band, is_reachable=False)
    reached_milli += sum(change.gain_milli for change in selection)
    return Needs(
        band=band,
        is_reachable=True,
        changes=(*required, *selection),
        reaches_milli=min(reached_milli, SCORE_MILLI_MAX),
    )


def _choose_fewest(changes: Sequence[Change], gap_milli: int) -> list[Change] | None:
    """Choose the fewest changes that close a gap, the last one no larger than it must be."""
    by_gain = sorted(changes, key=lambda change: -change.gain_milli)
    selection: list[Change] = []
    for change in by_gain:
        if gap_milli <= 0:
            break
        selection.append(change)
        gap_milli -= change.gain_milli
    if gap_milli > 0:
        return None
    if selection:
        last = selection.pop()
        still_milli = gap_milli + last.gain_milli
        candidates = by_gain[len(selection) :]
        closing = (change for change in candidates if change.gain_milli >= still_milli)
        selection.append(min(closing, key=_gain))
    return selection


def _gain(change: Change) -> int:
    return change.gain_milli


def _best_of(rows: Sequence[RuleTrace]) -> _BestChange | None:
    """Find a field's most valuable value that passes all its filters; None: nothing to win."""
    is_required = _fails_filter(rows)
    changes = [change for change in _changes(rows) if is_required or change.gain_milli > 0]
    return _BestChange(max(changes, key=_gain), is_required) if changes else None


def _changes(rows: Sequence[RuleTrace]) -> Iterator[Change]:
    """List the changes of a field that pass all its filters."""
    evaluators = [_evaluator_of(row) for row in rows]
    now_milli = sum(row.points_milli for row in rows if row.kind is RuleKind.WEIGHTED)
    for to, matching in _candidates(rows):
        if matching is None:
            met = [evaluator.would_meet(to) for evaluator in evaluators]
        else:
            met = _surely_met(rows, matching)
        if _passes_filters(rows, met):
            yield Change(
                field=rows[0].field,
                words=_words(rows, met),
                to=to,
                pattern=None if matching is None else str(matching.wanted),
                gain_milli=_worth(rows, met) - now_milli,
            )


def _surely_met(rows: Sequence[RuleTrace], matching: RuleTrace) -> list[bool]:
    """Return what any text that matches one rule's pattern is sure to give, at the worst."""
    return [row is matching or row.worth_milli < 0 for row in rows]


def _passes_filters(rows: Sequence[RuleTrace], met: Sequence[bool]) -> bool:
    return all(
        is_met or row.kind is RuleKind.WEIGHTED for row, is_met in zip(rows, met, strict=True)
    )


def _worth(rows: Sequence[RuleTrace], met: Sequence[bool]) -> int:
    return sum(row.worth_milli for row, is_met in zip(rows, met, strict=True) if is_met)


def _words(rows: Sequence[RuleTrace], met: Sequence[bool]) -> str:
    """Describe what a change must bring: the rules that it newly meets."""
    return " and ".join(
        describe_rule(row.field, row.operator, row.wanted)
        for row, is_met in zip(rows, met, strict=True)
        if is_met and not row.is_met
    )


def _candidates(rows: Sequence[RuleTrace]) -> Iterator[tuple[FactValue | None, RuleTrace | None]]:
    """List values worth trying: (value, None), or (None, rule) for any text that it matches.

    A few of each rule before more of any, and no more in all than a page may wait for.
    """
    patterns = [row for row in rows if row.operator is Operator.MATCHES]
    for row in patterns[:MAX_CANDIDATES]:
        yield None, row
    if len(patterns) == len(rows) == 1:
        return
    in_turns = zip_longest(*(_values_for(row) for row in rows), fillvalue=_NO_VALUE)
    values = (value for turn in in_turns for value in turn if value is not _NO_VALUE)
    for value in islice(values, MAX_TRIED):
        yield value, None
    for value in _other_values(rows):
        yield value, None
    yield None, None


def _values_for(row: RuleTrace) -> Iterator[FactValue]:
    """List values that would meet one rule."""
    items = row.wanted if isinstance(row.wanted, tuple) else (row.wanted,)
    if FIELD_DESCRIPTIONS[row.field].kind is FieldKind.LIST:
        current = row.seen if isinstance(row.seen, tuple) else ()
        texts = tuple(str(item) for item in items)
        yield (*current, *texts)
        for text in texts[:MAX_CANDIDATES]:
            yield (*current, text)
            yield (text,)
        return
    yield from items[:MAX_CANDIDATES]
    for item in items[:MAX_CANDIDATES]:
        if isinstance(item, int | float) and not isinstance(item, bool):
            yield item + STEP
            yield item - STEP
    if row.operator is Operator.CONTAINS:
        joined = " ".join(str(item) for item in items)
        yield joined
        if isinstance(row.seen, str):
            yield f"{row.seen} {joined}"


def _other_values(rows: Sequence[RuleTrace]) -> Iterator[FactValue]:
    """List values that no rule names, and for lists all that rules ask for at once."""
    kind = FIELD_DESCRIPTIONS[rows[0].field].kind
    if kind is FieldKind.FLAG:
        yield True
        yield False
    elif kind is FieldKind.NUMBER:
        yield 0
    elif kind is FieldKind.LIST:
        listing = (row.wanted for row in rows if row.operator in (Operator.CONTAINS, Operator.IN))
        lists = (value if isinstance(value, tuple) else (value,) for value in listing)
        yield tuple(str(item) for items in lists for item in items) or (SOMETHING_ELSE,)
        yield (SOMETHING_ELSE,)
    else:
        yield SOMETHING_ELSE


def _fails_filter(rows: Sequence[RuleTrace]) -> bool:
    return any(map(fails_filter, rows))


def _evaluator_of(row: RuleTrace) -> RuleEvaluator:
    return RuleEvaluator(
        QualificationRule(kind=row.kind, field=row.field, operator=row.operator, value=row.wanted)
    )


def _sum_without_limits(score: Score) -> int:
    """Return the sum before filters and limits took from it."""
    return sum(part.points_milli for part in score.contributions if not _is_limit(part))


def _is_limit(part: Contribution) -> bool:
    return part.name == CLAMP or part.name.startswith(FILTER)
