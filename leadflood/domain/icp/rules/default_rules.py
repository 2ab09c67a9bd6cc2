"""Default rules: those an ICP is scored by where its author wrote no weighted rule."""

from leadflood.domain.icp.schemas import (
    IcpInput,
    Operator,
    QualificationRule,
    RuleField,
    RuleKind,
    RuleValue,
    Target,
)

DECIDERS = ("owner", "founder", "c_suite", "partner", "vp", "head", "director")


def rules_in_force(request: IcpInput) -> tuple[QualificationRule, ...]:
    """Return the rules that a version is scored by: the author's, else those the target makes.

    Hard filters alone cannot tell good from better, so the target's rules join them.
    """
    if any(rule.kind is RuleKind.WEIGHTED for rule in request.rules):
        return request.rules
    return (*request.rules, *default_rules(request.target))


def default_rules(target: Target) -> tuple[QualificationRule, ...]:
    """Return weighted rules for a target: some for each thing it asks for, and a sure e-mail.

    What discovery could already ask for weighs little, what enrichment must confirm weighs more:
    of leads that a search by the same target brings, a fifth to a third then score 70 or more.
    """
    asks_size = target.company_size_min is not None or target.company_size_max is not None
    rules = [_weighted(RuleField.SENIORITY, Operator.IN, DECIDERS, 10.0)]
    flags = (
        (RuleField.TITLE_MATCHES, bool(target.titles), 12.0),
        (RuleField.COMPANY_SIZE_IN_RANGE, asks_size, 8.0),
        (RuleField.COUNTRY_MATCHES, bool(target.countries), 4.0),
        (RuleField.INDUSTRY_MATCHES, bool(target.industries), 15.0),
        (RuleField.EMAIL_VERIFIED, True, 16.0),
    )
    rules.extend(
        _weighted(field, Operator.EQ, True, weight)  # noqa: FBT003 - the value to meet
        for field, is_wanted, weight in flags
        if is_wanted
    )
    if target.technologies:
        rules.append(_weighted(RuleField.TECHNOLOGY_MATCH_COUNT, Operator.GTE, 1, 4.0))
        rules.append(_weighted(RuleField.TECHNOLOGY_MATCH_RATIO, Operator.GTE, 0.5, 31.0))
    return tuple(rules)


def _weighted(
    field: RuleField, operator: Operator, value: RuleValue, weight: float
) -> QualificationRule:
    return QualificationRule(field=field, operator=operator, value=value, weight=weight)
