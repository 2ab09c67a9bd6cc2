import pytest
from hypothesis import given, strategies as st
from leadflood.domain.auth.rules.email_addresses import fold_email, normalize_email
from leadflood.engine.errors import Invalid


@given(st.emails())
def test_an_address_is_stored_in_one_form(email: str) -> None:
    try:
        stored = normalize_email(email)
    except Invalid:
        return

    assert normalize_email(stored) == stored
    assert stored == fold_email(stored)
    assert stored == stored.lower()


@pytest.mark.parametrize("email", ["", "a", "a@", "@b", "a b@c.example", "a@b@c", "x" * 300])
def test_a_text_that_is_no_address_is_refused(email: str) -> None:
    with pytest.raises(Invalid):
        normalize_email(email)
