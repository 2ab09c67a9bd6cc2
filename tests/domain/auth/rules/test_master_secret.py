import pytest
from hypothesis import given, strategies as st
from leadflood.domain.auth.rules.master_secret import Seal, Vault
from leadflood.engine.errors import Bug

VAULT = Vault("m" * 40)


@given(st.binary(max_size=200), st.text(max_size=20))
def test_what_is_sealed_opens_for_its_purpose_alone(plain: bytes, about: str) -> None:
    sealed = VAULT.seal(plain, about)

    assert VAULT.open(sealed, about) == plain
    assert not plain or len(plain) < 4 or plain not in sealed
    with pytest.raises(Bug):
        VAULT.open(sealed, about + "x")


@given(st.binary(min_size=1, max_size=50), st.integers(0, 10**6), st.integers(1, 255))
def test_a_seal_that_was_touched_does_not_open(plain: bytes, place: int, flip: int) -> None:
    sealed = bytearray(VAULT.seal(plain, "x"))
    sealed[place % len(sealed)] ^= flip

    with pytest.raises(Bug):
        VAULT.open(bytes(sealed), "x")


def test_each_purpose_and_each_secret_has_keys_of_its_own() -> None:
    keys = {VAULT.key("a"), VAULT.key("b"), Vault("n" * 40).key("a"), VAULT.key("signing a")}

    assert len(keys) == 4
    assert VAULT.key("a") == Vault("m" * 40).key("a")


def test_two_seals_of_the_same_differ() -> None:
    seal = Seal(VAULT)

    assert seal.seal(b"x", b"k") != seal.seal(b"x", b"k")
    assert seal.open(seal.seal(b"x", b"k"), b"k") == b"x"


def test_parts_are_not_run_together() -> None:
    assert VAULT.digest("p", b"ab", b"c") != VAULT.digest("p", b"a", b"bc")
