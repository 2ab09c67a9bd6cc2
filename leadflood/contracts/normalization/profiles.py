"""Profiles: the one address of a page of a person or a company."""

import re
from functools import lru_cache
from urllib.parse import parse_qs, unquote, urlsplit

import msgspec

from leadflood.contracts.normalization.text import clean_text

_ID = re.compile(r"^A(?:Co|Cw|EM)AA[\w-]+$", re.ASCII)
"""An id that LinkedIn gives a member, as it stands in exports and addresses: case matters."""
_LANGUAGE = re.compile(r"^[a-z]{2}(?:[-_][a-z]{2})?$", re.IGNORECASE)
_PLAIN_MEMBER = re.compile(
    r"(?:https?://)?(?:www\.)?linkedin\.com/in/([a-z0-9][a-z0-9-]*)/?", re.ASCII
)
"""Most addresses of people: taken without the whole reading (tested to agree with it)."""
_NUMBER = re.compile(r"^[0-9a-f]{1,4}$", re.IGNORECASE)
_COMPANY_KINDS = {
    "company": "company",
    "company-beta": "company",
    "school": "school",
    "edu": "school",
    "showcase": "showcase",
}
_SEAT_KINDS = frozenset(
    {("sales", "lead"), ("sales", "people"), ("talent", "profile"), ("recruiter", "profile")}
)
"""Pages of a member inside LinkedIn's paid products: they name the member's id."""


class LinkedInPage(msgspec.Struct, frozen=True):
    """A page on LinkedIn in its one address.

    `kind` says how it names whom it is of: two addresses of one person may be of two kinds.
    """

    url: str
    kind: str
    is_person: bool


@lru_cache(maxsize=8192)
def read_linkedin(text: str) -> LinkedInPage | None:
    """Return the page of a person or a company; None for anything else."""
    if plain := _PLAIN_MEMBER.fullmatch(text):
        return _page(f"in/{plain[1]}", "in", plain[1])
    return _read_address(clean_text(text))


def _read_address(url: str) -> LinkedInPage | None:
    try:
        parts = urlsplit(url if "://" in url else f"https://{url}")
        host = (parts.hostname or "").lower()
        query = parse_qs(parts.query)
    except ValueError:
        return None
    if host != "linkedin.com" and not host.endswith(".linkedin.com"):
        return None
    steps = [step for part in parts.path.split("/") if (step := clean_text(unquote(part)))]
    if len(steps) > 1 and (steps[0] == "mwlite" or _LANGUAGE.match(steps[0])) and steps[0] != "in":
        steps = steps[1:]
    return _read_path(steps, query)


def normalize_linkedin(text: str) -> str | None:
    """Return a person's profile in its one address: `https://www.linkedin.com/in/name`."""
    page = read_linkedin(text)
    return page.url if page is not None and page.is_person else None


def normalize_company_linkedin(text: str) -> str | None:
    """Return a company's page in its one address: `https://www.linkedin.com/company/name`."""
    page = read_linkedin(text)
    return None if page is None or page.is_person else page.url


def _read_path(steps: list[str], query: dict[str, list[str]]) -> LinkedInPage | None:
    kind, name, further = ([step.lower() for step in steps[:1]] + steps[1:] + ["", "", ""])[:3]
    page = name.lower()
    if kind in _COMPANY_KINDS:
        return _company(_COMPANY_KINDS[kind], name)
    match (kind, page):
        case ("sales", "company"):
            return _company("company", further)
        case ("in", _):
            return _member(name) if _ID.match(name) else _page(f"in/{name.casefold()}", "in", name)
        case ("pub", _) if page != "dir":
            return _public_page(name, steps[2:5])
        case _:
            return _read_member(kind, page, further, query)


def _read_member(
    kind: str, page: str, further: str, query: dict[str, list[str]]
) -> LinkedInPage | None:
    """Return a page that names a member by their id alone."""
    if (kind, page) == ("profile", "view"):
        return _member((query.get("id") or [""])[0])
    if (kind, page) not in _SEAT_KINDS:
        return None
    member = further.partition(",")[0]
    return _page(f"{kind}/{page}/{member}", "member", member)


def _company(kind: str, name: str) -> LinkedInPage | None:
    return _page(f"{kind}/{name.casefold()}", "company", name)


def _public_page(name: str, numbers: list[str]) -> LinkedInPage | None:
    """Return an old public profile: its numbers tell namesakes apart."""
    numbers = numbers if len(numbers) == 3 and all(map(_NUMBER.match, numbers)) else []  # noqa: PLR2004 - as LinkedIn wrote them
    return _page("/".join(["pub", name, *numbers]).casefold(), "pub", name)


def _member(member: str) -> LinkedInPage | None:
    return _page(f"in/{member}", "member", member)


def _page(path: str, kind: str, name: str) -> LinkedInPage | None:
    if not name:
        return None
    return LinkedInPage(f"https://www.linkedin.com/{path}", kind, kind != "company")
