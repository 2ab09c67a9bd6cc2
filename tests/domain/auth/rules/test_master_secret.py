import pytest
from hypothesis import given, strategies as st
from leadflood.domain.auth.rules.master_secret import MasterSecret, ResponseSealer
from leadflood.engine.errors import Bug

SECRET = MasterSecret("m" * 40)


@given(st.binary(max_size=200), st.text(max_size=20))
def test_a_sealed_value_opens_in_its_context_alone(plain: bytes, context: str) -> None:
    sealed = SECRET.seal(plain, context)

    assert SECRET.open(sealed, context) == plain
    assert not plain or len(plain) < 4 or plain not in sealed
    with pytest.raises(Bug):
        SECRET.open(sealed, context + "x")


@given(st.binary(min_size=1, max_size=50), st.integers(0, 10**6), st.integers(1, 255))
def test_a_sealed_value_that_was_changed_does_not_open(plain: bytes, index: int, flip: int) -> None:
    sealed = bytearray(SECRET.seal(plain, "x"))
    sealed[index % len(sealed)] ^= flip

    with pytest.raises(Bug):
        SECRET.open(bytes(sealed), "x")


def test_each_purpose_and_each_secret_has_keys_of_its_own() -> None:
    keys = {
        SECRET.derive_key("a"),
        SECRET.derive_key("b"),
        MasterSecret("n" * 40).derive_key("a"),
        SECRET.derive_key("signing a"),
    }

    assert len(keys) == 4
    assert SECRET.derive_key("a") == MasterSecret("m" * 40).derive_key("a")


def test_the_same_response_sealed_twice_differs() -> None:
    sealer = ResponseSealer(SECRET)

    assert sealer.seal(b"x", b"k") != sealer.seal(b"x", b"k")
    assert sealer.open(sealer.seal(b"x", b"k"), b"k") == b"x"


def test_the_parts_of_a_digest_are_not_run_together() -> None:
    assert SECRET.digest("p", b"ab", b"c") != SECRET.digest("p", b"a", b"bc")
