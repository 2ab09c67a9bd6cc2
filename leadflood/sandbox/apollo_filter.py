"""Apollo's people search: the documented filters; unknown names are ignored."""

from collections.abc import Iterable, Mapping
from typing import Any, Final

import msgspec

from leadflood.sandbox.population import Company, Person, Population
from leadflood.sandbox.word_lists import TITLES

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
    """A search, read and normalized; equal searches are equal values."""

    lists: tuple[tuple[str, tuple[str, ...]], ...]
    similar_titles: bool
    keywords: str
    revenue: tuple[int, int] | None


def read_filter(fields: Mapping[str, Any]) -> PeopleFilter:
    """Read the filters out of a request; unknown names are ignored, as Apollo does."""
    if "q_organization_domains" in fields and "q_organization_domains_list" in fields:
        raise BadFilterError
    lists = tuple((name, _words(fields[name])) for name in _LISTS if fields.get(name))
    if len(dict(lists).get("q_organization_domains_list", ())) > _MOST_DOMAINS:
        raise BadFilterError
    revenue = fields.get("revenue_range")
    return PeopleFilter(
        lists=lists,
        similar_titles=str(fields.get("include_similar_titles", True)).lower() != "false",
        keywords=str(fields.get("q_keywords") or "").lower(),
        revenue=_revenue(revenue) if isinstance(revenue, Mapping) else None,
    )


_MOST_DOMAINS: Final = 1_000


def _words(value: Any) -> tuple[str, ...]:
    if not isinstance(value, (list, tuple)):
        raise BadFilterError
    return tuple(str(word).strip().lower() for word in value)


def _revenue(fields: Mapping[str, Any]) -> tuple[int, int]:
    try:
        return int(fields.get("min") or 0), int(fields.get("max") or 1 << 62)
    except (TypeError, ValueError) as error:
        raise BadFilterError from error


class PeopleIndex:
    """Finds the people who pass a filter, in a stable order that mixes companies."""

    def __init__(self, population: Population) -> None:
        self._population = population
        count = len(population.people)
        step = next(step for step in range(7_919, 1 << 30, 2) if _is_coprime(step, count))
        self._order = [index * step % count for index in range(count)]

    def find(self, people_filter: PeopleFilter) -> list[tuple[int, bool]]:
        """List (person, whether it is the misspelled twin) for everyone who passes."""
        lists = dict(people_filter.lists)
        companies = self._companies(lists, people_filter.revenue)
        titles = _TitleTest(lists.get("person_titles", ()), similar=people_filter.similar_titles)
        seniorities = set(lists.get("person_seniorities", ()))
        places = _places(lists.get("person_locations", ()))
        statuses = set(lists.get("contact_email_status", ()))
        rows: list[tuple[int, bool]] = []
        for index in self._order:
            person = self._population.people[index]
            company = companies.get(person.company_index)
            if (
                company is None
                or not titles.passes(person.title.words)
                or (seniorities and person.title.seniority not in seniorities)
                or (places and not _is_in(places, person))
                or (statuses and email_status_of(person) not in statuses)
                or (
                    people_filter.keywords
                    and not _mentions(people_filter.keywords, person, company)
                )
            ):
                continue
            rows.append((index, False))
            if person.has_twin:
                rows.append((index, True))
        return rows

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

    def __init__(self, titles: Iterable[str], *, similar: bool) -> None:
        self._titles = tuple(titles)
        self._families = {_FAMILIES[title] for title in self._titles if title in _FAMILIES}
        self._similar = similar
        self._results: dict[str, bool] = {}

    def passes(self, title: str) -> bool:
        result = self._results.get(title)
        if result is None:
            result = self._results[title] = self._matches(title.lower())
        return result

    def _matches(self, title: str) -> bool:
        if not self._titles or title in self._titles:
            return True
        if not self._similar:
            return False
        words = set(title.split())
        return _FAMILIES.get(title) in self._families or any(
            set(title_filter.split()) <= words for title_filter in self._titles
        )


_ALIASES: Final = {
    "uk": "united kingdom",
    "great britain": "united kingdom",
    "us": "united states",
    "usa": "united states",
    "the netherlands": "netherlands",
}


def _places(names: Iterable[str]) -> set[str]:
    return {_ALIASES.get(name, name) for name in names}


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
    """Return Apollo's status of an address before it is bought."""
    return person.email_status if person.apollo_has_email else "unavailable"


def organization_id(company: Company) -> str:
    """Return Apollo's id of a company."""
    return f"5e66b6381e05b400{company.index:08x}"
