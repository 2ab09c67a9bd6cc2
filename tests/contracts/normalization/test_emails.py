import json
from pathlib import Path
from typing import Any

import pytest
from email_validator import EmailNotValidError, validate_email
from hypothesis import given, settings, strategies as st
from leadflood.contracts.normalization.emails import (
    normalize_email,
    read_emails,
    suggest_email,
    why_not_personal,
)

DATA = Path(__file__).parents[1] / "data"
EMAILS: dict[str, Any] = json.loads((DATA / "email_validator_cases.json").read_text())
# "Ann <ann@example.com>" is a name with an address, which the check takes only when asked to
VALID = [
    case
    for case in (*EMAILS["test_email_valid"], *EMAILS["test_email_valid_intl_local_part"])
    if "<" not in case[0]
]
PLAIN = st.from_regex(
    r"[A-Za-z0-9_+.-]{1,12}@([a-z0-9-]{1,8}\.){1,3}(com|de|co|example)",
    fullmatch=True,
)


@pytest.mark.parametrize(("email", "parts"), VALID)
def test_a_good_address_has_one_form(email: str, parts: dict[str, str]) -> None:
    assert normalize_email(email) == parts["normalized"].lower()


# outer space is taken off before, as every form and file does
@pytest.mark.parametrize(
    "email",
    [case[0] for case in EMAILS["test_email_invalid_syntax"] if case[0] == case[0].strip()],
)
def test_what_is_no_address_is_refused(email: str) -> None:
    assert normalize_email(email) is None


@pytest.mark.parametrize("email", EMAILS["test_email_invalid_reserved_domain"])
def test_a_reserved_domain_is_read_and_is_nobody_s(email: str) -> None:
    assert normalize_email(email) == email
    assert why_not_personal(email) == "reserved"


# Source: the test set of is_email (Dominic Sayers), those that its verdict is an error for, and
# address literals and comments, which no file of leads means
@pytest.mark.parametrize(
    "email",
    [
        *("", "test", "@", "test@", "@io", "@iana.org", ".test@iana.org", "test.@iana.org"),
        *("test..iana.org", "test_exa-mple.com", "test..test@iana.org", "test\\@test@iana.org"),
        *("test@-iana.org", "test@iana-.com", "test@.iana.org", "test@iana.org.", "test@iana..com"),
        *(
            "a" * 65 + "@iana.org",
            f"test@{'a' * 64}.com",
            "test@" + ".".join(["a" * 63] * 4) + ".com",
        ),
        *('"test@iana.org', 'test"@iana.org', '"test"test@iana.org', 'test"text"@iana.org'),
        *(
            '"test""test"@iana.org',
            '"test\\"@iana.org',
            '"\n"@iana.org',
            '"test\0"@iana.org',
            '""@iana.org',
        ),
        *("test@a[255.255.255.255]", "test@[255.255.255]", "test@[255.255.255.255.255]"),
        *("test@[255.255.255.255", "test@255.255.255.255]", "test@[IPv6:1111:2222]", "test@[\x07]"),
        *(
            "((comment)test@iana.org",
            "test(comment)test@iana.org",
            "test@iana.org-",
            "(test@iana.org",
        ),
        *(
            "test@iana.org(",
            "test@(iana.org",
            "test@[1.2.3.4",
            "test@iana/icann.org",
        ),
        *(
            "test@foo;bar.com",
            "test;123@foobar.com",
            "test\n@iana.org",
            "te st@iana.org",
            "test@ia na.org",
        ),
        *(
            "first.last@sub.do,com",
            "first\\@last@iana.org",
            "first.last@",
            "a@b@c.org",
            "test,a@iana.org",
        ),
        *(
            "test@\x07.org",
            "\x07@iana.org",
            "test\x07@iana.org",
            "test@iana.org\x07",
            "test@xn--.org",
        ),
    ],
)
def test_what_is_email_calls_an_error_is_no_address(email: str) -> None:
    assert normalize_email(email) is None


@pytest.mark.parametrize(
    "email",
    [
        *("test@iana.org", "test@nominet.org.uk", "test@about.museum", "a@iana.org", "test@e.com"),
        *("test.test@iana.org", "!#$%&`*/=?^`{|}~@iana.org", "123@iana.org", "test@123.com"),
        *("a" * 64 + "@iana.org", f"test@{'a' * 63}.com", "test@mason-dixon.com", "test@c--n.com"),
        *("test@iana.co-uk", "xn--test@iana.org", "first.last@sub.iana.org"),
    ],
)
def test_what_is_email_calls_valid_is_an_address(email: str) -> None:
    assert normalize_email(email) == email


