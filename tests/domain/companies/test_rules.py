import pytest
from leadflood.contracts.values import FieldName
from leadflood.domain.companies.rules import FIELDS, StoredFilter, read_edits, read_filter
from leadflood.domain.companies.schemas import CompanyFilter, CompanyWords
from leadflood.engine.errors import Invalid


def test_every_word_but_the_name_is_a_field_of_a_company() -> None:
    assert {*FIELDS, "name"} == set(CompanyWords.__struct_fields__)


def test_edits_have_one_form_and_null_is_the_word_that_there_is_none() -> None:
    edits = read_edits(CompanyWords(country="Germany", industry=None, name="Acme"))

    assert edits == {FieldName.COMPANY_COUNTRY: "DE", FieldName.COMPANY_INDUSTRY: None}


def test_a_value_that_is_none_of_its_field_is_refused_by_its_name_on_the_wire() -> None:
    with pytest.raises(Invalid) as refused:
        read_edits(CompanyWords(linkedin_url="https://example.com"))

    assert [problem.path for problem in refused.value.fields] == ["linkedinUrl"]


def test_a_filter_asks_for_values_as_they_are_stored() -> None:
    stored = read_filter(CompanyFilter(country="Germany", industry="Software", q="acme"))

    assert stored == StoredFilter(
        domain=None, country='"DE"', industry='"Software"', words="('acme':*)"
    )


def test_a_search_without_any_word_fits_no_company() -> None:
    assert read_filter(CompanyFilter(q=" & ! ")) is None


def test_a_company_s_revenue_is_a_number_in_the_currency_of_the_installation() -> None:
    edits = [read_edits(CompanyWords(revenue=text), "EUR") for text in ("5 Mio €", "$12M")]

    assert [edit[FieldName.COMPANY_REVENUE] for edit in edits] == [5_000_000, "12000000 USD"]
