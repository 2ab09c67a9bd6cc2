"""Who lives in the pretend world: companies and people, each a pure function of seed and number.

Shapes: company `c` employs the people `c * STAFF_COUNT … + STAFF_COUNT - 1` that providers know.
"""

import struct
import unicodedata
from functools import cache
from hashlib import blake2b
from itertools import chain, repeat
from typing import Final, TypeVar

import msgspec

from leadflood.sandbox import names
from leadflood.sandbox.names import Country, Industry, Technology, Title

STAFF_COUNT: Final = 8
_UNPACK: Final = struct.Struct("<32H").unpack
_ONE: Final = 1 << 16
_Thing = TypeVar("_Thing")


class Company(msgspec.Struct, frozen=True, gc=False):
    """An employer. `is_catch_all`: its mail server takes any address."""

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
    """Somebody as they really are, and what each provider happens to know of them.

    `email` is empty where nobody has one. `has_twin`: listed twice at Apollo, once misspelt.
    `is_contradicted`: Hunter and PDL have an older job on file.
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
    is_misspelt: bool
    is_claimed: bool
    apollo_knows: bool
    apollo_has_email: bool
    hunter_knows: bool
    pdl_knows: bool
    pdl_has_email: bool

    @property
    def name(self) -> str:
        """Both names."""
        return f"{self.first_name} {self.last_name}"


class Dice:
    """Numbers that depend on the seed, a kind and an index only; at most 32 throws."""

    __slots__ = ("_next", "_numbers")

    def __init__(self, seed: int, kind: str, index: int) -> None:
        digest = blake2b(f"{seed}:{kind}:{index}".encode(), digest_size=64).digest()
        self._numbers: tuple[int, ...] = _UNPACK(digest)
        self._next = 0

    def below(self, limit: int) -> int:
        """Throw a whole number from 0 to limit - 1."""
        number = self._numbers[self._next]
        self._next += 1
        return number * limit >> 16

    def pick(self, things: tuple[_Thing, ...]) -> _Thing:
        """Throw for one of several things."""
        return things[self.below(len(things))]

    def chance(self, ratio: float) -> bool:
        """Throw for yes, which comes up in `ratio` of all throws."""
        return self.below(_ONE) < ratio * _ONE


def _spread(weighted: tuple[tuple[_Thing, int], ...]) -> tuple[_Thing, ...]:
    return tuple(chain.from_iterable(repeat(thing, weight) for thing, weight in weighted))


_TITLES: Final[tuple[Title, ...]] = _spread(tuple((t, t.weight) for t in names.TITLES))
_INDUSTRIES: Final[tuple[Industry, ...]] = _spread(tuple((i, i.weight) for i in names.INDUSTRIES))
_TECHNOLOGIES: Final[tuple[Technology, ...]] = _spread(
    tuple((t, t.weight) for t in names.TECHNOLOGIES)
)
_SIZES: Final = _spread((((5, 50), 15), ((50, 200), 33), ((200, 1000), 38), ((1000, 9000), 14)))
_DOUBTFUL: Final = ("unverified", "likely to engage", "extrapolated")
_STEMS: Final = len(names.NAME_PREFIXES) * len(names.NAME_ENDINGS)


@cache
def fold(text: str) -> str:
    """Write a name in plain lower-case ASCII, as addresses are made of it."""
    text = text.lower().replace("ß", "ss").replace("ł", "l").replace("ø", "o").replace("æ", "ae")
    return unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode()


def misspell(word: str) -> str:
    """Swap two letters, as a careless source does."""
    middle = len(word) // 2
    return word[: middle - 1] + word[middle] + word[middle - 1] + word[middle + 1 :]


class Population:
    """Everybody. Making 25,000 takes a fraction of a second, and is repeatable."""

    def __init__(self, seed: int, people_count: int) -> None:
        self.seed = seed
        self.companies = [
            self._found_company(index)
            for index in range((people_count + STAFF_COUNT - 1) // STAFF_COUNT)
        ]
        self.people: list[Person] = []
        for index in range(people_count):
            self.people.append(self._bear_person(index))
        self._by_domain = {company.domain: company for company in self.companies}
        self._by_name = {company.name.lower(): company for company in self.companies}

    def company_of(self, person: Person) -> Company:
        """Tell where somebody works."""
        return self.companies[person.company_index]

    def find_company(self, *, domain: str = "", name: str = "") -> Company | None:
        """Find a company by its domain, else by its name."""
        found = self._by_domain.get(domain.lower().removeprefix("www.")) if domain else None
        return found or (self._by_name.get(name.lower()) if name else None)

    def staff_of(self, company: Company) -> list[Person]:
        """List who works there."""
        start = company.index * STAFF_COUNT
        return self.people[start : start + STAFF_COUNT]

    def find_by_email(self, email: str) -> Person | None:
        """Find whose address it is, work or private."""
        local, _, domain = email.lower().partition("@")
        if domain == names.FREE_MAIL_DOMAIN:
            return self._find_by_suffix(local.rpartition(".")[2], email.lower())
        company = self._by_domain.get(domain)
        staff = self.staff_of(company) if company else []
        return next((person for person in staff if person.email == email.lower()), None)

    def find_by_profile(self, url: str) -> Person | None:
        """Find whose LinkedIn page it is."""
        slug = url.rstrip("/").rpartition("/")[2].lower()
        return self._find_by_suffix(slug.rpartition("-")[2], slug)

    def find_by_mobile(self, number: str) -> Person | None:
        """Find whose mobile it is; a made-up number ends with its owner's index."""
        tail = number.strip()[-6:]
        index = int(tail) if tail.isdecimal() else -1
        numbered = range(index, len(self.people), 1_000_000) if index >= 0 else ()
        return next((self.people[i] for i in numbered if self.people[i].mobile == number), None)

    def find_by_name(self, full_name: str, company: Company | None) -> Person | None:
        """Find somebody by name at a company; accents and case do not matter."""
        if company is None:
            return None
        wanted = fold(full_name)
        staff = self.staff_of(company)
        return next((person for person in staff if fold(person.name) == wanted), None)

    def _find_by_suffix(self, suffix: str, key: str) -> Person | None:
        try:
            person = self.people[int(suffix, 16)]
        except (ValueError, IndexError):
            return None
        return person if key in {person.linkedin_slug, person.personal_email} else None

    def _found_company(self, index: int) -> Company:
        dice = Dice(self.seed, "company", index)
        industry = dice.pick(_INDUSTRIES)
        variant, stem = divmod(index, _STEMS)
        stem = (stem * 1009 + self.seed * 31) % _STEMS
        ending, prefix = divmod(stem, len(names.NAME_PREFIXES))
        word = industry.name_words[variant % len(industry.name_words)]
        name = f"{names.NAME_PREFIXES[prefix]}{names.NAME_ENDINGS[ending]} {word}"
        slug = name.lower().replace(" ", "-")
        country = dice.pick(names.COUNTRIES)
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

    def _bear_person(self, index: int) -> Person:
        dice = Dice(self.seed, "person", index)
        company = self.companies[index // STAFF_COUNT]
        country = company.country if dice.chance(0.94) else dice.pick(names.COUNTRIES)
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
            personal_email=f"{local}.{index:x}@{names.FREE_MAIL_DOMAIN}" if has_personal else "",
            email_status="verified" if dice.chance(0.84) else dice.pick(_DOUBTFUL),
            linkedin_slug=f"{local.replace('.', '-')}-{index:x}" if dice.chance(0.82) else "",
            mobile=f"{country.mobile_prefix}{index % 1_000_000:06d}" if dice.chance(0.55) else "",
            has_twin=dice.chance(0.02),
            is_contradicted=dice.chance(0.06),
            is_misspelt=dice.chance(0.03),
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
