"""People: search, and enrichment of one person."""

from collections.abc import Sequence
from typing import Protocol, runtime_checkable

import msgspec

from leadflood.contracts.found_values import FoundPerson, FoundValue
from leadflood.contracts.values import FieldName, Micros


class PeopleQuery(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """Whom to look for; an empty filter excludes nobody.

    Attributes:
        titles: Job titles, free words.
        countries: ISO 3166-1 alpha-2.
        industries: Free words.
        technologies: Products that the company uses.
        company_sizes: Numbers of people, as (least, most).
        company_domains: Domains of companies.
        keywords: Further words.
        page_size: The most people on a page.
    """

    titles: tuple[str, ...] = ()
    countries: tuple[str, ...] = ()
    industries: tuple[str, ...] = ()
    technologies: tuple[str, ...] = ()
    company_sizes: tuple[tuple[int, int], ...] = ()
    company_domains: tuple[str, ...] = ()
    keywords: str = ""
    page_size: int = 100


class PeoplePage(msgspec.Struct, frozen=True, kw_only=True):
    """One page of people.

    Attributes:
        people: The people on it.
        next_cursor: Where the next page begins; None on the last.
        total: How many people there are; None where the source does not say.
        refused: Records that cannot be used: (provider id or position, reason).
        asked: The query as it was sent.
        cost_micros: What the page cost.
        ignored: Parts of the query that this source cannot filter by: scoring has to.
        unreadable: Why a page that was answered could not be read; None: it could.
    """

    people: tuple[FoundPerson, ...]
    next_cursor: str | None = None
    total: int | None = None
    refused: tuple[tuple[str, str], ...] = ()
    asked: str = ""
    cost_micros: Micros = 0
    ignored: tuple[str, ...] = ()
    unreadable: str | None = None


@runtime_checkable
class PeopleSource(Protocol):
    """Searches for people."""

    name: str

    async def find_people(self, query: PeopleQuery, cursor: str | None) -> PeoplePage:
        """Return one page; the cursor is opaque and belongs to this provider."""

    def cursor_behind(self, cursor: str | None, /) -> str | None:
        """Return the next page's cursor without this page's answer; None where only that has it."""


class PersonSubject(msgspec.Struct, frozen=True, kw_only=True):
    """A person to enrich; an empty field is not known.

    Attributes:
        subject_id: Our id, opaque to the provider.
        provider_ids: Ids of the person at providers, by provider.
        first_name: First name.
        last_name: Last name.
        full_name: The whole name.
        company_name: The employer.
        company_domain: The employer's domain.
        email: An address.
        linkedin_url: A profile.
        phone: A phone number.
        decided: What a person has decided of who this is; what was answered before they did so
            is about somebody else.
    """

    subject_id: str
    provider_ids: dict[str, str] = {}
    first_name: str = ""
    last_name: str = ""
    full_name: str = ""
    company_name: str = ""
    company_domain: str = ""
    email: str = ""
    linkedin_url: str = ""
    phone: str = ""
    decided: tuple[str, ...] = ()


class PersonAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """A provider's record of a person.

    Attributes:
        found: Whether it knows the person; False is a miss.
        values: What it knows.
        provider_id: Its id of the person, if it gives one.
        cost_micros: What the answer cost.
        cached: Whether it was paid for earlier.
    """

    found: bool
    values: tuple[FoundValue, ...] = ()
    provider_id: str | None = None
    cost_micros: Micros = 0
    cached: bool = False


@runtime_checkable
class PersonEnricher(Protocol):
    """Enriches one person."""

    name: str
    gives: frozenset[FieldName]

    def may_ask(self, subject: PersonSubject) -> bool:
        """Whether enough is known to ask."""

    def is_certain(self, subject: PersonSubject) -> bool:
        """Whether it asks by what one person alone has: an id, an address, a profile."""

    async def enrich(self, subject: PersonSubject) -> PersonAnswer:
        """Return what is known of one person."""

    async def enrich_many(self, subjects: Sequence[PersonSubject]) -> Sequence[PersonAnswer]:
        """Return the answers for several people, in order, by one call.

        Raises: Unsupported where the provider has no bulk call.
        """
