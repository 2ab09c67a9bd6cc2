import json
from pathlib import Path
from typing import Any

import pytest
from email_validator import EmailNotValidError, validate_email
from hypothesis import given, settings, strategies as st
from leadflood.contracts import normalization
from leadflood.contracts.found_values import Scalar
from leadflood.contracts.normalization import (
    FREE_MAIL,
    MOST_TAG_CHARS,
    company_domain,
    domain_of_email,
    is_shared_domain,
    name_key,
    normalize,
    normalize_email,
    normalize_linkedin,
    normalize_phone,
    normalize_tag,
    people_count,
    registrable_domain,
)
from leadflood.contracts.values import FieldName
from leadflood.engine.errors import Invalid

DATA = Path(__file__).parent / "data"
EMAILS: dict[str, Any] = json.loads((DATA / "email_validator_cases.json").read_text())
DOMAINS: list[tuple[str | None, str | None]] = json.loads((DATA / "test_psl.json").read_text())
# "Ann <ann@example.com>" is a name with an address, which the check takes only when asked to
VALID = [
    case
    for case in (*EMAILS["test_email_valid"], *EMAILS["test_email_valid_intl_local_part"])
    if "<" not in case[0]
]
PLAIN = st.from_regex(
    r"[A-Za-z0-9_+.-]{1,12}@([a-z0-9-]{1,8}\.){1,3}(com|de|test|local|co|example|arpa)",
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
def test_an_address_at_a_reserved_domain_is_refused(email: str) -> None:
    assert normalize_email(email) is None


@settings(max_examples=400, deadline=None)
@given(PLAIN)
def test_the_short_way_agrees_with_the_whole_check(email: str) -> None:
    try:
        whole = validate_email(email, check_deliverability=False).normalized.lower()
    except EmailNotValidError:
        whole = None

    assert normalize_email(email) == whole


@pytest.mark.parametrize(("host", "domain"), DOMAINS)
def test_a_host_belongs_to_the_domain_that_was_registered(
    host: str | None, domain: str | None
) -> None:
    if host is None:
        return
    ascii_domain = domain and domain.encode("idna").decode()

    assert registrable_domain(host) == (ascii_domain and ascii_domain.lower())


@pytest.mark.parametrize(
    ("text", "domain"),
    [
        ("https://www.Acme.co.uk/about?x=1", "acme.co.uk"),
        ("acme.de:8080", "acme.de"),
        ("http://[::1]/", None),
        ("127.0.0.1", None),
        ("localhost", None),
        ("not a domain", None),
        ("http://münchen.de", "xn--mnchen-3ya.de"),
        ("\ufdfa" * 4_000, None),
        ("\ufdfa" * 64 + ".de", None),
        ("", None),
    ],
)
def test_a_domain_is_read_out_of_whatever_holds_it(text: str, domain: str | None) -> None:
    assert registrable_domain(text) == domain


def test_free_mail_is_nobodys_company() -> None:
    assert [company_domain(domain) for domain in FREE_MAIL] == [None] * len(FREE_MAIL)
    assert domain_of_email("ann@gmail.com") is None
    assert domain_of_email("ann@mail.acme.de") == "acme.de"
    assert {registrable_domain(domain) for domain in FREE_MAIL} == FREE_MAIL
    assert (Path(normalization.__file__).parent / "free_mail.txt").read_text().split() == sorted(
        FREE_MAIL
    )


@pytest.mark.parametrize(
    "domain",
    [
        *("de", "co.uk", "github.io", "s3.amazonaws.com", "amazonaws.com", "onmicrosoft.com"),
        *("arcor.de", "posteo.de", "mailbox.org", "fastmail.fm", "yandex.by", "zoho.eu", "hey.com"),
        *("tutanota.com", "orange.fr", "libero.it", "naver.com", "163.com", "seznam.cz", "wp.pl"),
    ],
)
def test_a_domain_that_many_share_is_nobody_s_own(domain: str) -> None:
    assert is_shared_domain(domain)
    assert not is_shared_domain(f"acme-{domain.partition('.')[0]}.de")


@pytest.mark.parametrize(
    ("text", "region", "number"),
    [
        ("+49 30 123456", None, "+4930123456"),
        ("030 123456", "DE", "+4930123456"),
        ("(415) 555-2671", "US", "+14155552671"),
        ("030 123456", None, None),
        ("call me", "US", None),
        ("", "US", None),
    ],
)
def test_a_phone_has_one_form(text: str, region: str | None, number: str | None) -> None:
    assert normalize_phone(text, region) == number


@pytest.mark.parametrize(
    ("text", "url"),
    [
        ("linkedin.com/in/janedoe", "https://www.linkedin.com/in/janedoe"),
        ("http://www.linkedin.com/in/JaneDoe/?trk=x", "https://www.linkedin.com/in/janedoe"),
        ("https://de.linkedin.com/in/j%C3%BCrgen", "https://www.linkedin.com/in/jürgen"),
        ("https://linkedin.com/company/acme/about", "https://www.linkedin.com/company/acme"),
        ("https://evil-linkedin.com/in/x", None),
        ("https://linkedin.com.evil.example/in/x", None),
        ("https://www.linkedin.com/feed", None),
        ("http://[", None),
    ],
)
def test_a_profile_has_one_address(text: str, url: str | None) -> None:
    assert normalize_linkedin(text) == url


@pytest.mark.parametrize(
    ("text", "count"),
    [
        ("51-200", 125),
        ("51 to 200", 125),
        ("1,001-5,000 employees", 3000),
        ("10,001+", 10001),
        ("10.000", 10000),
        ("1K", 1000),
        ("2.5k", 2500),
        (13, 13),
        ("13.0", 13),
        ("self-employed", None),
        ("0", None),
        (True, None),
        (float("nan"), None),
    ],
)
def test_a_company_size_is_a_number(text: Scalar, count: int | None) -> None:
    assert people_count(text) == count


@pytest.mark.parametrize(
    ("text", "code"),
    [("Germany", "DE"), ("deutschland", "DE"), ("USA", "US"), ("gb", "GB"), ("Atlantis", None)],
)
def test_a_country_is_its_code(text: str, code: str | None) -> None:
    assert normalize(FieldName.COUNTRY, text) == code


@given(st.text(max_size=40))
def test_a_folded_name_stays_folded(name: str) -> None:
    assert name_key(name_key(name)) == name_key(name)


def test_names_fold_across_accents_case_and_marks() -> None:
    assert name_key("José  O'Brien-Müller") == name_key("JOSE o brien muller")


@settings(max_examples=300, deadline=None)
@given(
    st.sampled_from(FieldName),
    st.one_of(
        st.text(max_size=60),
        st.integers(-(10**9), 10**9),
        st.floats(),
        st.booleans(),
        st.lists(st.text(max_size=8), max_size=4).map(tuple),
    ),
)
def test_a_canonical_value_is_canonical_and_storable(field: FieldName, value: Scalar) -> None:
    once = normalize(field, value)

    if once is not None:
        assert normalize(field, once) == once
        json.dumps(once, ensure_ascii=False).encode()
        assert "\\u0000" not in json.dumps(once)


@pytest.mark.parametrize(
    ("text", "tag"),
    [("  Hot  Lead ", "hot lead"), ("\uff26AIR", "fair"), ("Straße", "strasse"), ("é", "é")],
)
def test_a_tag_has_one_form(text: str, tag: str) -> None:
    assert normalize_tag(text) == tag


@pytest.mark.parametrize(
    "text", ["", "   ", "a,b", "x" * (MOST_TAG_CHARS + 1), "a\x07b", "a\u200bb"]
)
def test_what_is_no_tag_is_refused(text: str) -> None:
    with pytest.raises(Invalid) as refused:
        normalize_tag(text)

    assert refused.value.fields[0].path == "tag"


@given(st.text(max_size=60))
def test_the_one_form_stays_what_it_is(text: str) -> None:
    try:
        tag = normalize_tag(text)
    except Invalid:
        return

    assert normalize_tag(tag) == tag
    assert 0 < len(tag) <= MOST_TAG_CHARS
    assert "\x1f" not in tag
