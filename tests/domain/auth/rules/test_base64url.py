import base64

import pytest
from hypothesis import given, strategies as st
from leadflood.domain.auth.rules.base64url import decode_base64url, encode_base64url


@given(st.binary(min_size=1, max_size=100))
def test_encoded_bytes_are_decoded(raw: bytes) -> None:
    assert decode_base64url(encode_base64url(raw)) == raw


@given(st.text(max_size=60))
def test_no_two_texts_decode_alike(text: str) -> None:
    raw = decode_base64url(text)

    assert raw is None or encode_base64url(raw) == text


@pytest.mark.parametrize("text", ["", "YQ==", "YQ=", "YR", "Y", "Y Q", "YQ\n", "a+b/", "YQ.", "ä"])
def test_lenient_base64_is_refused(text: str) -> None:
    assert decode_base64url(text) is None
    assert base64.urlsafe_b64encode(b"a") == b"YQ=="
