import pytest
from hypothesis import given, strategies as st
from leadflood.contracts.normalization.companies import company_key, company_words, has_legal_form
from leadflood.contracts.normalization.text import name_key
from tests.support.tables import read_rows


@pytest.mark.parametrize(("name", "words"), read_rows("contracts/data/company_names.tsv"))
def test_a_legal_form_is_no_part_of_a_company_s_name(name: str, words: str) -> None:
    assert company_words(name) == words
    assert has_legal_form(name) == (name != words)


def test_a_key_also_lacks_the_company_behind_a_name() -> None:
    assert company_key("Tiffany & Co.") == company_key("TIFFANY")
    assert company_key("Ford Motor Company") == "ford motor"
    assert company_key("Ltd") == "ltd"


@given(st.text(max_size=60))
def test_a_name_never_loses_its_last_word(name: str) -> None:
    assert bool(name_key(company_words(name))) == bool(name_key(name))
