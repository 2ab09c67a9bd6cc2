from leadflood.domain.icp.rules.default_rules import default_rules, rules_in_force
from leadflood.domain.icp.rules.validation import problems_of
from leadflood.domain.icp.schemas import RuleField, RuleKind, Target
from tests.domain.icp.icps import a_flag, an_icp


def test_without_rules_the_target_makes_one_for_each_thing_it_asks_for() -> None:
    fields = [rule.field for rule in rules_in_force(an_icp())]

    assert fields == [
        RuleField.SENIORITY,
        RuleField.TITLE_MATCHES,
        RuleField.COMPANY_SIZE_IN_RANGE,
        RuleField.COUNTRY_MATCHES,
        RuleField.INDUSTRY_MATCHES,
        RuleField.EMAIL_VERIFIED,
        RuleField.TECHNOLOGY_MATCH_COUNT,
        RuleField.TECHNOLOGY_MATCH_RATIO,
    ]


def test_the_default_rules_of_any_target_are_valid() -> None:
    for target in (Target(), an_icp().target):
        made = default_rules(target)

        assert not list(problems_of(an_icp(rules=made)))
        assert all(rule.kind is RuleKind.WEIGHTED for rule in made)


def test_hard_filters_alone_are_joined_by_the_rules_of_the_target() -> None:
    only_filter = a_flag("has_email", kind=RuleKind.HARD_FILTER)

    in_force = rules_in_force(an_icp(rules=(only_filter,)))

    assert in_force == (only_filter, *default_rules(an_icp().target))


def test_weighted_rules_of_the_author_stand_alone() -> None:
    own = a_flag("has_email")

    assert rules_in_force(an_icp(rules=(own,))) == (own,)
