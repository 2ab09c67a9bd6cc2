import string

import pytest
from hypothesis import given, strategies as st
from leadflood.contracts.normalization.mailboxes import contact_key, mailbox_key
from leadflood.contracts.values import Channel
from leadflood.engine.errors import Invalid

LOCALS = st.text(alphabet=string.ascii_letters + string.digits + ".+-_", min_size=1, max_size=30)
FULL_WIDTH = "".join(chr(ord(sign) + 0xFEE0) for sign in "ada@gmail.com")
DOMAINS = st.sampled_from(["gmail.com", "Googlemail.com", "acme.example", "BÜCHER.de"])


@pytest.mark.parametrize(
    ("spellings", "key"),
    [
        (("ada+news@acme.example", "ADA@Acme.Example", "ada+a+b@acme.example"), "ada@acme.example"),
        (("a.d.a+x@gmail.com", "ada@googlemail.com", "A.da@GoogleMail.com"), "ada@gmail.com"),
        (("a.d.a@acme.example",), "a.d.a@acme.example"),
        (("ada@straße.de", "ada@xn--strae-oqa.de", "ADA@STRAßE.DE"), "ada@xn--strae-oqa.de"),
        (("ada@bücher.de", "ada@xn--bcher-kva.de"), "ada@xn--bcher-kva.de"),
        ((FULL_WIDTH, "ada@gmail.com."), "ada@gmail.com"),
        (("+ada@acme.example",), "+ada@acme.example"),
        (("Größe@acme.example", "GRÖSSE+1@acme.example"), "grösse@acme.example"),
    ],
)
def test_spellings_of_one_mailbox_have_one_key(spellings: tuple[str, ...], key: str) -> None:
    assert {mailbox_key(spelling) for spelling in spellings} == {key}


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ("ada@acme.example", "adam@acme.example"),
        ("a.da@acme.example", "ada@acme.example"),
        ("ada-news@acme.example", "ada@acme.example"),
        ("ada@mail.acme.example", "ada@acme.example"),
        ("+a@acme.example", "+b@acme.example"),
    ],
)
def test_other_mailboxes_have_other_keys(first: str, second: str) -> None:
    assert mailbox_key(first) != mailbox_key(second)


@given(LOCALS, DOMAINS, LOCALS)
def test_a_key_is_its_own_key_and_that_of_every_tagged_spelling(
    local: str, domain: str, tag: str
) -> None:
    key = mailbox_key(f"{local}@{domain}")

    assert mailbox_key(key) == key
    assert "+" in local or mailbox_key(f"{local}+{tag}@{domain}") == key


@given(st.text(max_size=80))
def test_any_text_has_a_key_or_is_refused(text: str) -> None:
    try:
        key = mailbox_key(text)
    except Invalid:
        return
    assert key.count("@") == 1


def test_a_phone_is_its_number_however_it_is_written() -> None:
    assert contact_key(Channel.WHATSAPP, "0031 6 2000 0000") == "+31620000000"
