"""Rule evaluation: whether a fact meets a rule, defined for any fact, missing and odd ones too."""

from collections.abc import Mapping

import msgspec

from leadflood.domain.icp.schemas import (
    FIELD_DESCRIPTIONS,
    MAX_NUMBER,
    Operator,
    QualificationRule,
)
from leadflood.domain.scoring.rules.predicates import Predicate, UnusableRule, make_predicate
from leadflood.domain.scoring.rules.rule_text import describe_rule, format_value
from leadflood.domain.scoring.schemas import MAX_SEEN_CHARS, MAX_SEEN_ITEMS, FactValue

STEPS_OF_PATTERN = 50
"""How many simple rules cost as much as a large pattern on a text of usual length."""


class Evaluation(msgspec.Struct, frozen=True):
    """The result of a rule for one lead.

    `seen` is the fact it looked at; None: unknown.
    `error` not empty: why the rule cannot be evaluated, for any lead.
    """

    is_met: bool
    seen: FactValue | None
    reason: str
    error: str = ""


class RuleEvaluator:
    """A rule prepared once: its value folded, its pattern compiled, its description written."""

    __slots__ = (
        *("_basis", "_description", "_is_met_if_unknown", "_name", "_predicate"),
        *("error", "rule", "steps"),
    )

    def __init__(self, rule: QualificationRule) -> None:
        self.rule = rule
        self.steps = STEPS_OF_PATTERN if rule.operator is Operator.MATCHES else 1
        basis = FIELD_DESCRIPTIONS[rule.field].basis
        self._name = str(rule.field)
        self._basis = str(basis) if basis else None
        self._description = describe_rule(rule.field, rule.operator, rule.value)
        self._predicate, self.error = _prepare(rule)
        self._is_met_if_unknown = _is_met_if_unknown(rule)

    def evaluate(self, features: Mapping[str, FactValue]) -> Evaluation:
        """Evaluate the rule for a lead's features."""
        fact = known_value(features.get(self._name))
        if self.error:
            seen = None if fact is None else shorten(fact)
            reason = f"{self._description}: cannot be evaluated, {self.error}"
            return Evaluation(is_met=False, seen=seen, reason=reason, error=self.error)
        if fact is None:
            outcome = "holds" if self._is_met_if_unknown else "does not hold"
            reason = f"{self._description}: {outcome}, the value is not known"
            return Evaluation(self._is_met_if_unknown, None, reason)
        basis = known_value(features.get(self._basis)) if self._basis else None
        text = format_value(fact)
        if basis is not None:
            text = f"{text} ({format_value(basis)})"
        reason = f"{self._description}: it is {text}"
        return Evaluation(self._predicate(fact), shorten(fact), reason)

    def would_meet(self, fact: FactValue | None) -> bool:
        """Whether a fact would meet the rule."""
        fact = known_value(fact)
        return self._is_met_if_unknown if fact is None else self._predicate(fact)


def _prepare(rule: QualificationRule) -> tuple[Predicate, str]:
    """Return the test of a rule, or why there is none: nothing meets it then."""
    try:
        return make_predicate(rule.operator, rule.value), ""
    except UnusableRule as error:
        return lambda _fact: False, str(error)


def known_value(fact: FactValue | None) -> FactValue | None:
    """Return the fact; None for not-a-number, absurd numbers, empty text and the empty list."""
    if isinstance(fact, int | float) and not abs(fact) <= MAX_NUMBER:
        return None
    if isinstance(fact, str | tuple) and not fact:
        return None
    return fact


def shorten(fact: FactValue) -> FactValue:
    """Cut a fact to what a trace should hold."""
    if isinstance(fact, str):
        return fact[:MAX_SEEN_CHARS]
    if isinstance(fact, tuple):
        return tuple(item[:MAX_SEEN_CHARS] for item in fact[:MAX_SEEN_ITEMS])
    return fact


def _is_met_if_unknown(rule: QualificationRule) -> bool:
    if rule.operator is Operator.EXISTS:
        return rule.value is False
    return rule.operator in (Operator.NEQ, Operator.NOT_IN)
