import time
from typing import Any

from hypothesis import given, strategies as st
from leadflood.contracts.values import Band
from leadflood.domain.icp.schemas import Bands, QualificationRule, RuleKind
from leadflood.domain.scoring.rules.counterfactuals import find_needs
from leadflood.domain.scoring.rules.scorecard import Scorecard
from leadflood.domain.scoring.schemas import Contribution, Needs
from tests.domain.icp.icps import CALM, a_flag, a_rule, features, rules


def applied(vector: dict[str, Any], needs: Needs) -> dict[str, Any]:
    """Make the changes; the patterns that tests draw match themselves."""
    changed = dict(vector)
    for change in needs.changes:
        changed.pop(change.field.value, None)
        to = change.to if change.pattern is None else change.pattern
        if to is not None:
            changed[change.field.value] = to
    return changed


def has_pattern(needs: Needs) -> bool:
    return any(change.pattern is not None for change in needs.changes)


@CALM
@given(
    st.lists(rules(), min_size=1, max_size=8),
    features(),
    st.integers(-60_000, 60_000),
)
def test_the_changes_named_reach_the_band_when_they_are_made(
    given_rules: list[QualificationRule], vector: dict[str, Any], llm_milli: int
) -> None:
    card = Scorecard(given_rules, Bands(medium=30, high=60))
    extra = [Contribution("llm", llm_milli)]

    needs = find_needs(card.score(vector, extra), Band.HIGH, card.high_milli)

    if needs.is_reachable:
        after = card.score(applied(vector, needs), extra)
        assert after.band is Band.HIGH
        if has_pattern(needs):  # a text that matches may meet other rules too
            assert after.score_milli >= needs.reaches_milli
        else:
            assert after.score_milli == needs.reaches_milli


@CALM
@given(st.lists(rules(), min_size=1, max_size=8), features())
def test_no_change_that_is_named_can_be_left_out(
    given_rules: list[QualificationRule], vector: dict[str, Any]
) -> None:
    card = Scorecard(given_rules, Bands(medium=30, high=60))

    needs = find_needs(card.score(vector), Band.HIGH, card.high_milli)

    for left_out in range(0 if has_pattern(needs) else len(needs.changes)):
        fewer = Needs(
            band=needs.band,
            is_reachable=True,
            changes=needs.changes[:left_out] + needs.changes[left_out + 1 :],
        )
        assert card.score(applied(vector, fewer)).band is not Band.HIGH


def test_the_fewest_changes_are_named_and_the_last_is_no_larger_than_needed() -> None:
    card = Scorecard(
        [
            a_flag("title_matches", weight=50),
            a_flag("has_email", weight=30),
            a_flag("has_phone", weight=20),
        ],
        Bands(),
    )

    needs = find_needs(card.score({"title_matches": True}), Band.HIGH, card.high_milli)

    assert [(change.field.value, change.to) for change in needs.changes] == [("has_phone", True)]


def test_a_failed_hard_filter_is_always_among_the_changes() -> None:
    card = Scorecard(
        [
            a_flag("title_matches"),
            a_rule("country", "NOT_IN", ("US",), kind=RuleKind.HARD_FILTER),
        ],
        Bands(),
    )

    needs = find_needs(
        card.score({"title_matches": True, "country": "US"}), Band.HIGH, card.high_milli
    )

    assert [change.words for change in needs.changes] == ["country is none of US"]


def test_a_band_is_unreachable_where_rules_exclude_each_other() -> None:
    card = Scorecard([a_rule("country", "EQ", "DE"), a_rule("country", "EQ", "FR")], Bands())

    needs = find_needs(card.score({"country": "US"}), Band.HIGH, card.high_milli)

    assert not needs.is_reachable


def test_a_pattern_among_other_rules_of_its_field_can_be_met() -> None:
    card = Scorecard(
        [
            a_rule("title", "MATCHES", r"^head of \w+$", weight=50),
            a_rule("title", "MATCHES", r"^\w+ of \w+$", weight=20),
            a_rule("title", "EQ", "intern", weight=-40),
        ],
        Bands(medium=5, high=10),
    )

    needs = find_needs(card.score({"title": "COO"}), Band.HIGH, card.high_milli)

    (change,) = needs.changes
    assert needs.is_reachable
    assert change.pattern in {r"^head of \w+$", r"^\w+ of \w+$"}
    assert card.score({"title": "head of ops"}).score_milli >= needs.reaches_milli


def test_rules_of_very_many_values_are_explained_in_no_time() -> None:
    sizes = tuple(range(1, 1_001))
    card = Scorecard(
        [a_rule("company_size", "IN", sizes, weight=1) for _ in range(100)],
        Bands(medium=30, high=60),
    )
    score = card.score({"company_size": 5_000})
    began = time.process_time()

    assert find_needs(score, Band.HIGH, card.high_milli).is_reachable
    assert time.process_time() - began < 5.0  # every value against every rule took minutes
