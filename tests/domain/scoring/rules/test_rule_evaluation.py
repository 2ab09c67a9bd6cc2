import time
from typing import Any

import pytest
from hypothesis import given, strategies as st
from leadflood.domain.icp.schemas import Operator, QualificationRule, RuleField
from leadflood.domain.scoring.rules.rule_evaluation import Evaluation, RuleEvaluator
from tests.domain.icp.icps import CALM, a_flag, a_rule, odd_values

any_rule = st.builds(
    QualificationRule,
    field=st.sampled_from(RuleField),
    operator=st.sampled_from(Operator),
    value=st.one_of(
        st.booleans(),
        st.integers(),
        st.floats(),
        st.text(),
        st.lists(st.one_of(st.text(), st.integers(), st.booleans()), max_size=3).map(tuple),
    ),
)


def evaluate(rule: QualificationRule, features: dict[str, Any]) -> Evaluation:
    return RuleEvaluator(rule).judge(features)


@CALM
@given(any_rule, odd_values)
def test_every_rule_has_a_verdict_on_every_value(rule: QualificationRule, value: Any) -> None:
    verdict = evaluate(rule, {rule.field.value: value})

    assert isinstance(verdict.is_met, bool)
    assert verdict.reason


@CALM
@given(any_rule)
def test_a_missing_value_meets_only_what_nothing_speaks_against(rule: QualificationRule) -> None:
    may_be_missing = rule.operator in (Operator.NEQ, Operator.NOT_IN) or (
        rule.operator is Operator.EXISTS and rule.value is False
    )

    assert evaluate(rule, {}).is_met is may_be_missing


@pytest.mark.parametrize(
    ("field", "operator", "wanted", "seen", "is_met"),
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
    wanted: Any,
    seen: Any,
    is_met: bool,  # noqa: FBT001 - a table
) -> None:
    assert evaluate(a_rule(field, operator, wanted), {field: seen}).is_met is is_met


def test_a_pattern_that_explodes_elsewhere_answers_at_once() -> None:
    rule = a_rule("title", "MATCHES", "(a+)+$")
    began_s = time.perf_counter()

    verdict = evaluate(rule, {"title": "a" * 9_000 + "!"})

    assert not verdict.is_met
    assert time.perf_counter() - began_s < 5


def test_the_reason_says_what_was_seen_in_words() -> None:
    verdict = evaluate(a_flag("title_matches"), {"title_matches": True, "title": "VP Ops"})

    assert verdict.reason == "title is one of those wanted: it is yes (VP Ops)"
