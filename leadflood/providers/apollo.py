"""Apollo.io: people search (free) and people enrichment (a credit a match).

Plan: any paid plan (limits below); a key scoped to api_search, match, bulk_match and usage.
Docs: https://docs.apollo.io/reference (OpenAPI `apollo-rest-api` v1.0), read 2026-08-13.

The search gives no surname, e-mail, domain or profile: the id it gives is what `enrich` asks by.
It knows no industry filter, so industries are left to scoring and named in `PeoplePage.ignored`.
"""

from collections.abc import Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any

import msgspec

from leadflood.contracts.errors import ProviderKeyRefused, ProviderUnfunded
from leadflood.contracts.evidence import Evidence, domain_of, likely_email, miss, web_url
from leadflood.contracts.found_values import FoundPerson
from leadflood.contracts.normalization.countries import country_name, find_country
from leadflood.contracts.ports.account import AccountReader, CreditUsage
from leadflood.contracts.ports.people import (
    PeoplePage,
    PeopleQuery,
    PeopleSource,
    PersonAnswer,
    PersonEnricher,
    PersonSubject,
)
from leadflood.contracts.provider_client import (
    ProviderClient,
    ProviderEndpoint,
    Question,
    ask_of_person,
    body_question,
    canonical,
    person_name,
    share_cost,
)
from leadflood.contracts.provider_spec import CURRENCY, ProviderSettings, ProviderSpec
from leadflood.contracts.text_cleaning import single_line
from leadflood.contracts.values import EmailStatus, FieldName
from leadflood.contracts.vendor_http import UNFUNDED_SECONDS, Failure, Vendor, refused
from leadflood.engine.clock import Clock
from leadflood.engine.errors import Invalid, LeadfloodError
from leadflood.engine.net.calls import (
    BulkCallItem,
    BulkReply,
    Gate,
    Http,
    HttpReply,
    LimitHint,
    Reply,
    Window,
)

SPEC = ProviderSpec(
    name="apollo",
    implements={
        PeopleSource: "people.search",
        PersonEnricher: "people.match",
        AccountReader: "account.usage",
    },
    base_url="https://api.apollo.io/api/v1",
    docs_url="https://docs.apollo.io/reference",
    read_on="2026-08-13",
    plan="paid (Basic and up)",
    credits={
        "people.search": Decimal(0),
        "people.match": Decimal(1),
        "people.bulk_match": Decimal(10),
        "account.health": Decimal(0),
        "account.usage": Decimal(0),
    },
    limits={
        "search": (Window(200, 60), Window(6_000, 3_600), Window(50_000, 86_400)),
        "enrichment": (Window(1_000, 60),),
        "bulk_enrichment": (Window(1_000, 60),),
        "account": (Window(200, 60), Window(400, 3_600), Window(2_000, 86_400)),
    },
    terms="https://www.apollo.io/terms: own use, no resale; personal e-mails never in GDPR regions",
)

_MOST_PAGES = 500
_MOST_PER_PAGE = 100
_COUNTRY_OWNERS = ("person", "organization")
_MOST_DOMAINS = 1_000
_MOST_IN_BULK = 10
_NO_EMAIL = "email_not_unlocked@"

_EMAIL_WORDS: dict[str, tuple[EmailStatus, float]] = {
    "verified": (EmailStatus.VALID, 0.95),
    "likely to engage": (EmailStatus.UNKNOWN, 0.7),
    "unverified": (EmailStatus.UNKNOWN, 0.5),
    "extrapolated": (EmailStatus.UNKNOWN, 0.4),
}
_OTHER_EMAIL_WORD = (EmailStatus.UNKNOWN, 0.4)

_WINDOWS: tuple[tuple[float, tuple[str, ...], tuple[str, ...]], ...] = (
    (60, ("x-rate-limit-minute",), ("x-minute-requests-left",)),
    (3_600, ("x-rate-limit-hourly",), ("x-hourly-requests-left",)),
    (
        86_400,
        ("x-rate-limit-24-hour", "x-rate-limit-daily"),
        ("x-24-hour-requests-left", "x-daily-requests-left"),
    ),
)

