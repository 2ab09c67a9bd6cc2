import pycountry
import pytest
from leadflood.contracts.normalization.countries import country_name, find_country
from leadflood.contracts.normalization.fields import normalize
from leadflood.contracts.values import FieldName

CODES = sorted(country.alpha_2 for country in pycountry.countries)


@pytest.mark.parametrize("code", CODES)
def test_a_country_is_found_by_its_code_and_by_the_name_it_is_given(code: str) -> None:
    name = country_name(code)

    assert name
    assert find_country(code) == find_country(code.lower()) == code
    assert find_country(name) == find_country(f"  {name.upper()} ") == code


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("Germany", "DE"),
        ("Federal Republic of Germany", "DE"),
        ("USA", "US"),
        ("u.s.", "US"),
        ("United States of America", "US"),
        ("UK", "GB"),
        ("Great  Britain", "GB"),
        ("Scotland", "GB"),
        ("Holland", "NL"),
        ("The Netherlands", "NL"),
        ("Korea, Republic of", "KR"),
        ("Russian Federation", "RU"),
        ("Côte d'Ivoire", "CI"),
        ("Cote d'Ivoire", "CI"),
        ("Ivory Coast", "CI"),
        ("Türkiye", "TR"),
        ("Turkey", "TR"),
        ("Czechia", "CZ"),
        ("Czech Republic", "CZ"),
        ("Viet Nam", "VN"),
        ("Vietnam", "VN"),
        ("Venezuela, Bolivarian Republic of", "VE"),
        ("Democratic Republic of the Congo", "CD"),
        ("Republic of the Congo", "CG"),
        ("Macedonia (FYROM)", "MK"),
        ("Swaziland", "SZ"),
        ("Burma", "MM"),
    ],
)
def test_a_country_is_found_by_every_name_that_people_and_providers_use(
    text: str, code: str
) -> None:
    assert find_country(text) == code


@pytest.mark.parametrize("text", ["", " ", "XX", "Atlantis", "Germany, Berlin"])
def test_what_names_no_country_is_none(text: str) -> None:
    assert find_country(text) is None


def test_a_country_is_named_as_people_write_it() -> None:
    assert [country_name(code) for code in ("TR", "cz", "RU", "TW", "BO", "GB", "XX")] == [
        "Turkey",
        "Czech Republic",
        "Russia",
        "Taiwan",
        "Bolivia",
        "United Kingdom",
        None,
    ]


@pytest.mark.parametrize(
    ("text", "code"),
    [("Germany", "DE"), ("deutschland", "DE"), ("USA", "US"), ("gb", "GB"), ("Atlantis", None)],
)
def test_a_country_is_its_code(text: str, code: str | None) -> None:
    assert normalize(FieldName.COUNTRY, text) == code
