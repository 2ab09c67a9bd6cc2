import re
import string
from unicodedata import category

import pytest
from hypothesis import given, strategies as st
from leadflood.contracts.text_search import list_words, read_search

QUERY = re.compile(r"[()&| ]*('[\w.@+-]+':\*[()&| ]*)+")


@pytest.mark.parametrize(
    ("typed", "query"),
    [
        ("Ann", "('ann':*)"),
        ("ann  MÜLLER", "('ann':*) & ('muller':*)"),
        ("o'neil", "('o':* & 'neil':*)"),
        ("ann@acme.ex", "(('ann':* & 'acme':* & 'ex':*) | 'ann@acme.ex':*)"),
        ("& | !", ""),
        ("", ""),
    ],
)
def test_typed_words_become_prefix_queries(typed: str, query: str) -> None:
    assert read_search(typed) == query


@given(st.text(alphabet=string.printable) | st.text())
def test_only_words_of_what_is_typed_reach_the_query(typed: str) -> None:
    query = read_search(typed)

    letters = "".join("x" if category(sign)[0] == "M" else sign for sign in query)
    assert not query or QUERY.fullmatch(letters)


def test_addresses_are_words_as_a_whole_and_every_word_stands_once() -> None:
    words = list_words(("ann@acme.ex", "acme"), ("Ann Müller", "ann"))

    assert words == ["ann@acme.ex", "ann", "muller"]
