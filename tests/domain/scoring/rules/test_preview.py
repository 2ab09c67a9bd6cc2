from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from hypothesis import given, strategies as st
from leadflood.domain.icp.schemas import Bands, QualificationRule, RuleKind
from leadflood.domain.leads.schemas.lead_states import LeadStatus
from leadflood.domain.leads.schemas.profiles import LeadProfile
from leadflood.domain.scoring.rules.preview import Preview
from leadflood.domain.scoring.rules.scorecard import Scorecard
from tests.domain.icp.icps import CALM, a_rule, features, rules

NOW = datetime(2026, 1, 1, tzinfo=UTC)


def a_profile(number: int) -> LeadProfile:
    return LeadProfile(
        lead_id=UUID(int=number),
        version=1,
        status=LeadStatus.ENRICHED,
        failed_code=None,
        company_id=None,
        members=(UUID(int=number),),
        values={},
        provider_ids={},
    )


@CALM
@given(st.lists(rules(), max_size=5), st.lists(features(), max_size=12), st.integers(0, 5))
def test_the_counts_are_those_of_scoring_each_lead_alone(
    ruled: list[QualificationRule], vectors: list[dict[str, Any]], size: int
) -> None:
    profiles = [a_profile(number) for number in range(len(vectors))]
    preview = Preview(ruled, Bands(), size)

    for start in range(0, len(vectors), 5):
        preview.add(profiles[start : start + 5], vectors[start : start + 5])
    told = preview.result()

    scores = [Scorecard(ruled, Bands()).score(vector) for vector in vectors]
    assert told.evaluated_count == len(vectors) == told.bands.scored
    assert told.fit_count == told.bands.medium + told.bands.high
    assert told.filtered_out_count == sum(score.is_filtered_out for score in scores)
    for rule in told.rules:
        assert rule.met_count + rule.not_met_count + rule.unknown_count == len(vectors)
        assert rule.kept_as_only_filter == sum(s.trace[rule.position].is_met for s in scores)
        assert rule.fit_as_filter <= min(rule.kept_as_only_filter, told.fit_count)
    best = sorted((score.score_milli for score in scores), reverse=True)[:size]
    assert [lead.score.score_milli for lead in told.sample] == best


def test_the_leads_a_rule_would_keep_are_those_it_keeps_as_a_filter() -> None:
    vectors: list[dict[str, Any]] = [{"company_size": 10}, {"company_size": 90}, {}]
    rule = a_rule("company_size", "GTE", 50)
    profiles = [a_profile(number) for number in range(3)]
    weighted = Preview([rule], Bands(), 0)
    alone = Preview([a_rule("company_size", "GTE", 50, kind=RuleKind.HARD_FILTER)], Bands(), 0)

    for preview in (weighted, alone):
        preview.add(profiles, vectors)

    [count] = weighted.result().rules
    assert (count.met_count, count.not_met_count, count.unknown_count) == (1, 1, 1)
    assert count.kept_as_only_filter == 3 - alone.result().filtered_out_count


def test_of_equal_leads_the_first_is_shown_first() -> None:
    preview = Preview([a_rule("company_size", "GTE", 50)], Bands(), 2)

    preview.add([a_profile(number) for number in (7, 3, 5)], [{}, {}, {}])

    assert [lead.lead_id.int for lead in preview.result().sample] == [7, 3]
