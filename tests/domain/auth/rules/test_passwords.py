import unicodedata

from hypothesis import given, strategies as st
from leadflood.domain.auth.rules.passwords import check_password, normalize_password
from leadflood.engine.errors import Invalid


@given(st.text(max_size=60))
def test_normalizing_a_password_twice_changes_nothing(password: str) -> None:
    normalized = normalize_password(password)

    assert normalize_password(normalized) == normalized
    assert normalize_password(unicodedata.normalize("NFD", password)) == normalize_password(
        unicodedata.normalize("NFC", password)
    )


@given(st.text(max_size=1_200), st.emails())
def test_a_password_is_accepted_or_refused_with_its_field(password: str, email: str) -> None:
    refused = None
    try:
        check_password(password, email)
    except Invalid as error:
        refused = error

    if refused is None:
        assert 12 <= len(normalize_password(password)) <= 1_000
    else:
        assert refused.fields[0].path == "password"
        assert len(password) < 4 or password not in refused.detail
