import pytest
from leadflood.domain.icp.rules.validation import check_icp
from leadflood.domain.icp.schemas import (
    IcpInput,
    Operator,
    QualificationRule,
    RuleField,
    RuleValue,
    Target,
)
from leadflood.domain.scoring.rules.predicates import make_predicate
from leadflood.engine.errors import Invalid


def icp_of(field: RuleField, operator: Operator, value: RuleValue) -> IcpInput:
    """Return an ICP with one rule."""
    return IcpInput(
        name="x", rules=(QualificationRule(field=field, operator=operator, value=value, weight=1),)
    )


@pytest.mark.parametrize(
    ("field", "operator", "value", "fact"),
    [
        (RuleField.COUNTRY, Operator.EQ, "Germany", "DE"),
        (RuleField.COUNTRY, Operator.IN, ("Russland", "DEU"), "DE"),
        (RuleField.COUNTRY, Operator.CONTAINS, "Deutschland", "DE"),
        (RuleField.COUNTRY, Operator.MATCHES, "^(DE|AT)$", "AT"),
        (RuleField.SENIORITY, Operator.EQ, "C-Level", "c_suite"),
        (RuleField.SENIORITY, Operator.CONTAINS, "suite", "c_suite"),
        (RuleField.EMAIL_STATUS, Operator.EQ, "verified", "valid"),
        (RuleField.COMPANY_DOMAIN, Operator.EQ, "https://www.acme.com", "acme.com"),
        (RuleField.COMPANY_DOMAIN, Operator.CONTAINS, "acme", "acme.com"),
        (RuleField.DEPARTMENT, Operator.EQ, "Human Resources", "human resources"),
        (RuleField.TECHNOLOGIES, Operator.IN, ("sap",), ("SAP",)),
        (RuleField.COMPANY_REVENUE, Operator.GT, 5_000_000, 12_500_000),
    ],
)
def test_an_accepted_rule_can_be_met(
    field: RuleField, operator: Operator, value: RuleValue, fact: str | int | tuple[str, ...]
) -> None:
    [rule] = check_icp(icp_of(field, operator, value)).rules

    assert make_predicate(rule.operator, rule.value)(fact)


@pytest.mark.parametrize(
    ("field", "operator", "value", "fix"),
    [
        (RuleField.COUNTRY, Operator.EQ, "Germny", "did you mean Germany (DE)?"),
        (RuleField.COUNTRY, Operator.NOT_IN, ("DE", "Germny"), "did you mean Germany (DE)?"),
        (RuleField.COUNTRY, Operator.CONTAINS, "Germny", "did you mean Germany (DE)?"),
        (RuleField.COUNTRY, Operator.MATCHES, "german", "matches no value of country"),
        (RuleField.SENIORITY, Operator.EQ, "boss", "write one of"),
        (RuleField.EMAIL_STATUS, Operator.IN, ("vald",), "did you mean valid?"),
        (RuleField.COMPANY_DOMAIN, Operator.EQ, "gmail.com", "a company's own domain"),
    ],
)
def test_a_rule_that_can_never_be_met_is_refused(
    field: RuleField, operator: Operator, value: RuleValue, fix: str
) -> None:
    with pytest.raises(Invalid) as refused:
        check_icp(icp_of(field, operator, value))

    [problem] = refused.value.fields
    assert (problem.path, fix in problem.problem) == ("rules[0].value", True)


def test_the_countries_of_a_target_are_codes_once_each() -> None:
    target = Target(countries=("Germany", "AUT", "de", "Schweiz"))

    assert check_icp(IcpInput(name="x", target=target)).target.countries == ("DE", "AT", "CH")
    with pytest.raises(Invalid, match="did you mean Austria"):
        check_icp(IcpInput(name="x", target=Target(countries=("DE", "Austira"))))
