"""Finding people and learning more of one person."""

from collections.abc import Sequence
from typing import Protocol, runtime_checkable

import msgspec

from leadflood.contracts.facts import FoundPerson, FoundValue
from leadflood.contracts.values import FieldName, Micros


class PeopleQuery(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """Whom to look for. Empty lists ask for nothing in particular; sizes are (least, most).

    Countries are ISO alpha-2; titles and industries are free words.
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
    """One page; `next_cursor` None means it was the last. `total` None: not told."""

    people: tuple[FoundPerson, ...]
    next_cursor: str | None = None
    total: int | None = None
    refused: tuple[tuple[str, str], ...] = ()
    """Records that cannot be used: (provider id or position, reason)."""
    asked: str = ""
    cost_micros: Micros = 0
    ignored: tuple[str, ...] = ()
    """Parts of the query that this source cannot filter by: scoring has to."""


@runtime_checkable
class PeopleSource(Protocol):
    """Can search for people."""

    name: str

    async def find_people(self, query: PeopleQuery, cursor: str | None) -> PeoplePage:
        """Fetch one page; the cursor is opaque and of this provider."""


class PersonSubject(msgspec.Struct, frozen=True, kw_only=True):
    """What is known of a person when a provider is asked for more. Empty means not known."""

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


class PersonAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """What a provider knows; `found` False is a miss. `cached`: already paid for earlier."""

    found: bool
    values: tuple[FoundValue, ...] = ()
    provider_id: str | None = None
    cost_micros: Micros = 0
    cached: bool = False


@runtime_checkable
class PersonEnricher(Protocol):
    """Can tell more of one person."""

    name: str
    gives: frozenset[FieldName]

    def may_ask(self, subject: PersonSubject) -> bool:
        """Tell whether enough is known to ask."""

    async def enrich(self, subject: PersonSubject) -> PersonAnswer:
        """Ask for one person."""

    async def enrich_many(self, subjects: Sequence[PersonSubject]) -> Sequence[PersonAnswer]:
        """Ask for several in one call, answers in order; raises Unsupported where it cannot."""
