import base64
import unicodedata
from uuid import UUID

import pytest
from hypothesis import given, strategies as st
from leadflood.domain.auth.rules.passwords import (
    address_of,
    check_password,
    decode_base64url,
    encode_base64url,
    normalize_email,
    normalize_password,
    read_api_key,
    read_email,
    write_api_key,
)
from leadflood.engine.errors import Invalid

HEX = st.text("0123456789abcdef", min_size=64, max_size=64)


@given(st.binary(max_size=100))
def test_what_is_encoded_is_decoded(raw: bytes) -> None:
    if raw:
        assert decode_base64url(encode_base64url(raw)) == raw


@given(st.text(max_size=60))
def test_no_two_texts_decode_alike(text: str) -> None:
    raw = decode_base64url(text)

    assert raw is None or encode_base64url(raw) == text


@pytest.mark.parametrize("text", ["", "YQ==", "YQ=", "YR", "Y", "Y Q", "YQ\n", "a+b/", "YQ.", "ä"])
def test_lenient_base64_is_refused(text: str) -> None:
    assert decode_base64url(text) is None
    assert base64.urlsafe_b64encode(b"a") == b"YQ=="


@given(st.uuids(), HEX)
def test_a_key_is_read_as_it_was_written(key_id: UUID, secret: str) -> None:
    parts = read_api_key(write_api_key(key_id, secret))

    assert parts is not None
    assert (parts.id, parts.secret) == (key_id, secret)


@given(st.text(max_size=120))
def test_what_is_no_key_is_none(text: str) -> None:
    parts = read_api_key(text)

    assert parts is None or write_api_key(parts.id, parts.secret) == text


@given(st.text(max_size=60))
def test_a_password_s_form_is_final(password: str) -> None:
    once = normalize_password(password)

    assert normalize_password(once) == once
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


@given(st.emails())
def test_an_address_is_kept_in_one_form(email: str) -> None:
    try:
        kept = normalize_email(email)
    except Invalid:
        return

    assert normalize_email(kept) == kept
    assert kept == read_email(kept)
    assert kept == kept.lower()


@pytest.mark.parametrize("email", ["", "a", "a@", "@b", "a b@c.example", "a@b@c", "x" * 300])
def test_what_is_no_address_is_refused(email: str) -> None:
    with pytest.raises(Invalid):
        normalize_email(email)


@pytest.mark.parametrize(
    ("remote", "counted"),
    [
        ("203.0.113.7", "203.0.113.7"),
        ("::ffff:203.0.113.7", "203.0.113.7"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("fe80::1%eth0", "fe80::/64"),
        ("", ""),
        ("unix", "unix"),
    ],
)
def test_an_address_stands_for_whom_it_belongs_to(remote: str, counted: str) -> None:
    assert address_of(remote) == counted
