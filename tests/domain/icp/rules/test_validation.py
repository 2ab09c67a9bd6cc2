import time

import pytest
from hypothesis import given, strategies as st
from leadflood.domain.icp.rules.validation import MAX_PROBLEMS, check_icp, problems_of
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


@pytest.mark.parametrize(
    "pattern", [r"[\pL]{500}", "(" + "|".join(["(a.{1,200}b)"] * 30) + ")", r"(\pL|\pN){10}"]
)
def test_a_pattern_that_takes_long_to_compile_is_refused_not_kept_to_match_nothing(
    pattern: str,
) -> None:
    with pytest.raises(Invalid, match="too large"):
        check_icp(an_icp(rules=(a_rule("title", "MATCHES", pattern),)))
    check_icp(an_icp(rules=(a_rule("title", "MATCHES", "|".join(["geschäftsführer"] * 30)),)))


def test_the_patterns_of_an_icp_are_bounded_together() -> None:
    many = tuple(a_rule("title", "MATCHES", rf"\pL{{2}}{number}") for number in range(100))

    with pytest.raises(Invalid, match="too large together") as caught:
        check_icp(an_icp(rules=many))
    check_icp(an_icp(rules=many[:3]))
    assert len(caught.value.fields) == 1


def test_the_search_for_problems_ends_with_the_first_few() -> None:
    started_s = time.perf_counter()

    with pytest.raises(Invalid, match="and more") as caught:
        check_icp(an_icp(rules=(a_rule("title", "MATCHES", r"[\pL]{500}"),) * 100))

    assert len(caught.value.fields) == MAX_PROBLEMS
    assert time.perf_counter() - started_s < 0.5
