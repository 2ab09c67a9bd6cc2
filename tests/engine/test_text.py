import pytest
from hypothesis import given, strategies as st
from leadflood.engine.text import (
    header_line,
    hidden_signs,
    is_one_line,
    is_storable,
    make_encodable,
    make_storable,
    one_line,
)

ANY_TEXT = st.text(st.characters(exclude_categories=()))


@pytest.mark.parametrize(
    ("text", "stored"),
    [("ann", "ann"), ("Zoë\n", "Zoë\n"), ("a\x00b", "ab"), ("a\ud800b", "a?b"), ("é\x00", "é")],
)
def test_a_text_is_stored_without_what_postgres_cannot_hold(text: str, stored: str) -> None:
    assert make_storable(text) == stored
    assert is_storable(text) is (text == stored)


@given(ANY_TEXT)
def test_any_text_can_be_made_storable(text: str) -> None:
    stored = make_storable(text)

    assert "\x00" not in stored
    assert stored.encode().decode() == stored
    assert is_storable(stored)
    assert len(make_encodable(text).encode().decode()) == len(text)


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("A question", "A question"),
        ("A\u2028question", "A question"),
        ("A\u0085question", "A question"),
        ("A\r\nBcc: all@example.org", "A Bcc: all@example.org"),
        ("A\x07 que\x1bstion", "A question"),
        ("Zoe\u202e\u2066\u200b", "Zoe"),
        ("Ann\u200d Byron\u200c", "Ann Byron"),
        ("\u3164Ann\uffa0", "Ann"),
        ("=?utf-8?q?Win_money?=", "= ?utf-8?q?Win_money?="),
        ("=?UTF-8?B?V2lu?=", "= ?UTF-8?B?V2lu?="),
        ("is 2+2=?", "is 2+2=?"),
        ("Zo\u00eb \u0646\u200c\u0646 \U0001f468\u200d\U0001f469", None),
    ],
)
def test_a_line_shows_all_that_it_holds(text: str, line: str | None) -> None:
    assert one_line(text) == (text if line is None else line)
    assert is_one_line(text) is (line is None or line == text)


@given(ANY_TEXT)
def test_any_text_becomes_a_line_that_stays_the_same(text: str) -> None:
    line = one_line(text)

    assert one_line(line) == line
    assert is_one_line(line)
    assert len(f"{line}.".splitlines()) == 1
    assert is_storable(line)


def test_hidden_signs_are_named_but_line_breaks_are_not_hidden() -> None:
    assert hidden_signs("Hi\u202e,\n\tgood\u2028day\u200b") == ["U+200B", "U+2028", "U+202E"]
    assert not hidden_signs("Hi,\r\n\tgood day \U0001f468\u200d\U0001f469")


HEBREW = "\u05e9\u05d0\u05dc\u05d4 \u05e2\u05dc C++\u200f!"
SCOTLAND = "\U0001f3f4\U000e0067\U000e0062\U000e0073\U000e0063\U000e0074\U000e007f"


@pytest.mark.parametrize("text", [HEBREW, "Donau\u00addampf\u00adschiff", f"From {SCOTLAND}"])
def test_signs_that_a_language_needs_are_kept_where_they_belong(text: str) -> None:
    assert is_one_line(text)
    assert header_line(text) == text
    assert not hidden_signs(text)


@pytest.mark.parametrize(
    ("text", "sign"),
    [
        ("A question\u200f", "U+200F"),
        (f"{HEBREW}\u202e", "U+202E"),
        (f"{HEBREW}\u2067", "U+2067"),
        (f"{HEBREW}\u200b", "U+200B"),
        ("\u00adA question", "U+00AD"),
        ("A\U000e0067 question", "U+E0067"),
    ],
)
def test_signs_that_only_hide_are_named(text: str, sign: str) -> None:
    assert not is_one_line(text)
    assert hidden_signs(text) == [sign]
    assert header_line(text) == one_line(text)
