"""Asked values: an ICP's countries, levels and the like in the form in which leads have them."""

from collections.abc import Iterator

import msgspec

from leadflood.contracts.normalization.asked_values import ASKED_FIELDS, AskedField
from leadflood.contracts.patterns import compile_pattern
from leadflood.contracts.values import FieldName
from leadflood.domain.icp.schemas import (
    IcpInput,
    Operator,
    QualificationRule,
    RuleField,
    RuleValue,
    Target,
)
from leadflood.engine.errors import FieldProblem

_FIELDS = {
    RuleField.COUNTRY: ASKED_FIELDS[FieldName.COUNTRY],
    RuleField.SENIORITY: ASKED_FIELDS[FieldName.SENIORITY],
    RuleField.EMAIL_STATUS: ASKED_FIELDS[FieldName.EMAIL_STATUS],
    RuleField.COMPANY_DOMAIN: ASKED_FIELDS[FieldName.COMPANY_DOMAIN],
    RuleField.DEPARTMENT: ASKED_FIELDS[FieldName.DEPARTMENT],
}
_WHOLE = frozenset({Operator.EQ, Operator.NEQ, Operator.IN, Operator.NOT_IN})
"""Operators that compare a value as a whole."""


def as_asked(request: IcpInput) -> IcpInput:
    """Return an ICP whose values are in the form in which leads have them; it has no problem."""
    return msgspec.structs.replace(
        request,
        target=_target_as_asked(request.target),
        rules=tuple(map(_rule_as_asked, request.rules)),
    )


def unasked_countries(target: Target) -> Iterator[FieldProblem]:
    """List the countries of a target that are none, each with the nearest one."""
    for position, text in enumerate(target.countries):
        asked = ASKED_FIELDS[FieldName.COUNTRY].read(text)
        if asked.value is None:
            yield FieldProblem(f"target.countries[{position}]", asked.problem)


def never_met(rule: QualificationRule, path: str) -> Iterator[FieldProblem]:
    """List why no lead can ever have what a rule asks for; its value has the right type."""
    field = _FIELDS.get(rule.field)
    if field is None:
        return
    if rule.operator is Operator.MATCHES and isinstance(rule.value, str):
        pattern = compile_pattern(rule.value)
        if field.values and not pattern.is_in_any(field.values):
            shown = ", ".join(field.values[:12])
            problem = f"matches no value of {rule.field}: these are {shown} …"
            yield FieldProblem(path, problem)
        return
    for item in _items(rule.value):
        if isinstance(item, str) and _read(field, rule.operator, item) is None:
            yield FieldProblem(path, field.read(item).problem)


def _target_as_asked(target: Target) -> Target:
    read = ASKED_FIELDS[FieldName.COUNTRY].read
    codes = dict.fromkeys(read(text).value or text for text in target.countries)
    return msgspec.structs.replace(target, countries=tuple(codes))


def _rule_as_asked(rule: QualificationRule) -> QualificationRule:
    field = _FIELDS.get(rule.field)
    if field is None or rule.operator not in {*_WHOLE, Operator.CONTAINS}:
        return rule
    items = tuple(
        (_read(field, rule.operator, item) or item) if isinstance(item, str) else item
        for item in _items(rule.value)
    )
    value: RuleValue = tuple(dict.fromkeys(items)) if isinstance(rule.value, tuple) else items[0]
    return msgspec.structs.replace(rule, value=value)


def _read(field: AskedField, operator: Operator, text: str) -> str | None:
    """Return what is compared with a lead's value; None where that can never be met."""
    if operator in _WHOLE:
        return field.read(text).value
    if operator is not Operator.CONTAINS or not field.values:
        return text
    is_part = any(text.strip().casefold() in value.casefold() for value in field.values)
    return field.read(text).value or (text if is_part else None)


def _items(value: RuleValue) -> tuple[str | int | float | bool, ...]:
    return value if isinstance(value, tuple) else (value,)
