from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given, strategies as st
from leadflood.contracts.values import Band
from leadflood.domain.icp.schemas import Bands, QualificationRule, RuleKind
from leadflood.domain.scoring.rules.explanation import explain, find_needs_of, format_points
from leadflood.domain.scoring.rules.scorecard import Scorecard
from leadflood.domain.scoring.schemas import Contribution, Prediction
from tests.domain.icp.icps import CALM, a_flag, a_rule, features, rules

NOBODY = UUID(int=1)


def a_prediction(
    given_rules: list[QualificationRule], vector: dict[str, Any], *extra: Contribution
) -> Prediction:
    card = Scorecard(given_rules, Bands())
    return Prediction(
        id=NOBODY,
        lead_id=NOBODY,
        icp_id=NOBODY,
        run_id=None,
        snapshot_id=NOBODY,
        source_version=1,
        algorithm="rules",
        algorithm_version=1,
        medium_milli=card.medium_milli,
        high_milli=card.high_milli,
        score=card.score(vector, extra),
        created_at=datetime(2026, 1, 5, tzinfo=UTC),
    )


@CALM
@given(st.lists(rules(), max_size=6), features())
def test_the_points_in_the_lines_sum_to_the_score_in_the_first(
    given_rules: list[QualificationRule], vector: dict[str, Any]
) -> None:
    prediction = a_prediction(given_rules, vector)

    lines = explain(prediction)

    parts = [line.split(" ", 1)[0] for line in lines if line[0] in "+-"]
    assert sum(round(float(part) * 1000) for part in parts) == prediction.score.score_milli
    assert lines[0].startswith(f"{format_points(prediction.score.score_milli)} of 100: ")


def test_the_explanation_of_a_filtered_lead_names_the_filter() -> None:
    prediction = a_prediction(
        [
            a_flag("title_matches"),
            a_rule("country", "NOT_IN", ("US",), kind=RuleKind.HARD_FILTER),
        ],
        {"title_matches": True, "title": "COO", "country": "US"},
    )

    assert explain(prediction) == [
        "0 of 100: LOW",
        "+100 title is one of those wanted: it is yes (COO)",
        "-100 hard filter not met: country is none of US: it is US",
        "to reach HIGH: needs country is none of US (+0) → 100",
    ]


def test_contributions_of_other_scorers_have_words_of_their_own() -> None:
    prediction = a_prediction(
        [a_flag("has_email")], {"has_email": True}, Contribution("llm", 5_000)
    )

    assert explain(prediction)[1:] == [
        "+100 an e-mail address is known: it is yes",
        "+5 read by an LLM",
        "-5 kept within 0 to 100",
    ]


def test_an_unknown_value_is_named_as_unknown() -> None:
    prediction = a_prediction([a_rule("company_size", "BETWEEN", (50, 500))], {})

    assert explain(prediction) == [
        "0 of 100: LOW",
        "+0 of 100 company size is from 50 to 500: does not hold, the value is not known",
        "to reach HIGH: needs company size is from 50 to 500 (+100) → 100",
    ]


def test_a_lead_in_the_band_needs_nothing() -> None:
    prediction = a_prediction([a_flag("has_email")], {"has_email": True})

    assert find_needs_of(prediction).changes == ()
    assert find_needs_of(prediction, Band.LOW).is_reachable


@pytest.mark.parametrize(
    ("milli", "written"),
    [(0, "0"), (72_500, "72.5"), (-12_345, "-12.345"), (5, "0.005"), (100_000, "100")],
)
def test_points_are_written_with_the_decimals_they_have(milli: int, written: str) -> None:
    assert format_points(milli) == written