_CURRENCY = "USD"
"""Apollo states revenue in dollars."""
_SEARCH = ProviderEndpoint("people.search", "search", "POST", "/mixed_people/api_search")
# Single and bulk calls share operation and question, so that they share their answers.
_MATCH = ProviderEndpoint("people.match", "enrichment", "POST", "/people/match", is_kept=True)
_BULK_MATCH = ProviderEndpoint(
    "people.match", "bulk_enrichment", "POST", "/people/bulk_match", is_kept=True
)
_HEALTH = ProviderEndpoint("account.health", "account", "GET", "/auth/health")
_USAGE = ProviderEndpoint("account.usage", "account", "POST", "/usage_stats/credit_usage_stats")


class _Company(msgspec.Struct):
    name: str | None = None
    website_url: str | None = None
    primary_domain: str | None = None
    linkedin_url: str | None = None
    industry: str | None = None
    estimated_num_employees: float | None = None
    annual_revenue: float | None = None
    founded_year: int | None = None
    country: str | None = None
    technology_names: list[str] | None = None


class _SearchRow(msgspec.Struct):
    id: str | None = None
    first_name: str | None = None
    title: str | None = None
    organization: _Company | None = None


class _Page(msgspec.Struct):
    people: list[msgspec.Raw]
    total_entries: int | None = None


class _Job(msgspec.Struct):
    organization_name: str | None = None
    title: str | None = None
    current: bool | None = None


class _Phone(msgspec.Struct):
    sanitized_number: str | None = None


class _Contact(msgspec.Struct):
    phone_numbers: list[_Phone] | None = None


class _Person(msgspec.Struct):
    id: str | None = None
    first_name: str | None = None
    last_name: str | None = None
    name: str | None = None
    linkedin_url: str | None = None
    title: str | None = None
    email: str | None = None
    email_status: str | None = None
    city: str | None = None
    country: str | None = None
    seniority: str | None = None
    departments: list[str] | None = None
    employment_history: list[_Job] | None = None
    organization: _Company | None = None
    contact: _Contact | None = None


class _Match(msgspec.Struct):
    person: _Person | None


class _Matches(msgspec.Struct):
    matches: list[msgspec.Raw]
    credits_consumed: Decimal | None = None


class _Params(msgspec.Struct, omit_defaults=True):
    """A question. The id says it all; without one everything we have goes along."""

    id: str = ""
    email: str = ""
    linkedin_url: str = ""
    name: str = ""
    first_name: str = ""
    last_name: str = ""
    organization_name: str = ""
    domain: str = ""


class _FaultDetails(msgspec.Struct):
    code: str | None = None


class _Fault(msgspec.Struct):
    error_details: _FaultDetails | None = None


class _Pool(msgspec.Struct):
    consumed: Decimal | None = None
    left_over: Decimal | None = None


class _Cycle(msgspec.Struct):
    end_date: datetime | None = None


class _Usage(msgspec.Struct):
    credit_usage_stats: dict[str, _Pool]
    current_credit_cycle: _Cycle | None = None


class _Health(msgspec.Struct):
    is_logged_in: bool


def _read_hints(reply: HttpReply, _now: datetime) -> tuple[LimitHint, ...]:
    hints = []
    for seconds, limit_names, remaining_names in _WINDOWS:
        limit, remaining = _number(reply, limit_names), _number(reply, remaining_names)
        if limit is not None or remaining is not None:
            hints.append(LimitHint(seconds, limit=limit, remaining=remaining))
    return tuple(hints)


def _number(reply: HttpReply, names: tuple[str, ...]) -> int | None:
    """Read the first of these headers that holds a number; an unlimited window's is empty."""
    texts = (reply.headers.get(name, "").strip() for name in names)
    return next((int(text) for text in texts if text.isascii() and text.isdecimal()), None)


