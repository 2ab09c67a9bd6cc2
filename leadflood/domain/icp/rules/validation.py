"""Validation of an ICP as a person writes it: every problem, with its path and the fix."""

import math
from collections.abc import Callable, Iterator, Sequence
from itertools import islice
from typing import TypeGuard

from leadflood.contracts.patterns import MAX_PATTERN_CHARS, PatternRefused, compile_pattern
from leadflood.domain.icp.rules.asked_values import as_asked, never_met, unasked_countries
from leadflood.domain.icp.schemas import (
    FIELD_DESCRIPTIONS,
    MAX_NUMBER,
    FieldKind,
    IcpInput,
    Operator,
    QualificationRule,
    RuleKind,
    RuleValue,
    Target,
)
from leadflood.engine.errors import FieldProblem, Invalid
from leadflood.engine.text import hidden_signs

MAX_RULES = 100
MAX_ITEMS = 1000
MAX_NAME_CHARS = 200
MAX_TEXT_CHARS = 5000
MAX_PATTERNS_SIZE = 10_000
"""Steps of all compiled patterns of an ICP together: what a lead costs to score at most."""
MAX_PROBLEMS = 10
"""Problems that are named: the next ones are looked for when these are mended."""

_TEXT_KINDS = (FieldKind.TEXT, FieldKind.CATEGORY)
_FITTING_KINDS: dict[Operator, tuple[FieldKind, ...]] = {
    Operator.EQ: (FieldKind.NUMBER, FieldKind.FLAG, *_TEXT_KINDS),
    Operator.NEQ: (FieldKind.NUMBER, FieldKind.FLAG, *_TEXT_KINDS),
    Operator.IN: (FieldKind.NUMBER, *_TEXT_KINDS, FieldKind.LIST),
    Operator.NOT_IN: (FieldKind.NUMBER, *_TEXT_KINDS, FieldKind.LIST),
    Operator.GT: (FieldKind.NUMBER,),
    Operator.GTE: (FieldKind.NUMBER,),
    Operator.LT: (FieldKind.NUMBER,),
    Operator.LTE: (FieldKind.NUMBER,),
    Operator.BETWEEN: (FieldKind.NUMBER,),
    Operator.CONTAINS: (*_TEXT_KINDS, FieldKind.LIST),
    Operator.EXISTS: tuple(FieldKind),
    Operator.MATCHES: (*_TEXT_KINDS, FieldKind.LIST),
}


def check_icp(request: IcpInput) -> IcpInput:
    """Return an ICP in its one form; refuse one that breaks a rule, naming the first that do.

    It compiles patterns, up to 0.1 s: call it in a thread.
    Raises: Invalid with one problem for each fault.
    """
    problems = list(islice(problems_of(request), MAX_PROBLEMS))
    if problems:
        first = problems[0]
        is_all = len(problems) < MAX_PROBLEMS
        count = f"{len(problems) - 1} more" if is_all else "more"
        more = f" (and {count})" if len(problems) > 1 else ""
        raise Invalid(
            f"{first.path}: {first.problem}{more}", tuple(problems), code="icp.profile.invalid"
        )
    return as_asked(request)


def problems_of(request: IcpInput) -> Iterator[FieldProblem]:
    """List everything that is wrong with an ICP, the cheapest to find first."""
    yield from _text_problems("name", request.name, MAX_NAME_CHARS)
    if not request.name.strip():
        yield FieldProblem("name", 'is empty: give the profile a name, such as "Fintech in DACH"')
    yield from _text_problems("offer", request.offer, MAX_TEXT_CHARS)
    yield from _target_problems(request.target)
    medium, high = request.bands.medium, request.bands.high
    if medium > high:
        problem = f"is {medium:g}, above bands.high ({high:g}): make it smaller"
        yield FieldProblem("bands.medium", problem)
    if len(request.rules) > MAX_RULES:
        yield FieldProblem(
            "rules", f"has {len(request.rules)} rules: {MAX_RULES} at most, remove some"
        )
    else:
        yield from _rules_problems(request.rules)
    weights = [rule.weight for rule in request.rules if rule.kind is RuleKind.WEIGHTED]
    if weights and not any(weight > 0 for weight in weights):
        yield FieldProblem("rules", "all weights are 0: give at least one rule a weight above 0")


def _rules_problems(rules: Sequence[QualificationRule]) -> Iterator[FieldProblem]:
    size = 0
    for position, rule in enumerate(rules):
        problems = list(rule_problems(rule, f"rules[{position}]"))
        yield from problems
        if rule.operator is Operator.MATCHES and isinstance(rule.value, str) and not problems:
            size += compile_pattern(rule.value).size
        if size > MAX_PATTERNS_SIZE:
            yield FieldProblem(
                f"rules[{position}].value",
                f"makes the patterns of all rules too large together ({size} steps,"
                f" {MAX_PATTERNS_SIZE} at most): use fewer or simpler ones",
            )
            return


