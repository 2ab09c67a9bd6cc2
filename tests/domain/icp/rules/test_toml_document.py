import pytest
from hypothesis import given, strategies as st
from leadflood.domain.icp.rules.toml_document import parse_icp
from leadflood.engine.errors import Invalid
from tests.domain.icp.icps import CALM


def problems_of(text: str) -> dict[str, str]:
    with pytest.raises(Invalid) as caught:
        parse_icp(text)
    return {problem.path: problem.problem for problem in caught.value.fields}


@pytest.mark.parametrize(
    ("text", "path", "fix"),
    [
        ('nam = "x"', "nam", "did you mean name?"),
        ("offer = 'x'", "name", "is missing"),
        ('name = " "', "name", "is empty"),
        ("name = 3", "name", "write words in quotes"),
        ('name = "x"\nautopilot = "hihg"', "autopilot", "did you mean high?"),
        ('name = "x"\n[target]\ncountry = ["DE"]', "target.country", "did you mean countries?"),
        ('name = "x"\n[target]\ncountries = ["Germny"]', "target.countries[0]", "Germany (DE)?"),
        ('name = "x"\n[target]\ntitles = ["CEO", ""]', "target.titles[1]", "is empty"),
        (
            'name = "x"\n[target]\ncompany_size_min = 9\ncompany_size_max = 3',
            "target.company_size_min",
            "swap them",
        ),
        ('name = "x"\n[bands]\nhigh = 170', "bands.high", "up to 100"),
        ('name = "x"\n[bands]\nmedium = 80', "bands.medium", "make it smaller"),
        ('name = "x"\nrules = 3', "rules", "[[rules]]"),
        ('name = "\\u0000"', "name", "remove it"),
    ],
)
def test_a_wrong_key_or_value_is_named_with_its_path_and_the_fix(
    text: str, path: str, fix: str
) -> None:
    problems = problems_of(text)

    assert fix in problems[path]


@pytest.mark.parametrize(
    ("rule", "path", "fix"),
    [
        ('field = "titel"\noperator = "EQ"\nvalue = "x"', "field", "did you mean title?"),
        ('field = "title"\noperator = "EQUALS"\nvalue = "x"', "operator", "write one of EQ"),
        ('field = "title"\noperator = "eq"\nvalue = "x"', "operator", "did you mean EQ?"),
        ('field = "title"\nvalue = "x"', "operator", "is missing"),
        ('field = "title"\noperator = "EQ"\nvalue = "x"\nwieght = 3', "wieght", "mean weight?"),
        ('field = "title"\noperator = "EQ"\nvalue = "x"\nweight = -1', "weight", "0 to 1000"),
        ('field = "title"\noperator = "EQ"\nvalue = "x"\nweight = nan', "weight", "0 to 1000"),
        ('field = "title"\noperator = "EQ"\nvalue = ["x"]', "value", "use IN"),
        ('field = "title"\noperator = "IN"\nvalue = "x"', "value", "must be a list"),
        ('field = "title"\noperator = "IN"\nvalue = [3]', "value", "write words in quotes"),
        ('field = "title"\noperator = "GT"\nvalue = 3', "operator", "GT does not fit title"),
        ('field = "company_size"\noperator = "GT"\nvalue = "3"', "value", "write a number"),
        ('field = "company_size"\noperator = "GT"\nvalue = inf', "value", "write a number"),
        ('field = "company_size"\noperator = "BETWEEN"\nvalue = [9, 3]', "value", "write [3, 9]"),
        ('field = "company_size"\noperator = "BETWEEN"\nvalue = [9]', "value", "[least, most]"),
        ('field = "has_email"\noperator = "EQ"\nvalue = "yes"', "value", "true or false"),
        ('field = "title"\noperator = "EXISTS"\nvalue = 1', "value", "true or false"),
        ('field = "title"\noperator = "MATCHES"\nvalue = "(vp"', "value", "missing )"),
        ('field = "title"\noperator = "MATCHES"\nvalue = "(?=vp)"', "value", "look-around"),
        (f'field = "title"\noperator = "MATCHES"\nvalue = "{"a" * 501}"', "value", "500 at most"),
        ('field = "title"\noperator = "EQ"\nvalue = {a = 1}', "value", "write words, a number"),
    ],
)
def test_a_wrong_rule_is_named_by_its_place_and_field(rule: str, path: str, fix: str) -> None:
    good = '[[rules]]\nfield = "country"\noperator = "EQ"\nvalue = "DE"\n'

    problems = problems_of(f'name = "x"\n{good}{good}[[rules]]\n{rule}')

    assert fix in problems[f"rules[2].{path}"]


def test_problems_of_several_parts_are_reported_together() -> None:
    problems = problems_of('[target]\ntitle = 1\n[[rules]]\nfield = "x"\noperator = "EQ"\n')

    assert set(problems) == {"name", "target.title", "rules[0].field"}


def test_rules_whose_weights_are_all_nothing_are_refused() -> None:
    rule = '[[rules]]\nfield = "country"\noperator = "EQ"\nvalue = "DE"\nweight = 0\n'

    assert "above 0" in problems_of(f'name = "x"\n{rule}')["rules"]


@CALM
@given(st.text())
def test_any_text_is_read_or_refused_as_invalid(text: str) -> None:
    try:
        parse_icp(text)
    except Invalid as error:
        assert error.detail  # noqa: PT017 - either way is fine, anything else is not