def _unfunded(_failure: Failure) -> ProviderUnfunded:
    text = "apollo's credits are used up: buy more or wait for the next cycle"
    return ProviderUnfunded(text, UNFUNDED_SECONDS)


def _unprocessable(failure: Failure) -> LeadfloodError:
    """Return the error of a 422: "Invalid parameters", or "You have insufficient credits!"."""
    is_unfunded = _names_credits(failure.reply) or (
        b"insufficient credits" in failure.reply.body.lower()
    )
    return _unfunded(failure) if is_unfunded else refused(failure)


def _names_credits(reply: HttpReply) -> bool:
    try:
        details = msgspec.json.decode(reply.body, type=_Fault).error_details
    except (msgspec.DecodeError, UnicodeDecodeError):
        return False
    return details is not None and "CREDITS_EXHAUSTED" in (details.code or "")


_KEY_ADVICE = (
    "set providers.apollo.api_key to a key whose scope holds "
    "api_search, people/match, people/bulk_match and usage_stats (or a master key)"
)
_VENDOR = Vendor(
    spec=SPEC,
    headers={"cache-control": "no-cache"},
    key_advice=_KEY_ADVICE,
    errors={402: _unfunded, 422: _unprocessable},
    read_hints=_read_hints,
)


class Apollo:
    """People search and people match.

    Extra settings: `countries_mean` (`person` or `organization`: whose country the query means),
    `similar_titles` (bool, default true).
    """

    name = SPEC.name
    gives = frozenset(FieldName) - {FieldName.MOBILE_PHONE, FieldName.REGION}

    def __init__(self, settings: ProviderSettings, gate: Gate, http: Http, clock: Clock) -> None:
        self._client = ProviderClient(_VENDOR, settings, gate, http, clock)
        self._extra = settings.extra
        self._currency = str(settings.extra.get(CURRENCY, _CURRENCY))
        self._countries_mean = str(settings.extra.get("countries_mean", "person"))
        if self._countries_mean not in _COUNTRY_OWNERS:
            raise Invalid.field(
                "providers.apollo.extra.countries_mean",
                f"use {' or '.join(_COUNTRY_OWNERS)}, not {self._countries_mean!r}",
            )

    async def find_people(self, query: PeopleQuery, cursor: str | None) -> PeoplePage:
        """Fetch one page; free, and never kept, because tomorrow's page is another."""
        page = _page_number(cursor)
        filters = _filters(query, page, self._countries_mean)
        if self._extra.get("similar_titles") is False:
            filters["include_similar_titles"] = False
        question = body_question(filters)
        reply = await self._client.ask(_SEARCH, question, self._read_page)
        return self._page(reply, query, page, question)

    def cursor_behind(self, cursor: str | None) -> str | None:
        """Return the number of the next page, up to the last that Apollo shows."""
        page = _page_number(cursor)
        return str(page + 1) if page < _MOST_PAGES else None

    def may_ask(self, subject: PersonSubject) -> bool:
        """Whether there is an id, an address, a profile, or a name with a company."""
        has_name = subject.full_name or (subject.first_name and subject.last_name)
        has_company = subject.company_domain or subject.company_name
        return bool(self.is_certain(subject) or (has_name and has_company))

    def is_certain(self, subject: PersonSubject) -> bool:
        """Whether there is an id, an address or a profile."""
        return bool(subject.provider_ids.get(SPEC.name) or subject.email or subject.linkedin_url)

    async def enrich(self, subject: PersonSubject) -> PersonAnswer:
        """Match one person: by the Apollo id where there is one, else by all that we have."""
        question = ask_of_person(_params(subject), subject)
        return self._answer(await self._client.ask(_MATCH, question, self._read_match))

    async def enrich_many(self, subjects: Sequence[PersonSubject]) -> Sequence[PersonAnswer]:
        """Match up to ten in one call; an answer is the same as `enrich` would give and keep."""
        if len(subjects) > _MOST_IN_BULK:
            raise Invalid(
                f"apollo matches at most {_MOST_IN_BULK} people in one call: ask in parts"
            )
        items = [
            BulkCallItem(canonical(_params(subject)), subject.subject_id, person_name(subject))
            for subject in subjects
        ]
        replies = await self._client.ask_many(_BULK_MATCH, items, _write_bulk, self._read_bulk)
        return [self._answer(reply) for reply in replies]

    async def check_key(self) -> None:
        """Check that the key is accepted."""
        health = await self._client.fetch(_HEALTH, Question(), _Health)
        if not health.is_logged_in:
            raise ProviderKeyRefused(f"apollo refuses the key: {_KEY_ADVICE}")

    async def read_usage(self) -> CreditUsage:
        """Return the credits of this cycle (`lead_credit`, the shared pool of unified plans)."""
        usage = await self._client.fetch(_USAGE, Question(), _Usage)
        pool = usage.credit_usage_stats.get("lead_credit", _Pool())
        cycle = usage.current_credit_cycle or _Cycle()
        return CreditUsage(used=pool.consumed, left=pool.left_over, renews_at=cycle.end_date)

    def _read_page(self, reply: HttpReply) -> Reply:
        people = self._client.decode(reply.body, _Page).people
        return Reply(body=reply.body, found=bool(people))

    def _read_match(self, reply: HttpReply) -> Reply:
        is_hit = self._client.decode(reply.body, _Match).person is not None
        cost = self._client.price("people.match") if is_hit else 0
        names = self._names_of(reply.body)
        return Reply(body=reply.body, found=is_hit, cost_micros=cost, names=names)

    def _names_of(self, body: bytes) -> tuple[bytes, ...]:
        """Return the question by the id of the person found: once it is known, it is asked."""
        person = self._client.decode(body, _Match).person
        return (canonical(_Params(id=person.id)),) if person is not None and person.id else ()

    def _read_bulk(self, reply: HttpReply, items: Sequence[BulkCallItem]) -> BulkReply:
        answer = self._client.decode(reply.body, _Matches)
        questions = [msgspec.json.decode(item.question, type=_Params) for item in items]
        people = _align(self._client, questions, answer.matches)
        hits = [person is not None for person in people]
        spent = answer.credits_consumed
        cost = self._client.cost(Decimal(hits.count(True)) if spent is None else spent)
        bodies = [b'{"person":' + (person or b"null") + b"}" for person in people]
        return share_cost(bodies, hits, cost, self._names_of)

    def _page(self, reply: Reply, query: PeopleQuery, page: int, question: Question) -> PeoplePage:
        answer = self._client.decode(reply.body, _Page)
        people: list[FoundPerson] = []
        refusals: list[tuple[str, str]] = []
        for number, raw in enumerate(answer.people, start=1):
            try:
                people.append(self._person(reply, raw))
            except Invalid as error:
                refusals.append((f"page {page} record {number}", error.detail))
        return PeoplePage(
            people=tuple(people),
            next_cursor=None if _is_last(answer, page, _per_page(query)) else str(page + 1),
            total=answer.total_entries,
            refused=tuple(refusals),
            asked=question.body.decode(),
            cost_micros=reply.cost_micros,
            ignored=("industries",) if query.industries else (),
        )

    def _person(self, reply: Reply, raw: msgspec.Raw) -> FoundPerson:
        try:
            row = msgspec.json.decode(raw, type=_SearchRow)
        except msgspec.DecodeError as error:
            raise Invalid(f"apollo.unreadable: {error}") from error
        if not row.id:
            raise Invalid("apollo.no_id: without an id the person can never be enriched")
        if not (row.first_name or row.title):
            raise Invalid("apollo.nobody: neither a name nor a title")
        evidence = self._client.evidence(_SEARCH, reply)
        evidence.add(FieldName.FIRST_NAME, row.first_name, 0.9)
        evidence.add(FieldName.TITLE, row.title, 0.85)
        if row.organization:
            evidence.add(FieldName.COMPANY_NAME, row.organization.name, 0.85)
        return FoundPerson(
            provider=SPEC.name, provider_id=single_line(row.id), values=evidence.values()
        )

    def _answer(self, reply: Reply) -> PersonAnswer:
        person = self._client.decode(reply.body, _Match).person if reply.found else None
        if person is None:
            return miss(reply)
        evidence = self._client.evidence(_MATCH, reply)
        _add_person(evidence, person)
        _add_email(evidence, person)
        _add_work(evidence, person)
        if person.organization:
            _add_company(evidence, person.organization, self._currency)
        return evidence.person_answer(person.id)