@pytest.mark.parametrize(
    ("text", "addresses"),
    [
        ("Jon Ra <jon@a.de>", ["jon@a.de"]),
        ("jon@a.de ::: eva@a.de", ["jon@a.de", "eva@a.de"]),
        ("jon@a.de / +49 30 901820", ["jon@a.de"]),
        ('"Ra, Jon" <jon@a.de>, Eva <eva@a.de>', ["jon@a.de", "eva@a.de"]),
        ("Ra, Jon <jon@a.de>", ["jon@a.de"]),
        ("lea@a.de;", ["lea@a.de"]),
        ("lea@a.de.", ["lea@a.de"]),
        ("lea@a.de,,", ["lea@a.de"]),
        ("<lea@a.de>", ["lea@a.de"]),
        ("lea@a.de>", ["lea@a.de"]),
        ("[lea@a.de]", ["lea@a.de"]),
        ("'lea@a.de'", ["lea@a.de"]),
        ("\u201elea@a.de\u201c", ["lea@a.de"]),
        ("mailto:lea@a.de?subject=hi", ["lea@a.de"]),
        ("E-Mail privat: lea@a.de", ["lea@a.de"]),
        ("lea@a.de (work)", ["lea@a.de"]),
        ("lea@a.de\u200b", ["lea@a.de"]),
        ("\ufeffl\u00adea@a.de", ["lea@a.de"]),
        ("\uff4c\uff45\uff41\uff20\uff41\uff0e\uff44\uff45", ["lea@a.de"]),
        ("a@x.de; b@x.de", ["a@x.de", "b@x.de"]),
        ("a@x.de,b@x.de", ["a@x.de", "b@x.de"]),
        ("a@x.de / b@x.de", ["a@x.de", "b@x.de"]),
        ("a@x.de/b@x.de", ["a@x.de", "b@x.de"]),
        ("a@x.de|b@x.de", ["a@x.de", "b@x.de"]),
        ("a@x.de\nb@x.de", ["a@x.de", "b@x.de"]),
        ("a@x.de b@x.de", ["a@x.de", "b@x.de"]),
        ("a@x.de oder b@x.de", ["a@x.de", "b@x.de"]),
        ("a@x.de; A@X.de", ["a@x.de"]),
        ("n/a; b@x.de", ["b@x.de"]),
        ("call me, b@x.de", ["b@x.de"]),
    ],
)
def test_a_cell_holds_the_addresses_that_a_person_sees_in_it(
    text: str, addresses: list[str]
) -> None:
    assert list(read_emails(text).addresses) == addresses


# a part of a broken address is another person's address
@pytest.mark.parametrize(
    "text",
    [
        *("joe blogs@x.de", "jon,smith@x.de", "test;123@x.de", "ada@acme.co,uk", "ada@acme.co, uk"),
        *("jose e maria@x.de", "ada @x.de", "ada[at]x.de", "a@b@x.de", "test@[127.0.0.1]"),
    ],
)
def test_no_address_is_made_of_a_part_of_one(text: str) -> None:
    assert read_emails(text).addresses == ()
    assert read_emails(text).unread


@pytest.mark.parametrize(
    ("email", "meant"),
    [
        ("a@gmial.com", "a@gmail.com"),
        ("a@gmail.con", "a@gmail.com"),
        ("a@hotmial.com", "a@hotmail.com"),
        ("a@acme.con", "a@acme.com"),
        ("a@gmail.com", None),
        ("a@mail.com", None),
        ("a@acme.com", None),
        ("a@love.com", None),
    ],
)
def test_a_typing_error_in_a_domain_is_suggested(email: str, meant: str | None) -> None:
    assert suggest_email(email) == meant


@pytest.mark.parametrize(
    ("email", "why"),
    [
        ("noreply@acme.com", "function"),
        ("No-Reply+x@acme.com", "function"),
        ("postmaster@acme.com", "function"),
        ("a@mailinator.com", "disposable"),
        ("a@x.mailinator.com", "disposable"),
        ("a@example.com", "reserved"),
        ("a@mail.example.org", "reserved"),
        ("ann@acme.com", None),
        ("a@myexample.com", None),
        ("info@acme.com", None),
    ],
)
def test_an_address_that_is_no_person_s_is_told(email: str, why: str | None) -> None:
    assert why_not_personal(email) == why


@settings(max_examples=400, deadline=None)
@given(PLAIN)
def test_the_short_way_agrees_with_the_whole_check(email: str) -> None:
    try:
        whole = validate_email(email, check_deliverability=False).normalized.lower()
    except EmailNotValidError:
        whole = None

    assert normalize_email(email) == whole
