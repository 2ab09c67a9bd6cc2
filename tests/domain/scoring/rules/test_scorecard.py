from typing import Any

import pytest
from hypothesis import given, strategies as st
from leadflood.contracts.values import Band
from leadflood.domain.icp.schemas import Bands, QualificationRule, RuleKind
from leadflood.domain.scoring.rules.counterfactuals import find_needs
from leadflood.domain.scoring.rules.scorecard import Scorecard, apportion, band_of
from leadflood.domain.scoring.schemas import Contribution
from tests.domain.icp.icps import CALM, a_flag, a_rule, features, odd_values, rules

extras = st.lists(
    st.builds(Contribution, st.sampled_from(("llm", "model")), st.integers(-150_000, 150_000)),
    max_size=2,
)


@CALM
@given(st.lists(rules(), max_size=8), features(), extras)
def test_the_contributions_sum_to_the_score_exactly(
    given_rules: list[QualificationRule], vector: dict[str, object], extra: list[Contribution]
) -> None:
    score = Scorecard(given_rules, Bands()).score(vector, extra)  # type: ignore[arg-type]

    assert sum(part.points_milli for part in score.contributions) == score.score_milli
    assert 0 <= score.score_milli <= 100_000


@CALM
@given(
    st.lists(rules(), max_size=8),
    st.dictionaries(st.sampled_from(("title", "company_size", "technologies")), odd_values),
)
def test_any_vector_has_a_score(
    given_rules: list[QualificationRule], vector: dict[str, object]
) -> None:
    score = Scorecard(given_rules, Bands()).score(vector)  # type: ignore[arg-type]

    assert sum(part.points_milli for part in score.contributions) == score.score_milli
    assert len(score.trace) == len(given_rules)


@CALM
@given(st.lists(st.floats(0, 1000), max_size=20))
def test_shares_sum_to_a_hundred_points_or_to_nothing(weights: list[float]) -> None:
    shares = apportion(weights)

    assert sum(shares) == (100_000 if any(weights) else 0)
    assert all(share >= 0 for share in shares)


def test_the_residue_of_rounding_goes_to_the_largest_remainders() -> None:
    assert apportion([1, 1, 1]) == [33_334, 33_333, 33_333]
    assert apportion([2, 1]) == [66_667, 33_333]


@CALM
@given(st.integers(0, 100_000), st.integers(0, 100_000), st.floats(0.1, 100), st.floats(0.1, 100))
def test_a_higher_score_never_has_a_lower_band(
    one: int, other: int, first: float, second: float
) -> None:
    bands = Bands(medium=min(first, second), high=max(first, second))
    order = list(Band)

    low, high = (
        band_of(milli, bands.medium_milli, bands.high_milli) for milli in sorted((one, other))
    )

    assert order.index(low) <= order.index(high)


def test_a_lead_that_meets_every_rule_has_a_hundred_points() -> None:
    card = Scorecard(
        [
            a_flag("title_matches", weight=25),
            a_rule("company_size", "BETWEEN", (50, 500), weight=7),
            a_rule("country", "IN", ("DE", "AT"), weight=1),
        ],
        Bands(),
    )

    score = card.score({"title_matches": True, "company_size": 50, "country": "de"})

    assert score.score_milli == 100_000
    assert score.band is Band.HIGH


def test_a_hard_filter_that_is_not_met_takes_away_everything() -> None:
    card = Scorecard(
        [
            a_flag("title_matches", weight=1),
            a_flag("has_email", weight=1),
            a_rule("country", "NOT_IN", ("US",), kind=RuleKind.HARD_FILTER),
            a_rule("company_size", "GTE", 10, kind=RuleKind.HARD_FILTER),
        ],
        Bands(),
    )

    score = card.score({"title_matches": True, "has_email": False, "country": "US"})

    assert score.contributions == (
        Contribution("rule.0", 50_000),
        Contribution("rule.1", 0),
        Contribution("filter.2", -50_000),
        Contribution("filter.3", 0),
    )
    assert score.is_filtered_out


def test_contributions_of_other_scorers_are_clamped_by_a_contribution() -> None:
    card = Scorecard([a_flag("has_email")], Bands())

    score = card.score({"has_email": True}, [Contribution("llm", 20_000)])

    assert score.contributions[-2:] == (Contribution("llm", 20_000), Contribution("clamp", -20_000))
    assert score.score_milli == 100_000


@CALM
@given(st.lists(rules(), min_size=1, max_size=6), features())
def test_equal_inputs_have_equal_scores(
    given_rules: list[QualificationRule], vector: dict[str, object]
) -> None:
    first = Scorecard(given_rules, Bands()).score(vector)  # type: ignore[arg-type]
    second = Scorecard(given_rules, Bands()).score(vector)  # type: ignore[arg-type]

    assert first == second


UNUSABLE = (
    ("title", "MATCHES", r"[\pL]{500}"),
    ("title", "MATCHES", "("),
    ("title", "MATCHES", 5),
    ("company_size", "GT", "many"),
    ("company_size", "BETWEEN", (1,)),
    ("title", "CONTAINS", 5),
)


@pytest.mark.parametrize(("field", "operator", "value"), UNUSABLE)
def test_a_rule_that_cannot_be_evaluated_is_an_error_in_the_score_and_takes_nothing(
    field: str, operator: str, value: Any
) -> None:
    filter_rule = a_rule(field, operator, value, kind=RuleKind.HARD_FILTER)
    card = Scorecard([filter_rule, a_rule(field, operator, value), a_flag("has_email")], Bands())

    score = card.score({"has_email": True, "title": "VP", "company_size": 50})

    assert [bool(row.error) for row in score.trace] == [True, True, False]
    assert "cannot be evaluated" in score.trace[0].reason
    assert not score.is_filtered_out
    assert score.score_milli == 50_000


def test_nobody_is_high_while_a_hard_filter_cannot_be_evaluated() -> None:
    filter_rule = a_rule("title", "MATCHES", "(", kind=RuleKind.HARD_FILTER)
    card = Scorecard([filter_rule, a_flag("has_email")], Bands())

    score = card.score({"has_email": True, "title": "VP"})

    assert (score.score_milli, score.band) == (100_000, Band.MEDIUM)
    assert not find_needs(score, Band.HIGH, card.high_milli).is_reachable
