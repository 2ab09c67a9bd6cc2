from uuid import UUID

import pytest
from hypothesis import given, strategies as st
from leadflood.contracts.values import Channel
from leadflood.domain.messaging.keys import (
    Keys,
    domains_of,
    hash_token,
    mask,
    normalise_email,
    normalise_phone,
)
from leadflood.domain.messaging.schemas import SuppressionKind
from leadflood.engine.errors import Invalid, NotConfigured

KEYS = Keys("a secret")
LEAD = UUID(int=9)


@pytest.mark.parametrize(
    ("one", "other"),
    [("Ada@Acme.Example", " ada@acme.example. "), ("ada@bücher.de", "ADA@xn--bcher-kva.de")],
)
def test_one_mailbox_has_one_key_however_it_is_written(one: str, other: str) -> None:
    assert KEYS.of_address(Channel.EMAIL, one) == KEYS.of_address(Channel.EMAIL, other)


@pytest.mark.parametrize("written", ["+31620000000", "0031 6 2000 0000", "+31 (6) 2000-0000"])
def test_one_number_has_one_key_however_it_is_written(written: str) -> None:
    assert normalise_phone(written) == "+31620000000"


@pytest.mark.parametrize(
    "address",
    ["", "@", "ada@", "@acme.example", "a b@c.d", "a@b@c", "a@b.c\r\nBcc: x@y.z", "a\x00@b.c"],
)
def test_what_is_no_address_is_refused(address: str) -> None:
    with pytest.raises(Invalid):
        normalise_email(address)


def test_an_address_is_covered_by_itself_its_domains_its_channel_and_its_leads() -> None:
    covering = set(KEYS.covering(Channel.EMAIL, "a@mail.acme.example", [LEAD]))

    assert covering == {
        KEYS.of(SuppressionKind.ADDRESS, "a@mail.acme.example"),
        KEYS.of(SuppressionKind.DOMAIN, "mail.acme.example"),
        KEYS.of(SuppressionKind.DOMAIN, "acme.example"),
        KEYS.of(SuppressionKind.DOMAIN, "example"),
        KEYS.of(SuppressionKind.CHANNEL, "email"),
        KEYS.of(SuppressionKind.LEAD, str(LEAD)),
    }


def test_keys_depend_on_the_secret_and_are_refused_without_one() -> None:
    assert Keys("other").token_for(LEAD) != KEYS.token_for(LEAD)
    with pytest.raises(NotConfigured, match=r"messaging\.hash_secret"):
        Keys("").token_for(LEAD)


def test_a_token_is_long_the_same_on_every_look_and_tells_nothing() -> None:
    token = KEYS.token_for(LEAD)

    assert token == KEYS.token_for(LEAD)
    assert len(token) == 32
    assert str(LEAD).replace("-", "") not in token
    assert hash_token(token) != hash_token(token[:-1])


@given(st.text(max_size=50))
def test_any_token_and_any_hint_can_be_taken(text: str) -> None:
    assert len(hash_token(text)) == 32
    assert len(mask(text)) <= len(text) + 7
    assert isinstance(domains_of(text), list)


def test_a_hint_shows_its_owner_just_enough() -> None:
    assert mask("ada@acme.example") == "a***@a***.example"
    assert mask("+31620000042") == "+31***42"
    assert mask("acme.example") == "ac***.example"