def _is_last(answer: _Page, page: int, per_page: int) -> bool:
    if len(answer.people) < per_page or page >= _MOST_PAGES:
        return True
    return answer.total_entries is not None and page * per_page >= answer.total_entries


def _write_bulk(items: Sequence[BulkCallItem]) -> bytes:
    return b'{"details":[' + b",".join(item.question for item in items) + b"]}"


def _filters(query: PeopleQuery, page: int, countries_mean: str) -> dict[str, Any]:
    if len(query.company_domains) > _MOST_DOMAINS:
        raise Invalid.field(
            "company_domains",
            f"give at most {_MOST_DOMAINS}",
            detail=f"apollo takes at most {_MOST_DOMAINS} domains in one search",
        )
    locations = f"{countries_mean}_locations"
    filters: dict[str, Any] = {
        "person_titles": list(query.titles),
        locations: [country_name(code) or code for code in query.countries],
        "organization_num_employees_ranges": [
            f"{least},{most}" for least, most in query.company_sizes
        ],
        "currently_using_any_of_technology_uids": [_uid(word) for word in query.technologies],
        "q_organization_domains_list": [domain_of(domain) for domain in query.company_domains],
        "q_keywords": query.keywords,
    }
    used = {name: value for name, value in filters.items() if value}
    return used | {"page": page, "per_page": _per_page(query)}


