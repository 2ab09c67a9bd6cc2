"""Whether a value meets a rule: total over any value, missing and odd ones included. Pure."""

import unicodedata
from collections.abc import Callable, Mapping
from functools import lru_cache, partial

import msgspec
import re2  # type: ignore[import-untyped] # google-re2 ships no types

from leadflood.domain.icp.schemas import (
    FIELD_DESCRIPTIONS,
    MAX_NUMBER,
    MAX_PATTERN_CHARS,
    FieldKind,
    Operator,
    QualificationRule,
    RuleField,
    RuleScalar,
    RuleValue,
)
from leadflood.domain.scoring.schemas import FactValue
from leadflood.engine.text import make_encodable

MAX_TEXT_CHARS = 10_000
MAX_SEEN_CHARS = 200
MAX_SEEN_ITEMS = 50
MAX_PATTERN_BYTES = 1 << 20

Predicate = Callable[[FactValue], bool]


class Evaluation(msgspec.Struct, frozen=True):
    """What a rule says of a value. `seen` None: it is not known."""

    is_met: bool
    seen: FactValue | None
    reason: str


class RuleEvaluator:
    """A rule made ready: its value folded, its pattern compiled, its words written."""

    __slots__ = ("_basis", "_if_missing", "_label", "_name", "_predicate", "_words", "rule")

    def __init__(self, rule: QualificationRule) -> None:
        self.rule = rule
        card = FIELD_DESCRIPTIONS[rule.field]
        self._name = str(rule.field)
        self._basis = str(card.basis) if card.basis else None
        self._label = card.words
        self._words = describe_rule(rule.field, rule.operator, rule.value)
        self._predicate = make_predicate(rule)
        self._if_missing = _met_by_nothing(rule)

    def judge(self, features: Mapping[str, FactValue]) -> Evaluation:
        """Judge a lead's features."""
        value = known_value(features.get(self._name))
        if value is None:
            outcome = "holds" if self._if_missing else "does not hold"
            return Evaluation(
                self._if_missing, None, f"{self._words}: {outcome}, the value is not known"
            )
        is_met = self._predicate(value)
        basis = known_value(features.get(self._basis)) if self._basis else None
        shown = (
            format_value(value)
            if basis is None
            else f"{format_value(value)} ({format_value(basis)})"
        )
        return Evaluation(is_met, shorten(value), f"{self._words}: it is {shown}")

    def would_meet(self, value: FactValue | None) -> bool:
        """Tell whether the rule would be met by that value."""
        value = known_value(value)
        return self._if_missing if value is None else self._predicate(value)


def known_value(value: FactValue | None) -> FactValue | None:
    """Take not-a-number, absurd numbers, empty text and the empty list for not known."""
    if isinstance(value, int | float) and not abs(value) <= MAX_NUMBER:
        return None
    if isinstance(value, str | tuple) and not value:
        return None
    return value


def make_predicate(rule: QualificationRule) -> Predicate:
    """Make the test of a rule for values that are known."""
    value = rule.value
    make: Callable[[RuleValue], Predicate] = _MAKERS[rule.operator]
    return make(value)


def describe_rule(field: RuleField, operator: Operator, value: RuleValue) -> str:
    """Say what a rule asks for, in plain words."""
    card = FIELD_DESCRIPTIONS[field]
    equality = operator in (Operator.EQ, Operator.NEQ)
    if equality and card.kind is FieldKind.FLAG and isinstance(value, bool):
        return card.words if value is (operator is Operator.EQ) else f"not so: {card.words}"
    if operator is Operator.EXISTS:
        return f"{card.words} {'is not' if value is False else 'is'} known"
    if operator is Operator.BETWEEN and isinstance(value, tuple) and len(value) == 2:  # noqa: PLR2004 - least and most
        return f"{card.words} is from {format_value(value[0])} to {format_value(value[1])}"
    return f"{card.words} {_PHRASES[operator]} {format_value(value)}"


