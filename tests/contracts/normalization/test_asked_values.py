import pytest
from leadflood.contracts.normalization.asked_values import ASKED_FIELDS, require_country
from leadflood.contracts.normalization.cells import read_value
from leadflood.contracts.values import FieldName
from leadflood.engine.errors import Invalid


@pytest.mark.parametrize(
    ("field", "text", "value"),
    [
        (FieldName.COUNTRY, "Germany", "DE"),
        (FieldName.COUNTRY, "Russland", "RU"),
        (FieldName.COUNTRY, "deu", "DE"),
        (FieldName.COUNTRY, "276", "DE"),
        (FieldName.SENIORITY, "C-Level", "c_suite"),
        (FieldName.SENIORITY, "Vice President", "vp"),
        (FieldName.EMAIL_STATUS, "Verified", "valid"),
        (FieldName.EMAIL_STATUS, "accept all", "catch_all"),
        (FieldName.COMPANY_DOMAIN, "https://www.Acme.com/about", "acme.com"),
        (FieldName.DEPARTMENT, "Human-Resources", "human resources"),
    ],
)
def test_a_word_is_asked_for_as_it_is_stored(field: FieldName, text: str, value: str) -> None:
    assert ASKED_FIELDS[field].read(text).value == value


@pytest.mark.parametrize(
    ("field", "text", "fix"),
    [
        (FieldName.COUNTRY, "Germny", "did you mean Germany (DE)?"),
        (FieldName.COUNTRY, "Georgia", "can be Georgia (GE)"),
        (FieldName.COUNTRY, "Bavaria, Germany", "write Germany (DE)"),
        (FieldName.COUNTRY, "Middle-earth", "write a country's name"),
        (FieldName.SENIORITY, "Directr", "did you mean director?"),
        (FieldName.SENIORITY, "boss", "write one of intern, entry"),
        (FieldName.EMAIL_STATUS, "vald", "did you mean valid?"),
        (FieldName.COMPANY_DOMAIN, "gmail.com", "write a company's own domain"),
    ],
)
def test_a_word_that_nobody_has_is_refused_with_the_nearest(
    field: FieldName, text: str, fix: str
) -> None:
    asked = ASKED_FIELDS[field].read(text)

    assert asked.value is None
    assert fix in asked.problem


def test_every_value_of_a_closed_field_is_read_as_itself() -> None:
    for field in ASKED_FIELDS.values():
        assert [field.read(value).value for value in field.values] == list(field.values)
    countries = ASKED_FIELDS[FieldName.COUNTRY].values
    assert [read_value(FieldName.COUNTRY, code) for code in countries] == list(countries)


def test_a_filter_s_country_is_required() -> None:
    assert require_country("germany", "country") == "DE"
    with pytest.raises(Invalid) as refused:
        require_country("Germny", "country")
    assert refused.value.fields[0].path == "country"
