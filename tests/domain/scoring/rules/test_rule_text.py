from typing import Any

import pytest
from leadflood.domain.icp.schemas import Operator, RuleField
from leadflood.domain.scoring.rules.rule_text import describe_rule, format_value


@pytest.mark.parametrize(
    ("field", "operator", "value", "text"),
    [
        (RuleField.COUNTRY, Operator.IN, ("DE", "AT"), "country is one of DE, AT"),
        (RuleField.COMPANY_SIZE, Operator.BETWEEN, (50, 5000), "company size is from 50 to 5,000"),
        (RuleField.TITLE, Operator.EXISTS, False, "title is not known"),
        (RuleField.HAS_EMAIL, Operator.EQ, True, "an e-mail address is known"),
        (RuleField.HAS_EMAIL, Operator.NEQ, True, "not so: an e-mail address is known"),
    ],
)
def test_a_rule_is_described_in_words(
    field: RuleField, operator: Operator, value: Any, text: str
) -> None:
    assert describe_rule(field, operator, value) == text


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (True, "yes"),
        ((), "nothing"),
        (1234567, "1,234,567"),
        ("x" * 201, "x" * 200 + "…"),
        (("a",) * 51, ", ".join(["a"] * 50) + ", …"),
    ],
)
def test_a_value_is_formatted_for_people(value: Any, text: str) -> None:
    assert format_value(value) == text
