"""Population: companies and people, each a pure function of seed and number.

Shapes: company `c` employs the people `c * STAFF_COUNT … + STAFF_COUNT - 1` that providers know.
"""

import struct
import unicodedata
from functools import cache
from hashlib import blake2b
from itertools import chain, repeat
from typing import Final, TypeVar

import msgspec

from leadflood.sandbox import word_lists
from leadflood.sandbox.word_lists import Country, Industry, Technology, Title

STAFF_COUNT: Final = 8
_UNPACK: Final = struct.Struct("<32H").unpack
_ONE: Final = 1 << 16
_Thing = TypeVar("_Thing")


class Company(msgspec.Struct, frozen=True, gc=False):
    """An employer.

    Attributes:
        index: Its number.
        name: Its name, unique.
        domain: The domain of its site and mail.
        slug: The last part of its LinkedIn page.
        industry: The word providers use.
        employee_count: How many people work there.
        founded_year: When it was founded.
        country: Where it is.
        city: Where it is.
        state: Where it is.
        technologies: Products it uses.
        is_catch_all: Whether its mail server accepts any address.
        phone: Its switchboard.
        revenue: A year's revenue, in dollars.
    """

    index: int
    name: str
    domain: str
    slug: str
    industry: str
    employee_count: int
    founded_year: int
    country: Country
    city: str
    state: str
    technologies: tuple[Technology, ...]
    is_catch_all: bool
    phone: str
    revenue: int


class Person(msgspec.Struct, frozen=True, gc=False):
    """A person as they really are, and what each provider happens to know of them.

    Attributes:
        index: Their number.
        first_name: As they write it.
        last_name: As they write it.
        title: Their job.
        old_title: The job before.
        country: Where they live.
        city: Where they live.
        state: Where they live.
        company_index: Their employer.
        old_company_index: The employer before.
        email: The address at work; empty where there is none.
        personal_email: The private address; empty where there is none.
        email_status: Apollo's word for the address at work.
        linkedin_slug: The last part of their LinkedIn page; empty where there is none.
        mobile: The mobile number; empty where there is none.
        has_twin: Whether Apollo lists them twice, once misspelled.
        is_contradicted: Whether Hunter and PDL have an older job on file.
        is_misspelled: Whether PDL misspells the last name.
        is_claimed: Whether they asked Hunter to be left alone.
        apollo_knows: Whether Apollo has a record.
        apollo_has_email: Whether that record has an address.
        hunter_knows: Whether Hunter has a record.
        pdl_knows: Whether PDL has a record.
        pdl_has_email: Whether that record has an address.
    """

    index: int
    first_name: str
    last_name: str
    title: Title
    old_title: Title
    country: Country
    city: str
    state: str
    company_index: int
    old_company_index: int
    email: str
    personal_email: str
    email_status: str
    linkedin_slug: str
    mobile: str
    has_twin: bool
    is_contradicted: bool
    is_misspelled: bool
    is_claimed: bool
    apollo_knows: bool
    apollo_has_email: bool
    hunter_knows: bool
    pdl_knows: bool
    pdl_has_email: bool

    @property
    def name(self) -> str:
        """First and last name."""
        return f"{self.first_name} {self.last_name}"


class SeededRandom:
    """Seeded randomness: depends on the seed, a kind and an index only; at most 32 draws."""

    __slots__ = ("_next", "_numbers")

    def __init__(self, seed: int, kind: str, index: int) -> None:
        digest = blake2b(f"{seed}:{kind}:{index}".encode(), digest_size=64).digest()
        self._numbers: tuple[int, ...] = _UNPACK(digest)
        self._next = 0

    def below(self, limit: int) -> int:
        """Draw a whole number from 0 to limit - 1."""
        number = self._numbers[self._next]
        self._next += 1
        return number * limit >> 16

    def pick(self, things: tuple[_Thing, ...]) -> _Thing:
        """Draw one of several items."""
        return things[self.below(len(things))]

    def chance(self, ratio: float) -> bool:
        """Draw a yes, which comes up in `ratio` of all draws."""
        return self.below(_ONE) < ratio * _ONE


