from uuid import UUID

from hypothesis import given, strategies as st
from leadflood.domain.auth.rules.base64url import decode_base64url, encode_base64url
from leadflood.domain.auth.rules.master_secret import MasterSecret
from leadflood.domain.auth.rules.refresh_tokens import RefreshTokens

TOKENS = RefreshTokens(MasterSecret("m" * 40))
SESSION = UUID(int=7)


def test_an_issued_token_names_its_session_and_is_never_issued_again() -> None:
    token = TOKENS.issue(SESSION, 1)

    assert TOKENS.find_session_id(token) == SESSION
    assert token != TOKENS.issue(SESSION, 1)


@given(st.integers(0, 59), st.integers(1, 255))
def test_a_token_with_any_byte_changed_names_no_session(index: int, flip: int) -> None:
    raw = bytearray(decode_base64url(TOKENS.issue(SESSION, 1)) or b"")
    raw[index] ^= flip

    assert TOKENS.find_session_id(encode_base64url(bytes(raw))) is None


@given(st.text(max_size=200))
def test_an_invented_token_names_no_session(text: str) -> None:
    assert TOKENS.find_session_id(text) is None


def test_a_token_of_another_secret_names_no_session() -> None:
    other = RefreshTokens(MasterSecret("n" * 40))

    assert TOKENS.find_session_id(other.issue(SESSION, 1)) is None
