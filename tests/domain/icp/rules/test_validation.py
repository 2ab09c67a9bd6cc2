import pytest
from hypothesis import given, strategies as st
from leadflood.domain.icp.rules.validation import check_icp, problems_of
from leadflood.domain.icp.schemas import QualificationRule
from leadflood.engine.errors import Invalid
from tests.domain.icp.icps import CALM, a_rule, an_icp, rules


@CALM
@given(st.lists(rules(), max_size=5))
def test_rules_of_the_right_kinds_are_accepted(given_rules: list[QualificationRule]) -> None:
    icp = an_icp(rules=tuple(given_rules))

    assert {problem.path for problem in problems_of(icp)} <= {"rules"}


def test_all_problems_are_carried_by_the_error() -> None:
    icp = an_icp(name="", rules=(a_rule("title", "GT", 1), a_rule("title", "MATCHES", "(")))

    with pytest.raises(Invalid) as caught:
        check_icp(icp)

    assert [problem.path for problem in caught.value.fields] == [
        "name",
        "rules[0].operator",
        "rules[1].value",
    ]


def test_a_pattern_that_takes_long_to_compile_is_refused_not_kept_to_match_nothing() -> None:
    huge = "(" + "|".join(["(a.{1,200}b)"] * 30) + ")"

    with pytest.raises(Invalid, match="too large"):
        check_icp(an_icp(rules=(a_rule("title", "MATCHES", huge),)))
    check_icp(an_icp(rules=(a_rule("title", "MATCHES", "|".join(["geschäftsführer"] * 30)),)))
