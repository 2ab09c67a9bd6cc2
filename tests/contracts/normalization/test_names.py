import pytest
from hypothesis import given, strategies as st
from leadflood.contracts.normalization.names import PersonName, person_keys, read_name, whole_name
from leadflood.contracts.normalization.text import name_key
from tests.support.tables import read_rows


@pytest.mark.parametrize(("full", "first", "last"), read_rows("contracts/data/names.tsv"))
def test_the_parts_of_a_name_are_read_where_they_are_sure(full: str, first: str, last: str) -> None:
    assert read_name(full) == PersonName(first or None, last or None)


@given(st.text(max_size=60))
def test_any_text_has_parts_of_its_own_or_none(text: str) -> None:
    name = read_name(text)

    letters = set(name_key(text))
    assert all(part is None or set(name_key(part)) <= letters for part in (name.first, name.last))


@pytest.mark.parametrize(("name", "key"), read_rows("contracts/data/folded_names.tsv"))
def test_a_name_is_folded_to_its_base_letters(name: str, key: str) -> None:
    assert name_key(name) == key


@pytest.mark.parametrize(
    ("name", "other"),
    [("Müller", "Mueller"), ("Müller", "Muller"), ("Søren", "Soeren"), ("Håkan", "Haakan")],
)
def test_a_spelled_out_vowel_is_the_same_name(name: str, other: str) -> None:
    assert set(person_keys(name)) & set(person_keys(other))
    assert not set(person_keys("Manuel")) & set(person_keys("Manul"))


@pytest.mark.parametrize(
    ("full", "name"),
    [
        ("Berg, Dr. Ada", "Ada Berg"),
        ("Dr. Ada Berg, PhD", "Ada Berg"),
        ("Berg, Ada Maria", "Ada Maria Berg"),
        ("Leyen, Ursula von der", "Ursula von der Leyen"),
        ("Ada M. Berg (Sales)", "Ada M. Berg"),
        ("山田太郎", "山田太郎"),
        (",", ","),
    ],
)
def test_a_whole_name_is_put_in_the_order_it_is_spoken(full: str, name: str) -> None:
    assert whole_name(full) == name