def format_value(value: RuleValue | FactValue) -> str:
    """Write a value for people."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, tuple):
        shown = ", ".join(format_value(item) for item in value[:MAX_SEEN_ITEMS])
        return f"{shown}, …" if len(value) > MAX_SEEN_ITEMS else shown or "nothing"
    if isinstance(value, str):
        return value if len(value) <= MAX_SEEN_CHARS else f"{value[:MAX_SEEN_CHARS]}…"
    return f"{value:,.10g}" if isinstance(value, float) else f"{value:,}"


def shorten(value: FactValue) -> FactValue:
    """Cut a value to what a trace should hold."""
    if isinstance(value, str):
        return value[:MAX_SEEN_CHARS]
    if isinstance(value, tuple):
        return tuple(item[:MAX_SEEN_CHARS] for item in value[:MAX_SEEN_ITEMS])
    return value


@lru_cache(maxsize=50_000)
def fold(text: str) -> str:
    """Write a text so that case, outer spaces and ways of composing letters do not matter."""
    if text.isascii():
        return text.strip().lower()
    return unicodedata.normalize("NFKC", text).strip().casefold()


def _met_by_nothing(rule: QualificationRule) -> bool:
    if rule.operator is Operator.EXISTS:
        return rule.value is False
    return rule.operator in (Operator.NEQ, Operator.NOT_IN)


def _atom(value: RuleScalar) -> tuple[str, object]:
    """Put a value in a form in which equal ones are equal: a flag is no number, text is folded."""
    if isinstance(value, bool):
        return "flag", value
    if isinstance(value, int | float):
        return "number", value
    return "text", fold(value)


def _atoms(value: RuleValue | FactValue) -> frozenset[tuple[str, object]]:
    return frozenset(map(_atom, value if isinstance(value, tuple) else (value,)))


def _number(value: object) -> int | float | None:
    """Read a number; a text that is one counts as one."""
    if isinstance(value, str):
        try:
            value = float(value)
        except ValueError:
            return None
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return value if abs(value) <= MAX_NUMBER else None


def _never(_seen: FactValue) -> bool:
    return False


def _always(_seen: FactValue) -> bool:
    return True


def _same(seen: FactValue, wanted: frozenset[tuple[str, object]]) -> bool:
    if isinstance(seen, tuple):
        return _atoms(seen) == wanted
    return len(wanted) == 1 and _atom(seen) in wanted


def _shares(seen: FactValue, wanted: frozenset[tuple[str, object]]) -> bool:
    if isinstance(seen, tuple):
        return not wanted.isdisjoint(_atoms(seen))
    return _atom(seen) in wanted


def _equal(value: RuleValue) -> Predicate:
    wanted = _atoms(value)
    return lambda seen: _same(seen, wanted)


def _unequal(value: RuleValue) -> Predicate:
    wanted = _atoms(value)
    return lambda seen: not _same(seen, wanted)


def _among(value: RuleValue) -> Predicate:
    wanted = _atoms(value)
    return lambda seen: _shares(seen, wanted)


def _not_among(value: RuleValue) -> Predicate:
    wanted = _atoms(value)
    return lambda seen: not _shares(seen, wanted)


def _compared(holds: Callable[[int | float, int | float], bool], value: RuleValue) -> Predicate:
    bound = _number(value)
    if bound is None:
        return _never

    def predicate(seen: FactValue) -> bool:
        number = _number(seen)
        return number is not None and holds(number, bound)

    return predicate


def _between(value: RuleValue) -> Predicate:
    ends = [_number(end) for end in value] if isinstance(value, tuple) else []
    if len(ends) != 2 or ends[0] is None or ends[1] is None:  # noqa: PLR2004 - least and most
        return _never
    least, most = ends[0], ends[1]

    def predicate(seen: FactValue) -> bool:
        number = _number(seen)
        return number is not None and least <= number <= most

    return predicate


def _containing(value: RuleValue) -> Predicate:
    parts = value if isinstance(value, tuple) else (value,)
    wanted = [fold(part) for part in parts if isinstance(part, str)]
    if not wanted or len(wanted) < len(parts):
        return _never

    def predicate(seen: FactValue) -> bool:
        if isinstance(seen, tuple):
            items = {fold(item) for item in seen}
            return all(part in items for part in wanted)
        return isinstance(seen, str) and all(part in fold(seen) for part in wanted)

    return predicate


def _existing(value: RuleValue) -> Predicate:
    return _never if value is False else _always


def _matching(value: RuleValue) -> Predicate:
    pattern = _compile(value) if isinstance(value, str) else None
    if pattern is None:
        return _never

    def predicate(seen: FactValue) -> bool:
        texts = seen if isinstance(seen, tuple) else (seen,)
        return any(
            pattern.search(_plain(text)) is not None for text in texts if isinstance(text, str)
        )

    return predicate


def _compile(pattern: str) -> "re2._Regexp | None":
    """Compile with RE2, which is linear in the text; what it refuses matches nothing."""
    if len(pattern) > MAX_PATTERN_CHARS:
        return None
    options = re2.Options()
    options.log_errors = False
    options.case_sensitive = False
    options.max_mem = MAX_PATTERN_BYTES
    try:
        return re2.compile(pattern, options)
    except (re2.error, ValueError):
        return None


def _plain(text: str) -> str:
    """Cut a text to a sane length, without half pairs, which RE2 cannot read."""
    return make_encodable(text[:MAX_TEXT_CHARS])


_MAKERS: dict[Operator, Callable[[RuleValue], Predicate]] = {
    Operator.EQ: _equal,
    Operator.NEQ: _unequal,
    Operator.IN: _among,
    Operator.NOT_IN: _not_among,
    Operator.GT: partial(_compared, lambda seen, bound: seen > bound),
    Operator.GTE: partial(_compared, lambda seen, bound: seen >= bound),
    Operator.LT: partial(_compared, lambda seen, bound: seen < bound),
    Operator.LTE: partial(_compared, lambda seen, bound: seen <= bound),
    Operator.BETWEEN: _between,
    Operator.CONTAINS: _containing,
    Operator.EXISTS: _existing,
    Operator.MATCHES: _matching,
}
_PHRASES: dict[Operator, str] = {
    Operator.EQ: "is",
    Operator.NEQ: "is not",
    Operator.IN: "is one of",
    Operator.NOT_IN: "is none of",
    Operator.GT: "is above",
    Operator.GTE: "is at least",
    Operator.LT: "is below",
    Operator.LTE: "is at most",
    Operator.BETWEEN: "is between",
    Operator.CONTAINS: "contains",
    Operator.EXISTS: "is known",
    Operator.MATCHES: "matches",
}