def _spread(weighted: tuple[tuple[_Thing, int], ...]) -> tuple[_Thing, ...]:
    return tuple(chain.from_iterable(repeat(thing, weight) for thing, weight in weighted))


_TITLES: Final[tuple[Title, ...]] = _spread(tuple((t, t.weight) for t in word_lists.TITLES))
_INDUSTRIES: Final[tuple[Industry, ...]] = _spread(
    tuple((i, i.weight) for i in word_lists.INDUSTRIES)
)
_TECHNOLOGIES: Final[tuple[Technology, ...]] = _spread(
    tuple((t, t.weight) for t in word_lists.TECHNOLOGIES)
)
_SIZES: Final = _spread((((5, 50), 15), ((50, 200), 33), ((200, 1000), 38), ((1000, 9000), 14)))
_DOUBTFUL: Final = ("unverified", "likely to engage", "extrapolated")
_STEMS: Final = len(word_lists.NAME_PREFIXES) * len(word_lists.NAME_ENDINGS)


@cache
def fold(text: str) -> str:
    """Return a name in plain lower-case ASCII, as addresses are made of it."""
    text = text.lower().replace("ß", "ss").replace("ł", "l").replace("ø", "o").replace("æ", "ae")
    return unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode()


def misspell(word: str) -> str:
    """Swap two letters, as a careless source does."""
    middle = len(word) // 2
    return word[: middle - 1] + word[middle] + word[middle - 1] + word[middle + 1 :]