def _uid(technology: str) -> str:
    return "_".join(technology.lower().replace(".", " ").split())


def _per_page(query: PeopleQuery) -> int:
    return max(1, min(query.page_size, _MOST_PER_PAGE))


def _page_number(cursor: str | None) -> int:
    page = 1 if cursor is None else int(cursor) if cursor.isascii() and cursor.isdecimal() else 0
    if not 1 <= page <= _MOST_PAGES:
        raise Invalid.field(
            "cursor",
            f"a page number from 1 to {_MOST_PAGES}",
            detail=f"{cursor!r} is no cursor of apollo: start without one",
        )
    return page


def _params(subject: PersonSubject) -> _Params:
    if apollo_id := subject.provider_ids.get(SPEC.name, ""):
        return _Params(id=apollo_id)
    return _Params(
        email=subject.email,
        linkedin_url=subject.linkedin_url,
        name="" if subject.first_name and subject.last_name else subject.full_name,
        first_name=subject.first_name,
        last_name=subject.last_name,
        organization_name=subject.company_name,
        domain=subject.company_domain,
    )


def _align(
    client: ProviderClient, questions: Sequence[_Params], matches: Sequence[msgspec.Raw]
) -> list[bytes | None]:
    """Return each question's match: by id for a question by id, else by position.

    That `matches` follows the order of the questions, with null for a miss, is seen in clients
    only; the specification does not say it.
    """
    people = _decode_matches(client, matches)
    by_id = {person.id: bytes(raw) for person, raw in zip(people, matches, strict=True) if person}
    ids = {question.id for question in questions if question.id}
    is_aligned = len(matches) == len(questions)
    answers: list[bytes | None] = []
    for index, question in enumerate(questions):
        person = people[index] if is_aligned else None
        if question.id:
            answers.append(by_id.get(question.id))
        elif person is not None and person.id not in ids:
            answers.append(bytes(matches[index]))
        else:
            answers.append(None if is_aligned else _same_person(question, people, matches))
    return answers


