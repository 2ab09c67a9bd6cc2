"""Who passes an Apollo people search: the documented filters, and nothing for unknown names."""

from collections.abc import Iterable, Mapping
from typing import Any, Final

import msgspec

from leadflood.sandbox.names import TITLES
from leadflood.sandbox.population import Company, Person, Population

_LISTS: Final = (
    "person_titles",
    "person_locations",
    "person_seniorities",
    "organization_locations",
    "q_organization_domains_list",
    "contact_email_status",
    "organization_ids",
    "organization_num_employees_ranges",
    "currently_using_all_of_technology_uids",
    "currently_using_any_of_technology_uids",
    "currently_not_using_any_of_technology_uids",
)
_FAMILIES: Final = {title.words.lower(): title.family for title in TITLES}


class BadFilterError(Exception):
    """A filter Apollo would answer with 422."""


class PeopleFilter(msgspec.Struct, frozen=True, kw_only=True):
    """A search, read and normalised; equal searches are equal values."""

    lists: tuple[tuple[str, tuple[str, ...]], ...]
    similar_titles: bool
    keywords: str
    revenue: tuple[int, int] | None


def read_filter(asked: Mapping[str, Any]) -> PeopleFilter:
    """Read the filters out of a request; unknown names are ignored, as Apollo does."""
    if "q_organization_domains" in asked and "q_organization_domains_list" in asked:
        raise BadFilterError
    lists = tuple((name, _words(asked[name])) for name in _LISTS if asked.get(name))
    if len(dict(lists).get("q_organization_domains_list", ())) > _MOST_DOMAINS:
        raise BadFilterError
    revenue = asked.get("revenue_range")
    return PeopleFilter(
        lists=lists,
        similar_titles=str(asked.get("include_similar_titles", True)).lower() != "false",
        keywords=str(asked.get("q_keywords") or "").lower(),
        revenue=_revenue(revenue) if isinstance(revenue, Mapping) else None,
    )


_MOST_DOMAINS: Final = 1_000


def _words(value: Any) -> tuple[str, ...]:
    if not isinstance(value, (list, tuple)):
        raise BadFilterError
    return tuple(str(word).strip().lower() for word in value)


def _revenue(asked: Mapping[str, Any]) -> tuple[int, int]:
    try:
        return int(asked.get("min") or 0), int(asked.get("max") or 1 << 62)
    except (TypeError, ValueError) as error:
        raise BadFilterError from error


class PeopleIndex:
    """Finds who passes a filter, in a stable order that mixes companies."""

    def __init__(self, population: Population) -> None:
        self._population = population
        count = len(population.people)
        step = next(step for step in range(7_919, 1 << 30, 2) if _is_coprime(step, count))
        self._order = [index * step % count for index in range(count)]

    def find(self, wanted: PeopleFilter) -> list[tuple[int, bool]]:
        """List (person, is the misspelt twin) for everyone who passes."""
        lists = dict(wanted.lists)
        companies = self._companies(lists, wanted.revenue)
        titles = _TitleTest(lists.get("person_titles", ()), similar=wanted.similar_titles)
        seniorities = set(lists.get("person_seniorities", ()))
        places = _places(lists.get("person_locations", ()))
        statuses = set(lists.get("contact_email_status", ()))
        found: list[tuple[int, bool]] = []
        for index in self._order:
            person = self._population.people[index]
            company = companies.get(person.company_index)
            if (
                company is None
                or not titles.passes(person.title.words)
                or (seniorities and person.title.seniority not in seniorities)
                or (places and not _is_in(places, person))
                or (statuses and email_status_of(person) not in statuses)
                or (wanted.keywords and not _mentions(wanted.keywords, person, company))
            ):
                continue
            found.append((index, False))
            if person.has_twin:
                found.append((index, True))
        return found

    def _companies(
        self, lists: Mapping[str, tuple[str, ...]], revenue: tuple[int, int] | None
    ) -> dict[int, Company]:
        test = _CompanyTest(lists, revenue)
        return {c.index: c for c in self._population.companies if test.passes(c)}


class _CompanyTest:
    def __init__(
        self, lists: Mapping[str, tuple[str, ...]], revenue: tuple[int, int] | None
    ) -> None:
        self._sizes = tuple(
            _size_range(text) for text in lists.get("organization_num_employees_ranges", ())
        )
        self._revenue = revenue
        self._places = _places(lists.get("organization_locations", ()))
        self._domains = set(lists.get("q_organization_domains_list", ()))
        self._ids = set(lists.get("organization_ids", ()))
        self._all = set(lists.get("currently_using_all_of_technology_uids", ()))
        self._any = set(lists.get("currently_using_any_of_technology_uids", ()))
        self._none = set(lists.get("currently_not_using_any_of_technology_uids", ()))

    def passes(self, company: Company) -> bool:
        size, uids = company.employee_count, {tech.uid for tech in company.technologies}
        return (
            (not self._sizes or any(least <= size <= most for least, most in self._sizes))
            and (not self._revenue or self._revenue[0] <= company.revenue <= self._revenue[1])
            and (not self._places or _is_in(self._places, company))
            and (not self._domains or company.domain in self._domains)
            and (not self._ids or organization_id(company) in self._ids)
            and self._all <= uids
            and (not self._any or not self._any.isdisjoint(uids))
            and self._none.isdisjoint(uids)
        )


class _TitleTest:
    """Titles are OR-ed; similar ones pass too unless the search is strict."""

    def __init__(self, asked: Iterable[str], *, similar: bool) -> None:
        self._asked = tuple(asked)
        self._families = {_FAMILIES[title] for title in self._asked if title in _FAMILIES}
        self._similar = similar
        self._known: dict[str, bool] = {}

    def passes(self, title: str) -> bool:
        known = self._known.get(title)
        if known is None:
            known = self._known[title] = self._judge(title.lower())
        return known

    def _judge(self, title: str) -> bool:
        if not self._asked or title in self._asked:
            return True
        if not self._similar:
            return False
        words = set(title.split())
        return _FAMILIES.get(title) in self._families or any(
            set(asked.split()) <= words for asked in self._asked
        )


_ALIASES: Final = {
    "uk": "united kingdom",
    "great britain": "united kingdom",
    "us": "united states",
    "usa": "united states",
    "the netherlands": "netherlands",
}


def _places(asked: Iterable[str]) -> set[str]:
    return {_ALIASES.get(place, place) for place in asked}


def _is_in(places: set[str], thing: Person | Company) -> bool:
    return (
        thing.country.name.lower() in places
        or thing.city.lower() in places
        or thing.state.lower() in places
        or f"{thing.city}, {thing.country.name}".lower() in places
        or f"{thing.city}, {thing.state}".lower() in places
    )


def _mentions(keywords: str, person: Person, company: Company) -> bool:
    text = f"{person.name} {person.title.words} {company.name} {company.industry}".lower()
    return all(word in text for word in keywords.split())


def _size_range(text: str) -> tuple[int, int]:
    least, _, most = text.partition(",")
    try:
        return int(least), int(most or 1 << 31)
    except ValueError as error:
        raise BadFilterError from error


def _is_coprime(step: int, count: int) -> bool:
    while count:
        step, count = count, step % count
    return step == 1


def email_status_of(person: Person) -> str:
    """Tell what Apollo says of somebody's address before it is bought."""
    return person.email_status if person.apollo_has_email else "unavailable"


def organization_id(company: Company) -> str:
    """Apollo's name for a company."""
    return f"5e66b6381e05b400{company.index:08x}"
