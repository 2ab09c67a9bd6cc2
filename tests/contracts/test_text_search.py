import re
import string

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
def test_what_is_typed_becomes_words_that_begin_so(typed: str, query: str) -> None:
    assert read_search(typed) == query


@given(st.text(alphabet=string.printable) | st.text())
def test_nothing_typed_reaches_the_query_but_words(typed: str) -> None:
    query = read_search(typed)

    assert not query or QUERY.fullmatch(query)


def test_addresses_are_words_as_a_whole_and_every_word_stands_once() -> None:
    words = list_words(("ann@acme.ex", "acme"), ("Ann Müller", "ann"))

    assert words == ["ann@acme.ex", "ann", "muller"]
