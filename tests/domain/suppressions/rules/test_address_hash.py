from uuid import UUID

import pytest
from hypothesis import given, strategies as st
from leadflood.contracts.values import Channel
from leadflood.domain.suppressions.rules.address_hash import AddressHasher, hash_token
from leadflood.domain.suppressions.schemas import AddressKey, SuppressionKind
from leadflood.engine.errors import Bug

HASHER = AddressHasher(AddressKey(b"a key"))
LEAD = UUID(int=9)


@pytest.mark.parametrize(
    ("address", "other"),
    [
        ("Ada@Acme.Example", " ada@acme.example. "),
        ("ada@bücher.de", "ADA@xn--bcher-kva.de"),
        ("ada+news@acme.example", "ada@acme.example"),
        ("a.da@googlemail.com", "ada@gmail.com"),
    ],
)
def test_a_mailbox_has_one_hash_however_it_is_written(address: str, other: str) -> None:
    assert HASHER.hash_address(Channel.EMAIL, address) == HASHER.hash_address(Channel.EMAIL, other)


def test_an_address_is_stopped_by_itself_its_domains_its_channel_and_its_leads() -> None:
    stopping = set(HASHER.list_stopping(Channel.EMAIL, "a@mail.acme.example", [LEAD]))

    assert stopping == {
        HASHER.hash_value(SuppressionKind.ADDRESS, "a@mail.acme.example"),
        HASHER.hash_value(SuppressionKind.DOMAIN, "mail.acme.example"),
        HASHER.hash_value(SuppressionKind.DOMAIN, "acme.example"),
        HASHER.hash_value(SuppressionKind.DOMAIN, "example"),
        HASHER.hash_value(SuppressionKind.CHANNEL, "email"),
        HASHER.hash_value(SuppressionKind.LEAD, str(LEAD)),
        HASHER.hash_value(SuppressionKind.LEAD, f"{LEAD} email"),
    }


def test_a_domain_that_is_another_name_of_the_mailboxs_stops_it_too() -> None:
    stopping = HASHER.list_stopping(Channel.EMAIL, "ada@googlemail.com", [])

    for domain in ("gmail.com", "googlemail.com"):
        assert HASHER.hash_value(SuppressionKind.DOMAIN, domain) in stopping


def test_hashes_depend_on_the_key_and_are_refused_without_one() -> None:
    assert AddressHasher(AddressKey(b"other")).unsubscribe_token(LEAD) != HASHER.unsubscribe_token(
        LEAD
    )
    with pytest.raises(Bug, match="master secret"):
        AddressHasher(AddressKey()).unsubscribe_token(LEAD)


def test_a_token_is_long_the_same_on_every_look_and_tells_nothing() -> None:
    token = HASHER.unsubscribe_token(LEAD)

    assert token == HASHER.unsubscribe_token(LEAD)
    assert len(token) == 32
    assert str(LEAD).replace("-", "") not in token
    assert hash_token(token) != hash_token(token[:-1])


@given(st.text(max_size=50))
def test_any_text_can_be_hashed_as_a_token(text: str) -> None:
    assert len(hash_token(text)) == 32
