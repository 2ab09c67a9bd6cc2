import pytest
from hypothesis import given, strategies as st
from leadflood.contracts.values import FieldName
from leadflood.domain.leads.rules.list_columns import MOST_WORDS, ListColumns, choose_list_columns

VALUES = st.dictionaries(st.sampled_from(list(FieldName)), st.text() | st.integers())


def test_list_columns_hold_the_name_and_the_words_of_every_value() -> None:
    shown = choose_list_columns(
        {
            FieldName.FIRST_NAME: "Zoë",
            FieldName.LAST_NAME: "O'Neil",
            FieldName.EMAIL: "zoe.oneil@mail.acme.co.uk",
            FieldName.COMPANY_NAME: "Straße & Söhne",
            FieldName.COMPANY_DOMAIN: "acme.co.uk",
            FieldName.CITY: "Bonn",
        }
    )

    assert shown.full_name == "Zoë O'Neil"
    assert shown.sort_name == "zoe o neil"
    words = set(shown.words.split())
    assert {"zoe", "o", "neil", "strasse", "sohne", "acme", "acme.co.uk"} <= words
    assert {"zoe.oneil@mail.acme.co.uk", "oneil", "mail"} <= words
    assert not words & {"bonn", "uk"}


@pytest.mark.parametrize(
    ("values", "sorted_under"),
    [
        ({FieldName.COMPANY_NAME: "Äcme", FieldName.EMAIL: "a@b.example"}, "acme"),
        ({FieldName.EMAIL: "a@b.example"}, "a b example"),
        ({}, ""),
    ],
)
def test_a_lead_without_a_name_is_sorted_under_what_is_known(
    values: dict[FieldName, str], sorted_under: str
) -> None:
    assert choose_list_columns(values).sort_name == sorted_under


@given(VALUES)
def test_any_values_make_list_columns(values: dict[FieldName, str | int]) -> None:
    shown = choose_list_columns(values)

    assert isinstance(shown, ListColumns)
    assert len(shown.words.split(" ")) <= MOST_WORDS
    assert len(shown.sort_name) <= 80
