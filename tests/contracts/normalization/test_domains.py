import json
from pathlib import Path

import pytest
from leadflood.contracts.normalization.domains import (
    FREE_MAIL,
    company_domain,
    company_page,
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


@pytest.mark.parametrize(
    ("text", "page"),
    [
        ("https://www.facebook.com/CafeAurora/?ref=1#top", "https://facebook.com/CafeAurora"),
        ("m.facebook.com/profile.php?id=12&ref=x", "https://facebook.com/profile.php?id=12"),
        ("https://sites.google.com/view/cato", "https://sites.google.com/view/cato"),
        ("http://acme.wixsite.com/home", "https://acme.wixsite.com/home"),
        ("acme.myshopify.com", "https://acme.myshopify.com"),
        ("acme.github.io", "https://acme.github.io"),
        ("https://www.google.com/maps/place/Acme", "https://google.com/maps/place/Acme"),
        ("https://www.google.de/maps?cid=7", "https://google.de/maps?cid=7"),
        ("https://linktr.ee/acme", "https://linktr.ee/acme"),
        ("bit.ly/3xY", "https://bit.ly/3xY"),
        ("https://www.gelbeseiten.de/gsbiz/1", "https://gelbeseiten.de/gsbiz/1"),
        ("https://www.pagesjaunes.fr/pros/1", "https://pagesjaunes.fr/pros/1"),
        ("https://web.archive.org/web/2020/x", "https://web.archive.org/web/2020/x"),
        ("https://x.com/acme", "https://x.com/acme"),
        ("https://weibo.com/acme", "https://weibo.com/acme"),
        ("https://vk.com/acme", "https://vk.com/acme"),
        ("https://www.facebook.com/", None),
        ("linkedin.com", None),
    ],
)
def test_a_page_on_a_shared_host_is_nobody_s_domain(text: str, page: str | None) -> None:
    assert company_domain(text) is None
    assert company_page(text) == page
    assert page is None or company_page(page) == page


@pytest.mark.parametrize(
    ("text", "domain"),
    [
        ("https://max.com/about", "max.com"),  # not x.com
        ("notfacebook.com", "notfacebook.com"),
        ("https://www.google.com/about", "google.com"),
        ("acme.uk.com", "acme.uk.com"),
        ("acme.co.com", "acme.co.com"),
        ("acme.com.de", "acme.com.de"),
        ("acme.co.uk", "acme.co.uk"),
        ("acme.spb.ru", "acme.spb.ru"),
    ],
)
def test_a_registered_name_is_its_company_s(text: str, domain: str) -> None:
    assert company_domain(text) == domain
    assert company_page(text) is None


def test_the_list_of_shared_hosts_names_each_host_once_and_none_in_vain() -> None:
    lines = read_lines("shared_hosts.txt")
    hosts = [line for line in lines if not line.startswith("!")]

    assert len(set(lines)) == len(lines)
    assert [host for host in hosts if company_domain(host) is not None] == []
