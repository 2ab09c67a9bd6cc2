import json
from pathlib import Path

import pytest
from leadflood.contracts.normalization.domains import (
    FREE_MAIL,
    company_domain,
    domain_of_email,
    is_shared_domain,
    registrable_domain,
)
from leadflood.contracts.word_files import read_lines

DATA = Path(__file__).parents[1] / "data"
DOMAINS: list[tuple[str | None, str | None]] = json.loads((DATA / "test_psl.json").read_text())


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
    assert list(read_lines("free_mail.txt")) == sorted(FREE_MAIL)


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