def _same_person(
    question: _Params, people: Sequence[_Person | None], matches: Sequence[msgspec.Raw]
) -> bytes | None:
    profile = web_url(question.linkedin_url)
    name = (question.name or f"{question.first_name} {question.last_name}").strip().casefold()
    for person, raw in zip(people, matches, strict=True):
        if person is None:
            continue
        is_same = (question.email and question.email.lower() == (person.email or "").lower()) or (
            profile and profile == web_url(person.linkedin_url or "")
        )
        if is_same or (name and name == (person.name or "").strip().casefold()):
            return bytes(raw)
    return None


def _decode_matches(client: ProviderClient, matches: Sequence[msgspec.Raw]) -> list[_Person | None]:
    body = b"[" + b",".join(bytes(raw) for raw in matches) + b"]"
    return client.decode(body, list[_Person | None])


def _add_person(evidence: Evidence, person: _Person) -> None:
    evidence.add(FieldName.FIRST_NAME, person.first_name, 0.95)
    evidence.add(FieldName.LAST_NAME, person.last_name, 0.95)
    evidence.add(FieldName.FULL_NAME, person.name, 0.95)
    evidence.add(FieldName.LINKEDIN_URL, web_url(person.linkedin_url or ""), 0.95)
    evidence.add(FieldName.CITY, person.city, 0.8)
    evidence.add(FieldName.COUNTRY, find_country(person.country or ""), 0.85)
    phones = (person.contact.phone_numbers or []) if person.contact else []
    evidence.add(FieldName.PHONE, phones[0].sanitized_number if phones else None, 0.8)


def _add_email(evidence: Evidence, person: _Person) -> None:
    word = (person.email_status or "").strip().lower()
    address = likely_email(person.email)
    if not address or address.lower().startswith(_NO_EMAIL) or word == "unavailable":
        return
    status, confidence = _EMAIL_WORDS.get(word, _OTHER_EMAIL_WORD)
    evidence.add(FieldName.EMAIL, address, confidence)
    evidence.add(FieldName.EMAIL_STATUS, status.value, confidence)


def _add_work(evidence: Evidence, person: _Person) -> None:
    current = next((job for job in person.employment_history or [] if job.current), _Job())
    evidence.add(FieldName.TITLE, person.title or current.title, 0.9)
    evidence.add(FieldName.SENIORITY, person.seniority, 0.85)
    departments = [word.removeprefix("master_") for word in person.departments or []]
    evidence.add(FieldName.DEPARTMENT, departments[0] if departments else None, 0.8)
    company = person.organization or _Company()
    evidence.add(FieldName.COMPANY_NAME, company.name or current.organization_name, 0.9)


def _revenue(revenue: float | None, currency: str) -> int | str | None:
    """Return what a company earns: a number where sums are dollars; else it says its currency."""
    if not revenue:
        return None
    return int(revenue) if currency == _CURRENCY else f"{int(revenue)} {_CURRENCY}"


def _add_company(evidence: Evidence, company: _Company, currency: str) -> None:
    size, revenue = company.estimated_num_employees, company.annual_revenue
    domain = domain_of(company.primary_domain or company.website_url or "")
    evidence.add(FieldName.COMPANY_DOMAIN, domain, 0.9)
    evidence.add(FieldName.COMPANY_INDUSTRY, company.industry, 0.85)
    evidence.add(FieldName.COMPANY_SIZE, int(size) if size else None, 0.8)
    evidence.add(FieldName.COMPANY_COUNTRY, find_country(company.country or ""), 0.85)
    evidence.add(FieldName.COMPANY_TECHNOLOGIES, company.technology_names, 0.75)
    evidence.add(FieldName.COMPANY_FOUNDED, company.founded_year, 0.85)
    evidence.add(FieldName.COMPANY_REVENUE, _revenue(revenue, currency), 0.6)
    evidence.add(FieldName.COMPANY_LINKEDIN_URL, web_url(company.linkedin_url or ""), 0.9)
