"""Normalization: two spellings of one thing become equal, what is not one becomes None.

Everything here is pure and total. Domains come from the bundled public suffix list (no network);
addresses are checked for syntax only.
"""

import re
import unicodedata
from functools import cache, lru_cache
from pathlib import Path
from urllib.parse import unquote, urlsplit

import phonenumbers
import tldextract
from email_validator import SPECIAL_USE_DOMAIN_NAMES, EmailNotValidError, validate_email

from leadflood.contracts.addresses import MOST_DOMAIN_CHARS, ascii_domain
from leadflood.contracts.countries import find_country
from leadflood.contracts.found_values import Scalar
from leadflood.contracts.values import EmailStatus, FieldName
from leadflood.engine.errors import Invalid
from leadflood.engine.text import one_line

MAX_TEXT = 4_000
MOST_TAG_CHARS = 40
_MOST_ADDRESS = 600
_SPACES = re.compile(r"\s+")
_SIZE_RANGE = re.compile(r"^(\d+)\s*(?:-|to|\u2013|\u2014)\s*(\d+)$")
_THOUSANDS = re.compile(r"(?<=\d)[,. '\u00a0\u202f](?=\d{3}(?!\d))")
_SHORT_NUMBER = re.compile(r"^(\d+(?:\.\d+)?)\s*([kKmM])\s*\+?$")
_LINKEDIN = re.compile(
    r"^/(?:[a-z]{2}/)?(in|pub|company|school|sales/lead|sales/people)/([^/]+)", re.IGNORECASE
)
_SUFFIXES = tldextract.TLDExtract(
    suffix_list_urls=(), cache_dir=None, fallback_to_snapshot=True, include_psl_private_domains=True
)
_LABEL = re.compile(r"^(?!-)[a-z0-9-]{1,63}(?<!-)$")

_PLAIN_EMAIL = re.compile(
    r"^(?=.{6,120}\Z)[a-z0-9_+-]{1,30}(?:\.[a-z0-9_+-]{1,30})?@"
    r"(?:[a-z0-9](?:-?[a-z0-9]){0,28}\.){1,3}([a-z]{2,20})\Z",
    re.ASCII | re.IGNORECASE,
)
"""Most addresses: taken without the whole check, which costs 35 µs (tested to agree with it)."""
_SPECIAL_ENDS = frozenset(name.rpartition(".")[2] for name in SPECIAL_USE_DOMAIN_NAMES)

FREE_MAIL = frozenset(Path(__file__).with_name("free_mail.txt").read_text("ascii").split())
"""Domains that everybody gets an address at: mail providers, and tenants of mail services.

They are written as registrable domains, one a line, sorted.
"""

_NAMES_BY_COUNTRY = {
    "AE": "uae",
    "AT": "osterreich",
    "BE": "belgie|belgien|belgique",
    "BR": "brasil",
    "CH": "schweiz|suisse|svizzera",
    "CZ": "cesko",
    "DE": "allemagne|alemania|deutschland",
    "DK": "danmark",
    "ES": "espagne|espana|spanien",
    "FI": "suomi",
    "FR": "frankreich",
    "GB": "u k",
    "HR": "hrvatska",
    "HU": "magyarorszag",
    "IE": "eire|republic of ireland",
    "IT": "italia|italien|italie",
    "NL": "nederland",
    "NO": "norge",
    "PL": "polska",
    "SE": "sverige",
}
_OWN_NAMES = {
    name: country for country, names in _NAMES_BY_COUNTRY.items() for name in names.split("|")
}
"""Countries in their own and their neighbors' words, as CRM exports have them."""


def clean_text(text: str) -> str:
    """Return a value as it is kept: one line, composed, at most 4,000 characters."""
    if text.isascii() and text.isprintable():
        return text[:MAX_TEXT].strip()
    return one_line(unicodedata.normalize("NFC", text))[:MAX_TEXT].strip()


@lru_cache(maxsize=8192)
def normalize_email(text: str) -> str | None:
    """Return the address in its one spelling (lower case), or None when it cannot be one."""
    if (plain := _PLAIN_EMAIL.match(text)) and plain[1].casefold() not in _SPECIAL_ENDS:
        return text.lower()
    if len(text) > _MOST_ADDRESS:
        return None
    try:
        checked = validate_email(text.strip(), check_deliverability=False, allow_quoted_local=True)
    except (EmailNotValidError, ValueError):
        return None
    return checked.normalized.lower()


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
    """Return the registrable domain unless it belongs to everybody's mail provider."""
    domain = registrable_domain(text)
    return None if domain is None or domain in FREE_MAIL else domain


def domain_of_email(email: str) -> str | None:
    """Return the company's domain behind an address; None for free mail."""
    return company_domain(email.rpartition("@")[2])


@lru_cache(maxsize=4096)
def normalize_phone(text: str, region: str | None = None) -> str | None:
    """Return the number as E.164; a national number needs its country (alpha-2)."""
    try:
        number = phonenumbers.parse(clean_text(text)[:60], region)
    except phonenumbers.NumberParseException:
        return None
    if not phonenumbers.is_possible_number(number):
        return None
    return phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164)


