"""What makes an ICP sound, and the rules it has when its author wrote none. Pure."""

import math
from collections.abc import Callable, Iterator

import re2  # type: ignore[import-untyped] # google-re2 ships no types

from leadflood.domain.icp.schemas import (
    FIELD_DESCRIPTIONS,
    MAX_NUMBER,
    MAX_PATTERN_CHARS,
    FieldKind,
    IcpInput,
    Operator,
    QualificationRule,
    RuleField,
    RuleKind,
    RuleValue,
    Target,
)
from leadflood.engine.errors import FieldProblem, Invalid
from leadflood.engine.text import is_storable

MAX_RULES = 100
MAX_ITEMS = 1000
MAX_NAME_CHARS = 200
MAX_TEXT_CHARS = 5000
DECIDERS = ("owner", "founder", "c_suite", "partner", "vp", "head", "director")

_WORDS = (FieldKind.TEXT, FieldKind.CATEGORY)
_FITTING: dict[Operator, tuple[FieldKind, ...]] = {
    Operator.EQ: (FieldKind.NUMBER, FieldKind.FLAG, *_WORDS),
    Operator.NEQ: (FieldKind.NUMBER, FieldKind.FLAG, *_WORDS),
    Operator.IN: (FieldKind.NUMBER, *_WORDS, FieldKind.LIST),
    Operator.NOT_IN: (FieldKind.NUMBER, *_WORDS, FieldKind.LIST),
    Operator.GT: (FieldKind.NUMBER,),
    Operator.GTE: (FieldKind.NUMBER,),
    Operator.LT: (FieldKind.NUMBER,),
    Operator.LTE: (FieldKind.NUMBER,),
    Operator.BETWEEN: (FieldKind.NUMBER,),
    Operator.CONTAINS: (*_WORDS, FieldKind.LIST),
    Operator.EXISTS: tuple(FieldKind),
    Operator.MATCHES: (*_WORDS, FieldKind.LIST),
}


def check_icp(given: IcpInput) -> None:
    """Refuse an ICP that breaks a rule, naming every field that does.

    Raises: Invalid with one problem for each fault.
    """
    problems = list(problems_of(given))
    if problems:
        first = problems[0]
        more = f" (and {len(problems) - 1} more)" if len(problems) > 1 else ""
        raise Invalid(
            f"{first.path}: {first.problem}{more}", tuple(problems), code="icp.profile.invalid"
        )


def problems_of(given: IcpInput) -> Iterator[FieldProblem]:
    """List everything that is wrong with an ICP."""
    yield from _text_problems("name", given.name, MAX_NAME_CHARS)
    if not given.name.strip():
        yield FieldProblem("name", 'is empty: give the profile a name, such as "Fintech in DACH"')
    yield from _text_problems("offer", given.offer, MAX_TEXT_CHARS)
    yield from _target_problems(given.target)
    if given.bands.medium > given.bands.high:
        yield FieldProblem(
            "bands.medium",
            f"is {given.bands.medium:g}, above bands.high ({given.bands.high:g}): make it smaller",
        )
    if len(given.rules) > MAX_RULES:
        yield FieldProblem(
            "rules", f"has {len(given.rules)} rules: {MAX_RULES} at most, remove some"
        )
    for position, rule in enumerate(given.rules):
        yield from rule_problems(rule, f"rules[{position}]")
    weights = [rule.weight for rule in given.rules if rule.kind is RuleKind.WEIGHTED]
    if weights and not any(weight > 0 for weight in weights):
        yield FieldProblem("rules", "all weights are 0: give at least one rule a weight above 0")


def rule_problems(rule: QualificationRule, path: str) -> Iterator[FieldProblem]:
    """List everything that is wrong with one rule."""
    card = FIELD_DESCRIPTIONS[rule.field]
    fitting = _FITTING[rule.operator]
    if not math.isfinite(rule.weight):
        yield FieldProblem(f"{path}.weight", "is not a number: write one from 0 to 1000")
    if card.kind not in fitting:
        usable = ", ".join(one for one, kinds in _FITTING.items() if card.kind in kinds)
        yield FieldProblem(
            f"{path}.operator",
            f"{rule.operator} does not fit {rule.field}, which is a {card.kind}: use {usable}",
        )
    else:
        yield from _value_problems(rule, card.kind, f"{path}.value")


def rules_in_force(given: IcpInput) -> tuple[QualificationRule, ...]:
    """List the rules that a version is scored by: the author's, else those the target makes.

    Hard filters alone cannot tell good from better, so the target's rules join them.
    """
    if any(rule.kind is RuleKind.WEIGHTED for rule in given.rules):
        return given.rules
    return (*given.rules, *default_rules(given.target))


def default_rules(target: Target) -> tuple[QualificationRule, ...]:
    """Make weighted rules from a target: some for each thing it asks for, and a sure e-mail.

    What discovery could already ask for weighs little, what enrichment must confirm weighs more:
    of leads that a search by the same target brings, a fifth to a third then score 70 or more.
    """
    asks_size = target.company_size_min is not None or target.company_size_max is not None
    made = [_made(RuleField.SENIORITY, Operator.IN, DECIDERS, 10.0)]
    flags = (
        (RuleField.TITLE_MATCHES, bool(target.titles), 12.0),
        (RuleField.COMPANY_SIZE_IN_RANGE, asks_size, 8.0),
        (RuleField.COUNTRY_MATCHES, bool(target.countries), 4.0),
        (RuleField.INDUSTRY_MATCHES, bool(target.industries), 15.0),
        (RuleField.EMAIL_VERIFIED, True, 16.0),
    )
    made.extend(
        _made(field, Operator.EQ, True, weight)  # noqa: FBT003 - the value that is wanted
        for field, is_asked, weight in flags
        if is_asked
    )
    if target.technologies:
        made.append(_made(RuleField.TECHNOLOGY_MATCH_COUNT, Operator.GTE, 1, 4.0))
        made.append(_made(RuleField.TECHNOLOGY_MATCH_RATIO, Operator.GTE, 0.5, 31.0))
    return tuple(made)


def _made(
    field: RuleField, operator: Operator, value: RuleValue, weight: float
) -> QualificationRule:
    return QualificationRule(field=field, operator=operator, value=value, weight=weight)


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
    if not (isinstance(value, tuple) and len(value) == 2 and all(map(_is_number, value))):  # noqa: PLR2004 - least and most
        return "must be [least, most], two numbers such as [50, 500]"
    least, most = value
    return f"has its least above its most: write [{most}, {least}]" if least > most else None  # type: ignore[operator] # both are numbers


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
    if len(value) > MAX_PATTERN_CHARS:
        return f"has {len(value)} characters: {MAX_PATTERN_CHARS} at most, split the rule"
    options = re2.Options()
    options.log_errors = False
    try:
        re2.compile(value, options)
    except (re2.error, ValueError) as error:
        said = error.args[0] if error.args else error
        text = said.decode(errors="replace") if isinstance(said, bytes) else str(said)
        return (
            f"is not a regular expression that RE2 reads ({text}): mend it; look-around and"
            " back-references do not exist there"
        )
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


def _is_number(value: object) -> bool:
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    return is_number and abs(value) <= MAX_NUMBER  # type: ignore[arg-type] # a number by then


def _text_problems(path: str, text: str, longest_chars: int) -> Iterator[FieldProblem]:
    if len(text) > longest_chars:
        yield FieldProblem(path, f"has {len(text)} characters: {longest_chars} at most, shorten it")
    if not is_storable(text):
        yield FieldProblem(
            path, "holds a character that is no text (NUL or half a pair): remove it"
        )
