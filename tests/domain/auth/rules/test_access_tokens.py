from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import jwt
import msgspec
import pytest
from hypothesis import given, strategies as st
from leadflood.domain.auth.rules.access_tokens import SigningKey, find_kid, issue, verify
from leadflood.domain.auth.rules.base64url import decode_base64url, encode_base64url
from leadflood.engine.clock import ManualClock
from leadflood.engine.ids import Ids

NOW = datetime(2026, 1, 5, 9, tzinfo=UTC)
KEY = SigningKey("k1", b"0123456789abcdef0123456789abcdef")
WHO, SESSION = UUID(int=1), UUID(int=2)
LEEWAY = timedelta(seconds=5)
SECONDS = int(NOW.timestamp())


def a_token(issued_at: int = SECONDS, expires_at: int = SECONDS + 900) -> str:
    return issue(KEY, WHO, SESSION, Ids(ManualClock(NOW)), (issued_at, expires_at))


def signed(header: dict[str, Any], claims: object, key: bytes = KEY.secret) -> str:
    return signed_raw(msgspec.json.encode(header), msgspec.json.encode(claims), key)


def signed_raw(header: bytes, payload: bytes, key: bytes = KEY.secret) -> str:
    parts = [encode_base64url(part) for part in (header, payload)]
    algorithm = jwt.algorithms.HMACAlgorithm(jwt.algorithms.HMACAlgorithm.SHA256)
    signature = algorithm.sign(".".join(parts).encode(), key)
    return ".".join([*parts, encode_base64url(signature)])


def claims(**over: Any) -> dict[str, Any]:
    values = {
        "iss": "leadflood",
        "aud": "leadflood-api",
        "sub": str(WHO),
        "sid": str(SESSION),
        "iat": SECONDS,
        "exp": SECONDS + 900,
        "jti": str(UUID(int=3)),
    }
    return {name: value for name, value in (values | over).items() if value is not ...}


HEADER = {"alg": "HS256", "kid": "k1", "typ": "at+jwt"}


def test_a_token_says_whose_session_it_is() -> None:
    token = a_token()

    claims = verify(token, KEY, NOW, LEEWAY)

    assert find_kid(token) == "k1"
    assert claims is not None
    assert (claims.sub, claims.sid) == (WHO, SESSION)


@pytest.mark.parametrize(
    ("seconds", "is_good"), [(-6, False), (-4, True), (0, True), (904, True), (905, False)]
)
def test_a_token_is_in_force_by_our_clock_give_or_take_the_leeway(
    seconds: int,
    is_good: bool,  # noqa: FBT001 - a table
) -> None:
    claims = verify(a_token(), KEY, NOW + timedelta(seconds=seconds), LEEWAY)

    assert (claims is not None) is is_good


@pytest.mark.parametrize(
    "header",
    [
        {**HEADER, "alg": "none"},
        {**HEADER, "alg": "HS512"},
        {**HEADER, "alg": "hs256"},
        {**HEADER, "typ": "JWT"},
        {**HEADER, "crit": ["exp"]},
        {**HEADER, "jku": "https://evil.example/keys"},
        {**HEADER, "jwk": {"kty": "oct", "k": "eA"}},
        {**HEADER, "x5u": "https://evil.example"},
        {**HEADER, "b64": False},
        {**HEADER, "kid": 1},
        {"alg": "HS256", "typ": "at+jwt"},
        {"alg": "HS256", "kid": "k1"},
        {},
    ],
    ids=str,
)
def test_another_header_is_refused_however_well_it_is_signed(header: dict[str, Any]) -> None:
    assert find_kid(signed(header, claims())) is None


@pytest.mark.parametrize(
    "over",
    [
        {"iss": "other"},
        {"aud": "other"},
        {"aud": ["leadflood-api"]},
        {"sub": ...},
        {"sid": ...},
        {"exp": ...},
        {"iat": ...},
        {"jti": ...},
        {"exp": str(SECONDS + 900)},
        {"exp": 1e300},
        {"exp": 10**18},
        {"exp": 10**11 + 1},
        {"iat": -1},
        {"exp": SECONDS - 60},
        {"iat": SECONDS + 60},
        {"admin": True},
        {"sub": "1"},
        {"nbf": 0},
    ],
    ids=str,
)
def test_other_claims_are_refused_however_well_they_are_signed(over: dict[str, Any]) -> None:
    assert verify(signed(HEADER, claims()), KEY, NOW, LEEWAY) is not None
    assert verify(signed(HEADER, claims(**over)), KEY, NOW, LEEWAY) is None


def test_a_part_that_names_a_member_twice_is_refused() -> None:
    header, payload = msgspec.json.encode(HEADER), msgspec.json.encode(claims())
    doubled_header = header[:-1] + b',"kid":"k1"}'
    doubled_claims = payload[:-1] + b',"sub":"' + str(WHO).encode() + b'"}'

    assert verify(signed_raw(header, payload), KEY, NOW, LEEWAY) is not None
    assert find_kid(signed_raw(doubled_header, payload)) is None
    assert verify(signed_raw(header, doubled_claims), KEY, NOW, LEEWAY) is None


def test_the_signature_of_another_key_is_refused() -> None:
    assert verify(signed(HEADER, claims(), b"x" * 32), KEY, NOW, LEEWAY) is None


def test_a_retired_key_signs_nothing_new() -> None:
    retired = SigningKey("k1", KEY.secret, NOW - timedelta(minutes=5))

    assert verify(a_token(SECONDS - 400), retired, NOW, LEEWAY) is not None
    assert verify(a_token(SECONDS), retired, NOW, LEEWAY) is None


def loosened(token: str) -> str:
    """Change a bit that lenient decoders throw away."""
    alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    spoilt = token[:-1] + alphabet[alphabet.index(token[-1]) | 1]
    assert spoilt != token
    return spoilt


@pytest.mark.parametrize(
    "spoil",
    [
        lambda token: token + "=",
        lambda token: token + ".",
        lambda token: token + ".e30",
        lambda token: token.replace(".", "..", 1),
        lambda token: token.rpartition(".")[0] + ".",
        lambda token: token.rpartition(".")[0],
        lambda token: f" {token}",
        lambda token: f"{token}\n",
        loosened,
        lambda token: token.replace(".", "%2E"),
        lambda token: "." + token,
        lambda token: token * 5,
        lambda token: token[:0] + "..",
    ],
    ids=[
        "padded",
        "dot",
        "four parts",
        "empty part",
        "no signature",
        "two parts",
        "blank",
        "newline",
        "loose bits",
        "escaped",
        "leading dot",
        "long",
        "nothing",
    ],
)
def test_a_token_has_exactly_one_form(spoil: Any) -> None:
    assert find_kid(spoil(a_token())) is None


@given(st.text(max_size=200) | st.lists(st.binary(min_size=1, max_size=40), min_size=3, max_size=3))
def test_a_text_of_another_form_names_no_key(text_or_parts: Any) -> None:
    text = (
        text_or_parts
        if isinstance(text_or_parts, str)
        else ".".join(map(encode_base64url, text_or_parts))
    )

    assert find_kid(text) is None


@given(st.integers(0, 10**6), st.integers(1, 255))
def test_a_token_with_any_byte_changed_is_refused(index: int, flip: int) -> None:
    parts = a_token().split(".")
    number = index % 3
    raw = bytearray(decode_base64url(parts[number]) or b"")
    raw[index % len(raw)] ^= flip
    parts[number] = encode_base64url(bytes(raw))
    token = ".".join(parts)

    assert find_kid(token) != "k1" or verify(token, KEY, NOW, LEEWAY) is None
