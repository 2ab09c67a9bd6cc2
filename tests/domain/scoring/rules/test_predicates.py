import time
from typing import Any

import pytest
from hypothesis import given, strategies as st
from leadflood.domain.icp.rules.validation import rule_problems
from leadflood.domain.icp.schemas import Operator, QualificationRule, RuleField
from leadflood.domain.scoring.rules.predicates import UnusableRule, make_predicate
from tests.domain.icp.icps import CALM, NUMBERS, a_rule


@pytest.mark.parametrize(
    ("field", "operator", "value", "fact", "is_met"),
    [
        ("country", "EQ", "de", " DE ", True),
        ("country", "NEQ", "DE", "FR", True),
        ("country", "IN", ("DE", "AT"), "at", True),
        ("country", "NOT_IN", ("DE", "AT"), "AT", False),
        ("company_size", "EQ", 50, 50.0, True),
        ("company_size", "GT", 50, 50, False),
        ("company_size", "GTE", 50, "50", True),
        ("company_size", "LT", 50, 49, True),
        ("company_size", "LTE", 50, 51, False),
        ("company_size", "BETWEEN", (50, 500), 500, True),
        ("company_size", "BETWEEN", (50, 500), 501, False),
        ("company_size", "GT", 0, True, False),
        ("company_size", "GT", 0, float("nan"), False),
        ("has_email", "EQ", True, True, True),
        ("has_email", "EQ", True, 1, False),
        ("title", "CONTAINS", "sales", "Head of SALES", True),
        ("title", "EXISTS", True, "CEO", True),
        ("title", "EXISTS", False, "CEO", False),
        ("title", "MATCHES", r"^(vp|head)\b", "VP Ops", True),
        ("title", "MATCHES", r"^vp\b", "Senior VP", False),
        ("title", "EQ", "STRASSE", "Straße", True),
        ("technologies", "CONTAINS", ("sap", "Odoo"), ("SAP", "odoo", "React"), True),
        ("technologies", "CONTAINS", ("sap", "Odoo"), ("SAP",), False),
        ("technologies", "IN", ("sap", "Odoo"), ("SAP",), True),
        ("technologies", "NOT_IN", ("sap",), ("React",), True),
        ("technologies", "MATCHES", "^net", ("React", "NetSuite"), True),
    ],
)
def test_operators_mean_what_their_names_say(
    field: str,
    operator: str,
    value: Any,
    fact: Any,
    is_met: bool,  # noqa: FBT001 - a table
) -> None:
    rule = a_rule(field, operator, value)

    assert make_predicate(rule.operator, rule.value)(fact) is is_met


def test_a_pattern_that_explodes_elsewhere_answers_at_once() -> None:
    predicate = make_predicate(Operator.MATCHES, "(a+)+$")
    started_s = time.perf_counter()

    assert not predicate("a" * 9_000 + "!")
    assert time.perf_counter() - started_s < 5


PATTERNS = st.text(alphabet="aZé(){}[]\\pLwW|*+?.^$0123459,-:<>=!", max_size=60)
VALUES = st.one_of(
    PATTERNS, NUMBERS, st.booleans(), st.lists(st.one_of(PATTERNS, NUMBERS)).map(tuple)
)


@CALM
@given(st.sampled_from(RuleField), st.sampled_from(Operator), VALUES)
def test_what_is_accepted_can_be_evaluated(
    field: RuleField, operator: Operator, value: Any
) -> None:
    rule = QualificationRule(field=field, operator=operator, value=value)

    if not list(rule_problems(rule, "rules[0]")):
        make_predicate(rule.operator, rule.value)("aé1")


@CALM
@given(PATTERNS)
def test_a_pattern_is_accepted_just_where_it_is_evaluated(pattern: str) -> None:
    rule = a_rule("title", "MATCHES", pattern)
    is_accepted = not list(rule_problems(rule, "rules[0]"))

    try:
        make_predicate(rule.operator, rule.value)
    except UnusableRule:
        assert not is_accepted
    else:
        assert is_accepted or not pattern
