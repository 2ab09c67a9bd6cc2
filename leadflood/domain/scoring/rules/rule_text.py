"""Rules and values in plain words."""

from leadflood.domain.icp.schemas import (
    FIELD_DESCRIPTIONS,
    FieldKind,
    Operator,
    RuleField,
    RuleValue,
)
from leadflood.domain.scoring.schemas import MAX_SEEN_CHARS, MAX_SEEN_ITEMS, FactValue

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


def describe_rule(field: RuleField, operator: Operator, value: RuleValue) -> str:
    """Return what a rule asks for, in plain words."""
    description = FIELD_DESCRIPTIONS[field]
    words = description.words
    is_equality = operator in (Operator.EQ, Operator.NEQ)
    if is_equality and description.kind is FieldKind.FLAG and isinstance(value, bool):
        return words if value is (operator is Operator.EQ) else f"not so: {words}"
    if operator is Operator.EXISTS:
        return f"{words} {'is not' if value is False else 'is'} known"
    if operator is Operator.BETWEEN and isinstance(value, tuple) and len(value) == 2:  # noqa: PLR2004 - least and most
        return f"{words} is from {format_value(value[0])} to {format_value(value[1])}"
    return f"{words} {_PHRASES[operator]} {format_value(value)}"


def format_value(value: RuleValue | FactValue) -> str:
    """Format a value for people."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, tuple):
        text = ", ".join(format_value(item) for item in value[:MAX_SEEN_ITEMS])
        return f"{text}, …" if len(value) > MAX_SEEN_ITEMS else text or "nothing"
    if isinstance(value, str):
        return value if len(value) <= MAX_SEEN_CHARS else f"{value[:MAX_SEEN_CHARS]}…"
    return f"{value:,.10g}" if isinstance(value, float) else f"{value:,}"
