from typing import Any

from hypothesis import given, strategies as st
from leadflood.domain.icp.schemas import Operator, QualificationRule, RuleField
from leadflood.domain.scoring.rules.rule_evaluation import Evaluation, RuleEvaluator
from tests.domain.icp.icps import CALM, a_flag, odd_values

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
    return RuleEvaluator(rule).evaluate(features)


@CALM
@given(any_rule, odd_values)
def test_every_rule_has_a_result_for_every_value(rule: QualificationRule, value: Any) -> None:
    evaluation = evaluate(rule, {rule.field.value: value})

    assert isinstance(evaluation.is_met, bool)
    assert evaluation.reason


@CALM
@given(any_rule)
def test_a_missing_value_meets_only_negative_operators(rule: QualificationRule) -> None:
    may_be_missing = rule.operator in (Operator.NEQ, Operator.NOT_IN) or (
        rule.operator is Operator.EXISTS and rule.value is False
    )

    assert evaluate(rule, {}).is_met is may_be_missing


def test_the_reason_names_the_value_in_words() -> None:
    evaluation = evaluate(a_flag("title_matches"), {"title_matches": True, "title": "VP Ops"})

    assert evaluation.reason == "title is one of those wanted: it is yes (VP Ops)"
