import pytest
from hypothesis import given, strategies as st
from leadflood.contracts.normalization.greetings import greeting_name, write_name
from tests.support.tables import read_rows


@pytest.mark.parametrize(("first", "last", "name"), read_rows("contracts/data/greetings.tsv"))
def test_somebody_is_greeted_by_a_first_name_or_without_one(
    first: str, last: str, name: str
) -> None:
    assert greeting_name(first, last) == (name or None)


@pytest.mark.parametrize(
    ("full", "name"),
    [
        ("Ada Berg", "Ada"),
        ("BERG, ADA", "Ada"),
        ("Berg", None),
        ("JT Po", None),
        ("N/A", None),
        ("山田太郎", None),
    ],
)
def test_a_first_name_is_read_off_the_whole_name(full: str, name: str | None) -> None:
    assert greeting_name("", "", full) == greeting_name("n/a", "", full) == name


@pytest.mark.parametrize(
    ("name", "written"),
    [
        ("VAN DER BERG", "van der Berg"),
        ("MCDONALD-SMITH", "McDonald-Smith"),
        ("IJSBRAND", "IJsbrand"),
        ("von Trapp", "von Trapp"),
        ("O\u2019NEILL", "O\u2019Neill"),
    ],
)
def test_a_name_in_capitals_is_written_as_its_language_does(name: str, written: str) -> None:
    assert write_name(name) == written


@given(st.text(max_size=40), st.text(max_size=40), st.text(max_size=40))
def test_any_texts_have_a_greeting_or_none(first: str, last: str, full: str) -> None:
    name = greeting_name(first, last, full)

    assert name is None or name.strip()
