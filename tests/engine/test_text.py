import pytest
from hypothesis import given, strategies as st
from leadflood.engine.text import is_storable, make_encodable, make_storable

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