def rule_problems(rule: QualificationRule, path: str) -> Iterator[FieldProblem]:
    """List everything that is wrong with one rule."""
    kind = FIELD_DESCRIPTIONS[rule.field].kind
    if not math.isfinite(rule.weight):
        yield FieldProblem(f"{path}.weight", "is not a number: write one from 0 to 1000")
    if kind not in _FITTING_KINDS[rule.operator]:
        usable = ", ".join(name for name, kinds in _FITTING_KINDS.items() if kind in kinds)
        yield FieldProblem(
            f"{path}.operator",
            f"{rule.operator} does not fit {rule.field}, which is a {kind}: use {usable}",
        )
    else:
        yield from _value_problems(rule, kind, f"{path}.value")


def _target_problems(target: Target) -> Iterator[FieldProblem]:
    for name in ("titles", "industries", "countries", "technologies"):
        items: tuple[str, ...] = getattr(target, name)
        if len(items) > MAX_ITEMS:
            yield FieldProblem(f"target.{name}", f"has more than {MAX_ITEMS} items: shorten it")
        for position, item in enumerate(items):
            path = f"target.{name}[{position}]"
            yield from _text_problems(path, item, MAX_NAME_CHARS)
            if not item.strip():
                yield FieldProblem(path, "is empty: write a word or remove it")
    yield from unasked_countries(target)
    yield from _text_problems("target.keywords", target.keywords, MAX_NAME_CHARS)
    least, most = target.company_size_min, target.company_size_max
    if least is not None and most is not None and least > most:
        yield FieldProblem(
            "target.company_size_min",
            f"is {least}, above company_size_max ({most}): swap them",
        )


def _value_problems(rule: QualificationRule, kind: FieldKind, path: str) -> Iterator[FieldProblem]:
    check = _VALUE_CHECKS.get(rule.operator, _equal_problem)
    problem = check(rule.value, kind)
    if problem:
        yield FieldProblem(path, problem)
    else:
        yield from never_met(rule, path)
    items = rule.value if isinstance(rule.value, tuple) else (rule.value,)
    for item in items:
        if isinstance(item, str):
            yield from _text_problems(path, item, MAX_NAME_CHARS + MAX_PATTERN_CHARS)


def _equal_problem(value: RuleValue, kind: FieldKind) -> str | None:
    if isinstance(value, tuple):
        return "is a list: write one value, or use IN"
    return _item_problem(value, kind)


def _in_problem(value: RuleValue, kind: FieldKind) -> str | None:
    if not isinstance(value, tuple) or not value:
        return 'must be a list with at least one item, such as ["a", "b"]'
    if len(value) > MAX_ITEMS:
        return f"has more than {MAX_ITEMS} items: shorten it"
    return next((problem for item in value if (problem := _item_problem(item, kind))), None)


def _item_problem(item: RuleValue, kind: FieldKind) -> str | None:
    if kind is FieldKind.NUMBER:
        return None if _is_number(item) else f"holds {item!r}: write a number"
    if kind is FieldKind.FLAG:
        return None if isinstance(item, bool) else f"holds {item!r}: write true or false"
    if isinstance(item, str) and item.strip():
        return None
    return f'holds {item!r}: write words in quotes, such as "Berlin"'


def _bound_problem(value: RuleValue, _kind: FieldKind) -> str | None:
    return None if _is_number(value) else f"is {value!r}: write a number"


def _between_problem(value: RuleValue, _kind: FieldKind) -> str | None:
    numbers = [item for item in value if _is_number(item)] if isinstance(value, tuple) else []
    if not isinstance(value, tuple) or not len(value) == len(numbers) == 2:  # noqa: PLR2004 - least and most
        return "must be [least, most], two numbers such as [50, 500]"
    least, most = numbers
    return f"has its least above its most: write [{most}, {least}]" if least > most else None


def _contains_problem(value: RuleValue, _kind: FieldKind) -> str | None:
    items = value if isinstance(value, tuple) else (value,)
    if items and all(isinstance(item, str) and item.strip() for item in items):
        return None
    return 'must be words or a list of words, such as "stripe" or ["stripe", "react"]'


def _exists_problem(value: RuleValue, _kind: FieldKind) -> str | None:
    return None if isinstance(value, bool) else f"is {value!r}: write true or false"


def _pattern_problem(value: RuleValue, _kind: FieldKind) -> str | None:
    if not isinstance(value, str) or not value:
        return 'must be a regular expression in quotes, such as "^(vp|head) "'
    try:
        compile_pattern(value)
    except PatternRefused as error:
        return str(error)
    return None


_VALUE_CHECKS: dict[Operator, Callable[[RuleValue, FieldKind], str | None]] = {
    Operator.IN: _in_problem,
    Operator.NOT_IN: _in_problem,
    Operator.GT: _bound_problem,
    Operator.GTE: _bound_problem,
    Operator.LT: _bound_problem,
    Operator.LTE: _bound_problem,
    Operator.BETWEEN: _between_problem,
    Operator.CONTAINS: _contains_problem,
    Operator.EXISTS: _exists_problem,
    Operator.MATCHES: _pattern_problem,
}


def _is_number(value: object) -> TypeGuard[int | float]:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return False
    return abs(value) <= MAX_NUMBER


def _text_problems(path: str, text: str, max_chars: int) -> Iterator[FieldProblem]:
    if len(text) > max_chars:
        yield FieldProblem(path, f"has {len(text)} characters: {max_chars} at most, shorten it")
    if signs := hidden_signs(text):
        yield FieldProblem(path, f"holds what nobody sees ({', '.join(signs[:8])}): remove it")
