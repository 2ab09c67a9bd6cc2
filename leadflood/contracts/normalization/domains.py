"""Domains: what a company registers, and those that are nobody's own.

They come from the bundled public suffix list (no network).
"""

import re
from functools import cache, lru_cache
from urllib.parse import SplitResult, urlsplit

import tldextract

from leadflood.contracts.addresses import MOST_DOMAIN_CHARS, ascii_domain
from leadflood.contracts.normalization.shared_hosts import is_registry, page_address, shared_part
from leadflood.contracts.normalization.text import clean_text
from leadflood.contracts.word_files import read_lines

_SUFFIXES = tldextract.TLDExtract(
    suffix_list_urls=(), cache_dir=None, fallback_to_snapshot=True, include_psl_private_domains=True
)
_LABEL = re.compile(r"^(?!-)[a-z0-9-]{1,63}(?<!-)$")
FREE_MAIL = frozenset(read_lines("free_mail.txt"))
"""Domains that everybody gets an address at: mail providers, and tenants of mail services.

They are written as registrable domains, one a line, sorted.
"""


@lru_cache(maxsize=8192)
def registrable_domain(text: str) -> str | None:
    """Return the domain a company registers, of a host name, URL or e-mail's domain part.

    Source: publicsuffix.org, the list bundled with tldextract, private section included, so that
    two shops on one hosting platform are two companies.
    """
    host = _host_of(clean_text(text).lower())
    if host is None:
        return None
    parts = _SUFFIXES.extract_str(host)
    if not parts.domain:
        return None
    if parts.suffix:
        return f"{parts.domain}.{parts.suffix}"
    return ".".join(host.split(".")[-2:]) if "." in host else None


def is_shared_domain(text: str) -> bool:
    """Whether a domain is nobody's own.

    It is a public suffix (`de`, `co.uk`), a hosting platform's (`github.io`, and `amazonaws.com`,
    below which such suffixes stand), or a mail provider's.
    """
    domain = registrable_domain(text)
    return domain is None or domain in FREE_MAIL or domain in _platform_domains()


@cache
def _platform_domains() -> frozenset[str]:
    """Return the domains below which the public suffix list has private suffixes."""
    labels = (suffix.lstrip("!").split(".") for suffix in _SUFFIXES.tlds)
    return frozenset(
        ".".join(parts[start:]) for parts in labels for start in range(1, len(parts) - 1)
    )


@lru_cache(maxsize=8192)
def company_domain(text: str) -> str | None:
    """Return the registrable domain, unless it is a mail provider's or a host that many share."""
    domain = registrable_domain(text)
    if domain is None or domain in FREE_MAIL:
        return None
    return None if _shared_host_of(text) else domain


@lru_cache(maxsize=8192)
def company_page(text: str) -> str | None:
    """Return the one address of a page on a host that many share; None where it is no such page.

    `https://www.facebook.com/cafe/?ref=1` is `https://facebook.com/cafe`.
    """
    shared = _shared_host_of(text)
    if shared is None:
        return None
    parts = _split(clean_text(text))
    host = _host_of(clean_text(text).lower())
    return None if host is None else page_address(host, parts.path, parts.query, shared)


@lru_cache(maxsize=8192)
def _shared_host_of(text: str) -> str | None:
    """Return the shared host of an address: a listed one, or a platform's in the suffix list."""
    plain = clean_text(text)
    host = _host_of(plain.lower())
    if host is None:
        return None
    if shared := shared_part(host, _split(plain).path.lower()):
        return shared
    parts = _SUFFIXES.extract_str(host)
    return parts.suffix if parts.is_private and not is_registry(parts.suffix) else None


def domain_of_email(email: str) -> str | None:
    """Return the company's domain behind an address; None for free mail."""
    return company_domain(email.rpartition("@")[2])


def _split(text: str) -> SplitResult:
    return urlsplit(text if "://" in text else f"//{text}")


def _host_of(text: str) -> str | None:
    try:
        host = _split(text).hostname or ""
        ascii_host = host if host.isascii() else ascii_domain(host.rstrip("."))
    except ValueError:
        return None
    host = ascii_host.rstrip(".")
    labels = host.split(".")
    if len(host) > MOST_DOMAIN_CHARS or not all(_LABEL.match(label) for label in labels):
        return None
    return None if labels[-1].isdigit() else host