@lru_cache(maxsize=8192)
def normalize_linkedin(text: str) -> str | None:
    """Return a profile's or company page's one address: `https://www.linkedin.com/in/name`."""
    url = clean_text(text)
    try:
        parts = urlsplit(url if "://" in url else f"https://{url}")
        host = (parts.hostname or "").lower()
    except ValueError:
        return None
    match = _LINKEDIN.match(parts.path)
    if match is None or (host != "linkedin.com" and not host.endswith(".linkedin.com")):
        return None
    kind = match[1].lower()
    name = clean_text(unquote(match[2])).casefold()
    return f"https://www.linkedin.com/{kind}/{name}" if name else None


@lru_cache(maxsize=8192)
def name_key(name: str) -> str:
    """Fold a person's name: no case, no accents, no punctuation, single spaces."""
    folded = unicodedata.normalize("NFKD", clean_text(name)).casefold()
    letters = "".join(c if c.isalnum() else " " for c in folded if not unicodedata.combining(c))
    return _SPACES.sub(" ", letters).strip()


def people_count(value: Scalar) -> int | None:
    """Return a company's size as a number: `51-200` is its middle, `10,001+` its bound."""
    if isinstance(value, bool | tuple):
        return None
    if isinstance(value, int | float):
        return int(value) if 1 <= value < 10**8 else None
    text = _THOUSANDS.sub("", clean_text(value)[:60].casefold())
    text = text.replace("employees", "").replace("people", "").strip()
    if match := _SIZE_RANGE.match(text):
        return _in_bounds((int(match[1]) + int(match[2])) // 2)
    if match := _SHORT_NUMBER.match(text):
        return _in_bounds(float(match[1]) * (1_000 if match[2] in "kK" else 1_000_000))
    digits = text.strip("+<>~ ").removesuffix(".0")
    return _in_bounds(int(digits)) if digits.isascii() and digits.isdigit() else None


def normalize(field: FieldName, value: Scalar) -> Scalar | None:
    """Return a field's value in its one form; None when there is nothing worth keeping."""
    form = _FORMS.get(field)
    if form is not None:
        return form(value)
    if isinstance(value, str):
        return clean_text(value) or None
    if isinstance(value, tuple):
        texts = tuple(dict.fromkeys(text for item in value if (text := clean_text(item))))
        return texts or None
    return value if value == value and abs(value) != float("inf") else None  # noqa: PLR0124 - NaN is what differs from itself


def _in_bounds(number: float) -> int | None:
    return int(number) if 1 <= number < 10**8 else None


def _host_of(text: str) -> str | None:
    try:
        host = urlsplit(text if "://" in text else f"//{text}").hostname or ""
        ascii_host = host if host.isascii() else ascii_domain(host.rstrip("."))
    except ValueError:
        return None
    host = ascii_host.rstrip(".")
    labels = host.split(".")
    if len(host) > MOST_DOMAIN_CHARS or not all(_LABEL.match(label) for label in labels):
        return None
    return None if labels[-1].isdigit() else host


def _text_form(value: Scalar) -> str:
    return value if isinstance(value, str) else str(value)


def _email_status(value: Scalar) -> str | None:
    text = _text_form(value).casefold()
    return text if text in set(EmailStatus) else None


def _country(value: Scalar) -> str | None:
    return _country_code(clean_text(_text_form(value))[:80])


@lru_cache(maxsize=1024)
def _country_code(text: str) -> str | None:
    return find_country(text) or _OWN_NAMES.get(name_key(text))


_FORMS = {
    FieldName.EMAIL: lambda value: normalize_email(_text_form(value)),
    FieldName.EMAIL_STATUS: _email_status,
    FieldName.PHONE: lambda value: (
        normalize_phone(_text_form(value)) or clean_text(_text_form(value)) or None
    ),
    FieldName.LINKEDIN_URL: lambda value: normalize_linkedin(_text_form(value)),
    FieldName.COMPANY_LINKEDIN_URL: lambda value: normalize_linkedin(_text_form(value)),
    FieldName.COMPANY_DOMAIN: lambda value: company_domain(_text_form(value)),
    FieldName.COUNTRY: _country,
    FieldName.COMPANY_COUNTRY: _country,
    FieldName.COMPANY_SIZE: people_count,
}


def normalize_tag(text: str) -> str:
    """Bring a tag into its one form: lower case, single spaces.

    Raises: Invalid when nothing is left of it, it is too long, or it has a control character or
    a comma (lists of tags are written with commas).
    """
    tag = " ".join(unicodedata.normalize("NFKC", text).casefold().split())
    tag = unicodedata.normalize("NFC", tag)
    if problem := _tag_problem(tag):
        raise Invalid.field(
            "tag", problem, detail=f"the tag {text[:60]!r} {problem}", code="leads.tag.invalid"
        )
    return tag


def _tag_problem(tag: str) -> str:
    if not tag:
        return "is empty: write a word"
    if len(tag) > MOST_TAG_CHARS:
        return f"is too long: write at most {MOST_TAG_CHARS} characters"
    if "," in tag or any(unicodedata.category(sign).startswith("C") for sign in tag):
        return "has a comma or a sign nobody can see: write words"
    return ""