class Population:
    """All companies and people. 25,000 people take a fraction of a second, and are repeatable."""

    def __init__(self, seed: int, people_count: int) -> None:
        self.seed = seed
        self.companies = [
            self._make_company(index)
            for index in range((people_count + STAFF_COUNT - 1) // STAFF_COUNT)
        ]
        self.people: list[Person] = []
        for index in range(people_count):
            self.people.append(self._make_person(index))
        self._by_domain = {company.domain: company for company in self.companies}
        self._by_name = {company.name.lower(): company for company in self.companies}

    def company_of(self, person: Person) -> Company:
        """Return the employer of a person."""
        return self.companies[person.company_index]

    def find_company(self, *, domain: str = "", name: str = "") -> Company | None:
        """Find a company by its domain, else by its name."""
        company = self._by_domain.get(domain.lower().removeprefix("www.")) if domain else None
        return company or (self._by_name.get(name.lower()) if name else None)

    def staff_of(self, company: Company) -> list[Person]:
        """List the people of a company."""
        start = company.index * STAFF_COUNT
        return self.people[start : start + STAFF_COUNT]

    def find_by_email(self, email: str) -> Person | None:
        """Find a person by address, work or private."""
        local, _, domain = email.lower().partition("@")
        if domain == word_lists.FREE_MAIL_DOMAIN:
            return self._find_by_suffix(local.rpartition(".")[2], email.lower())
        company = self._by_domain.get(domain)
        staff = self.staff_of(company) if company else []
        return next((person for person in staff if person.email == email.lower()), None)

    def find_by_profile(self, url: str) -> Person | None:
        """Find a person by LinkedIn page."""
        slug = url.rstrip("/").rpartition("/")[2].lower()
        return self._find_by_suffix(slug.rpartition("-")[2], slug)

    def find_by_mobile(self, number: str) -> Person | None:
        """Find a person by mobile number; a made-up number ends with its owner's index."""
        tail = number.strip()[-6:]
        index = int(tail) if tail.isdecimal() else -1
        numbered = range(index, len(self.people), 1_000_000) if index >= 0 else ()
        return next((self.people[i] for i in numbered if self.people[i].mobile == number), None)

    def find_by_name(self, full_name: str, company: Company | None) -> Person | None:
        """Find a person by name at a company; accents and case do not matter."""
        if company is None:
            return None
        name = fold(full_name)
        staff = self.staff_of(company)
        return next((person for person in staff if fold(person.name) == name), None)

    def _find_by_suffix(self, suffix: str, key: str) -> Person | None:
        try:
            person = self.people[int(suffix, 16)]
        except (ValueError, IndexError):
            return None
        return person if key in {person.linkedin_slug, person.personal_email} else None

    def _make_company(self, index: int) -> Company:
        dice = SeededRandom(self.seed, "company", index)
        industry = dice.pick(_INDUSTRIES)
        variant, stem = divmod(index, _STEMS)
        stem = (stem * 1009 + self.seed * 31) % _STEMS
        ending, prefix = divmod(stem, len(word_lists.NAME_PREFIXES))
        word = industry.name_words[variant % len(industry.name_words)]
        name = f"{word_lists.NAME_PREFIXES[prefix]}{word_lists.NAME_ENDINGS[ending]} {word}"
        slug = name.lower().replace(" ", "-")
        country = dice.pick(word_lists.COUNTRIES)
        city, state = dice.pick(country.cities)
        least, most = dice.pick(_SIZES)
        employee_count = least + dice.below(most - least)
        technologies = {tech.uid: tech for tech in (dice.pick(_TECHNOLOGIES) for _ in range(4))}
        return Company(
            index=index,
            name=name,
            domain=f"{slug}.example",
            slug=slug,
            industry=industry.word,
            employee_count=employee_count,
            founded_year=1950 + dice.below(74),
            country=country,
            city=city,
            state=state,
            technologies=tuple(technologies.values()),
            is_catch_all=dice.chance(0.08),
            phone=f"{country.mobile_prefix}{9000 + dice.below(1000)}{dice.below(100):02d}",
            revenue=employee_count * (90_000 + 1_000 * dice.below(160)),
        )

    def _make_person(self, index: int) -> Person:
        dice = SeededRandom(self.seed, "person", index)
        company = self.companies[index // STAFF_COUNT]
        country = company.country if dice.chance(0.94) else dice.pick(word_lists.COUNTRIES)
        first_name, last_name = dice.pick(country.first_names), dice.pick(country.last_names)
        city, state = dice.pick(country.cities)
        local = f"{fold(first_name)}.{fold(last_name)}"
        has_work_email, has_personal = dice.chance(0.9), dice.chance(0.3)
        apollo_has_email = has_work_email and dice.chance(0.76)
        return Person(
            index=index,
            first_name=first_name,
            last_name=last_name,
            title=dice.pick(_TITLES),
            old_title=dice.pick(_TITLES),
            country=country,
            city=city,
            state=state,
            company_index=company.index,
            old_company_index=dice.below(len(self.companies)),
            email=self._free_address(local, index, company) if has_work_email else "",
            personal_email=f"{local}.{index:x}@{word_lists.FREE_MAIL_DOMAIN}"
            if has_personal
            else "",
            email_status="verified" if dice.chance(0.84) else dice.pick(_DOUBTFUL),
            linkedin_slug=f"{local.replace('.', '-')}-{index:x}" if dice.chance(0.82) else "",
            mobile=f"{country.mobile_prefix}{index % 1_000_000:06d}" if dice.chance(0.55) else "",
            has_twin=dice.chance(0.02),
            is_contradicted=dice.chance(0.06),
            is_misspelled=dice.chance(0.03),
            is_claimed=dice.chance(0.004),
            apollo_knows=dice.chance(0.97),
            apollo_has_email=apollo_has_email,
            hunter_knows=has_work_email and dice.chance(0.72),
            pdl_knows=dice.chance(0.74),
            pdl_has_email=has_work_email and dice.chance(0.6),
        )

    def _free_address(self, local: str, index: int, company: Company) -> str:
        address = f"{local}@{company.domain}"
        taken = any(person.email == address for person in self.staff_of(company))
        return f"{local}{index % STAFF_COUNT}@{company.domain}" if taken else address
