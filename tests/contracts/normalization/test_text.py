import pytest
from hypothesis import given, strategies as st
from leadflood.contracts.normalization.text import name_key


@given(st.text(max_size=40))
def test_a_folded_name_stays_folded(name: str) -> None:
    assert name_key(name_key(name)) == name_key(name)


@given(st.text(st.characters(min_codepoint=32, max_codepoint=126), max_size=30))
def test_the_short_way_of_plain_names_agrees_with_the_whole_one(name: str) -> None:
    assert name_key(name) == name_key(f"{name}\u0301")


def test_names_fold_across_accents_case_and_marks() -> None:
    assert name_key("José  O'Brien-Müller") == name_key("JOSE o brien muller")


@pytest.mark.parametrize(
    ("name", "key"),
    [
        ("राम कुमार", "राम कुमार"),
        ("เสาวณีย์", "เสาวณีย์"),
        ("김민준", "김민준"),
        ("がくや", "がくや"),
        ("مُحَمَّد", "محمد"),
        ("יִצְחָק", "יצחק"),
        ("Nguyễn Thị", "nguyen thi"),
        ("Ёлкин", "елкин"),
    ],
)
def test_vowels_and_tones_stay_where_they_make_the_word(name: str, key: str) -> None:
    assert name_key(name) == key
