"""Apollo.io: people search (free) and people enrichment (a credit a match).

Plan: any paid plan (limits below); a key scoped to api_search, match, bulk_match and usage.
Docs: https://docs.apollo.io/reference (OpenAPI `apollo-rest-api` v1.0), read 2026-08-13.

The search gives no surname, e-mail, domain or profile: the id it gives is what `enrich` asks by.
It knows no industry filter, so industries are left to scoring and named in `PeoplePage.ignored`.
"""

from collections.abc import Callable, Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any, TypeVar
from uuid import UUID

import msgspec

from leadflood.contracts.countries import country_name, find_country
from leadflood.contracts.errors import (
    ProviderChanged,
    ProviderDown,
    ProviderKeyRefused,
    ProviderRefused,
    ProviderThrottled,
    ProviderUnfunded,
)
from leadflood.contracts.facts import FoundPerson
from leadflood.contracts.ports.account import AccountReader, CreditUsage
from leadflood.contracts.ports.people import (
    PeoplePage,
    PeopleQuery,
    PeopleSource,
    PersonAnswer,
    PersonEnricher,
    PersonSubject,
)
from leadflood.contracts.provider import ProviderSettings, ProviderSpec
from leadflood.contracts.values import EmailStatus, FieldName
from leadflood.contracts.wire import (
    Evidence,
    api_key,
    base_url,
    canonical,
    clean_text,
    decode_answer,
    detail_of,
    domain_of,
    likely_email,
    price_micros,
    refuse_unusual,
    split_micros,
    wait_seconds,
    web_url,
)
from leadflood.engine.clock import Clock
from leadflood.engine.errors import FieldProblem, Invalid
from leadflood.engine.net.call import (
    BulkReply,
    Call,
    Cut,
    Gate,
    Http,
    HttpReply,
    Item,
    LimitHint,
    Reply,
    Unreached,
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
_MOST_DOMAINS = 1_000
_MOST_IN_BULK = 10
_UNFUNDED_SECONDS = 3_600.0
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

T = TypeVar("T")


class _Firm(msgspec.Struct):
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


class _Found(msgspec.Struct):
    id: str | None = None
    first_name: str | None = None
    title: str | None = None
    organization: _Firm | None = None


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
    organization: _Firm | None = None
    contact: _Contact | None = None


class _Match(msgspec.Struct):
    person: _Person | None = None


class _Matches(msgspec.Struct):
    matches: list[msgspec.Raw]
    credits_consumed: Decimal | None = None


class _Who(msgspec.Struct, omit_defaults=True):
    """A question: whom to match. The id says it all; otherwise all that is known goes along."""

    id: str = ""
    email: str = ""
    linkedin_url: str = ""
    name: str = ""
    first_name: str = ""
    last_name: str = ""
    organization_name: str = ""
    domain: str = ""


class _Fault(msgspec.Struct):
    class Details(msgspec.Struct):
        code: str | None = None

    error: str | None = None
    error_code: str | None = None
    error_message: str | None = None
    message: str | None = None
    error_details: Details | None = None


class _Pool(msgspec.Struct):
    consumed: Decimal | None = None
    left_over: Decimal | None = None


class _Cycle(msgspec.Struct):
    end_date: datetime | None = None


class _Usage(msgspec.Struct):
    credit_usage_stats: dict[str, _Pool]
    current_credit_cycle: _Cycle | None = None


class _Health(msgspec.Struct):
    is_logged_in: bool = False


class Apollo:
    """People search and people match.

    Extra settings: `countries_mean` (`person` or `organization`: whose country the query means),
    `similar_titles` (bool, default true).
    """

    name = SPEC.name
    gives = frozenset(FieldName)

    def __init__(self, settings: ProviderSettings, gate: Gate, http: Http, clock: Clock) -> None:
        self._settings = settings
        self._gate = gate
        self._http = http
        self._clock = clock
        self._base_url = base_url(SPEC, settings)

    async def find_people(self, query: PeopleQuery, cursor: str | None) -> PeoplePage:
        """Fetch one page; free, and never kept, because tomorrow's page is another."""
        page = _page_number(cursor)
        filters = _filters(query, page, str(self._settings.extra.get("countries_mean", "person")))
        if self._settings.extra.get("similar_titles") is False:
            filters["include_similar_titles"] = False
        question = canonical(filters)
        call = self._call("people.search", "search", question)
        reply = await self._ask(call, "POST", "/mixed_people/api_search", _read_page)
        return self._page(reply, query, page, question)

    def may_ask(self, subject: PersonSubject) -> bool:
        """Tell whether there is an id, an address, a profile, or a name with a company."""
        named = subject.full_name or (subject.first_name and subject.last_name)
        placed = subject.company_domain or subject.company_name
        known = subject.provider_ids.get(SPEC.name) or subject.email or subject.linkedin_url
        return bool(known or (named and placed))

    async def enrich(self, subject: PersonSubject) -> PersonAnswer:
        """Match one person: by the Apollo id where known, else by all that is known."""
        call = self._match_call("enrichment", canonical(_who(subject)), (subject.subject_id,), 1)
        reply = await self._ask(call, "POST", "/people/match", self._read_match)
        return self._answer(reply)

    async def enrich_many(self, subjects: Sequence[PersonSubject]) -> Sequence[PersonAnswer]:
        """Match up to ten in one call; an answer is the same as `enrich` would give and keep."""
        if len(subjects) > _MOST_IN_BULK:
            raise Invalid(
                f"apollo matches at most {_MOST_IN_BULK} people in one call: ask in parts"
            )
        api_key(SPEC, self._settings)
        items = [Item(canonical(_who(subject)), subject.subject_id) for subject in subjects]
        asked_for = tuple(subject.subject_id for subject in subjects)
        whole = b"\n".join(item.question for item in items)
        call = self._match_call("bulk_enrichment", whole, asked_for, len(items))
        try:
            replies = await self._gate.call_bulk(call, items, self._send_bulk)
        except (Unreached, Cut) as error:
            raise _down(error) from error
        return [self._answer(reply) for reply in replies]

    async def check_key(self) -> None:
        """Ask whether the key is accepted."""
        call = self._call("account.health", "account", b"")
        reply = await self._ask(call, "GET", "/auth/health", _reads(_Health))
        if not decode_answer(SPEC.name, reply.body, _Health).is_logged_in:
            raise ProviderKeyRefused(_KEY_TEXT)

    async def read_usage(self) -> CreditUsage:
        """Read the credits of this cycle (`lead_credit`, the shared pool of unified plans)."""
        call = self._call("account.usage", "account", b"")
        path = "/usage_stats/credit_usage_stats"
        reply = await self._ask(call, "POST", path, _reads(_Usage))
        told = decode_answer(SPEC.name, reply.body, _Usage)
        pool = told.credit_usage_stats.get("lead_credit", _Pool())
        ends_at = told.current_credit_cycle.end_date if told.current_credit_cycle else None
        return CreditUsage(used=pool.consumed, left=pool.left_over, renews_at=ends_at)

    def _call(self, operation: str, limit: str, question: bytes) -> Call:
        return Call(
            provider=SPEC.name,
            operation=operation,
            question=question,
            limit=limit,
            timeout_seconds=self._settings.timeout_seconds,
        )

    def _match_call(
        self, limit: str, question: bytes, subjects: tuple[str, ...], people: int
    ) -> Call:
        # Single and bulk calls share operation and question, so that they share their answers.
        return Call(
            provider=SPEC.name,
            operation="people.match",
            question=question,
            limit=limit,
            max_cost_micros=price_micros(SPEC.credits["people.match"] * people, self._settings),
            subjects=subjects,
            answer_seconds=self._settings.answer_days * 86_400,
            miss_seconds=self._settings.miss_days * 86_400,
            timeout_seconds=self._settings.timeout_seconds,
        )

    async def _ask(
        self, call: Call, method: str, path: str, read: Callable[[HttpReply], Reply]
    ) -> Reply:
        api_key(SPEC, self._settings)

        async def send(reference: UUID) -> Reply:
            return read(await self._request(method, path, call.question, reference))

        try:
            return await self._gate.call(call, send)
        except (Unreached, Cut) as error:
            raise _down(error) from error

    async def _request(self, method: str, path: str, body: bytes, reference: UUID) -> HttpReply:
        reply = await self._http.request(
            method,
            self._base_url + path,
            headers={
                "x-api-key": api_key(SPEC, self._settings),
                "content-type": "application/json",
                "accept": "application/json",
                "cache-control": "no-cache",
                "x-request-id": str(reference),
            },
            body=body or None,
            timeout_seconds=self._settings.timeout_seconds,
        )
        _refuse(reply, self._clock.now())
        return reply

    async def _send_bulk(self, reference: UUID, items: Sequence[Item]) -> BulkReply:
        body = b'{"details":[' + b",".join(item.question for item in items) + b"]}"
        reply = await self._request("POST", "/people/bulk_match", body, reference)
        told = decode_answer(SPEC.name, reply.body, _Matches)
        asked = [msgspec.json.decode(item.question, type=_Who) for item in items]
        people = _align(asked, told.matches)
        found = [position for position, person in enumerate(people) if person is not None]
        spent = Decimal(len(found)) if told.credits_consumed is None else told.credits_consumed
        paying = found or list(range(len(items)))
        shares = split_micros(price_micros(spent, self._settings), len(paying))
        costs = dict(zip(paying, shares, strict=True))
        return BulkReply(
            items=tuple(
                Reply(
                    body=b'{"person":' + (person or b"null") + b"}",
                    found=person is not None,
                    cost_micros=costs.get(position, 0),
                )
                for position, person in enumerate(people)
            ),
            hints=_hints(reply),
        )

    def _read_match(self, reply: HttpReply) -> Reply:
        found = decode_answer(SPEC.name, reply.body, _Match).person is not None
        cost = price_micros(SPEC.credits["people.match"], self._settings) if found else 0
        return Reply(body=reply.body, found=found, cost_micros=cost, hints=_hints(reply))

    def _page(self, reply: Reply, query: PeopleQuery, page: int, question: bytes) -> PeoplePage:
        told = decode_answer(SPEC.name, reply.body, _Page)
        people: list[FoundPerson] = []
        refused: list[tuple[str, str]] = []
        for position, raw in enumerate(told.people, start=1):
            try:
                people.append(self._person(reply, raw))
            except Invalid as error:
                refused.append((f"page {page} record {position}", error.detail))
        per_page = _per_page(query)
        total = told.total_entries
        is_last = len(told.people) < per_page or page >= _MOST_PAGES
        is_last = is_last or (total is not None and page * per_page >= total)
        return PeoplePage(
            people=tuple(people),
            next_cursor=None if is_last else str(page + 1),
            total=total,
            refused=tuple(refused),
            asked=question.decode(),
            cost_micros=reply.cost_micros,
            ignored=("industries",) if query.industries else (),
        )

    def _person(self, reply: Reply, raw: msgspec.Raw) -> FoundPerson:
        try:
            found = msgspec.json.decode(raw, type=_Found)
        except msgspec.DecodeError as error:
            raise Invalid(f"apollo.unreadable: {error}") from error
        if not found.id:
            raise Invalid("apollo.no_id: without an id the person can never be enriched")
        if not (found.first_name or found.title):
            raise Invalid("apollo.nobody: neither a name nor a title")
        evidence = Evidence(SPEC.name, "people.search", reply, self._clock.now())
        evidence.add(FieldName.FIRST_NAME, found.first_name, 0.9)
        evidence.add(FieldName.TITLE, found.title, 0.85)
        if found.organization:
            evidence.add(FieldName.COMPANY_NAME, found.organization.name, 0.85)
        return FoundPerson(
            provider=SPEC.name, provider_id=clean_text(found.id), values=evidence.values()
        )

    def _answer(self, reply: Reply) -> PersonAnswer:
        person = decode_answer(SPEC.name, reply.body, _Match).person if reply.found else None
        if person is None:
            return PersonAnswer(found=False, cost_micros=reply.cost_micros, cached=reply.cached)
        evidence = Evidence(SPEC.name, "people.match", reply, self._clock.now())
        _tell_person(evidence, person)
        _tell_email(evidence, person)
        _tell_work(evidence, person)
        if person.organization:
            _tell_firm(evidence, person.organization)
        return PersonAnswer(
            found=True,
            values=evidence.values(),
            provider_id=clean_text(person.id or "") or None,
            cost_micros=reply.cost_micros,
            cached=reply.cached,
        )


_KEY_TEXT = (
    "apollo refuses the key: set providers.apollo.api_key to a key whose scope holds "
    "api_search, people/match, people/bulk_match and usage_stats (or a master key)"
)


def _filters(query: PeopleQuery, page: int, countries_mean: str) -> dict[str, Any]:
    if len(query.company_domains) > _MOST_DOMAINS:
        raise Invalid(
            f"apollo takes at most {_MOST_DOMAINS} domains in one search",
            (FieldProblem("company_domains", f"give at most {_MOST_DOMAINS}"),),
        )
    places = "organization_locations" if countries_mean == "organization" else "person_locations"
    filters: dict[str, Any] = {
        "person_titles": list(query.titles),
        places: [country_name(code) or code for code in query.countries],
        "organization_num_employees_ranges": [
            f"{least},{most}" for least, most in query.company_sizes
        ],
        "currently_using_any_of_technology_uids": [_uid(word) for word in query.technologies],
        "q_organization_domains_list": [domain_of(domain) for domain in query.company_domains],
        "q_keywords": query.keywords,
    }
    chosen = {name: value for name, value in filters.items() if value}
    return chosen | {"page": page, "per_page": _per_page(query)}


def _uid(technology: str) -> str:
    return "_".join(technology.lower().replace(".", " ").split())


def _per_page(query: PeopleQuery) -> int:
    return max(1, min(query.page_size, _MOST_PER_PAGE))


def _page_number(cursor: str | None) -> int:
    page = 1 if cursor is None else int(cursor) if cursor.isascii() and cursor.isdecimal() else 0
    if not 1 <= page <= _MOST_PAGES:
        raise Invalid(
            f"{cursor!r} is no cursor of apollo: start without one",
            (FieldProblem("cursor", f"a page number from 1 to {_MOST_PAGES}"),),
        )
    return page


def _who(subject: PersonSubject) -> _Who:
    known = subject.provider_ids.get(SPEC.name, "")
    if known:
        return _Who(id=known)
    return _Who(
        email=subject.email,
        linkedin_url=subject.linkedin_url,
        name="" if subject.first_name and subject.last_name else subject.full_name,
        first_name=subject.first_name,
        last_name=subject.last_name,
        organization_name=subject.company_name,
        domain=subject.company_domain,
    )


def _align(asked: Sequence[_Who], matches: Sequence[msgspec.Raw]) -> list[bytes | None]:
    """Give each question its match: by id where asked by id, else by position.

    That `matches` follows the order asked, with null for a miss, is only seen in clients.
    """
    people = [_peek(raw) for raw in matches]
    by_id = {person.id: bytes(raw) for person, raw in zip(people, matches, strict=True) if person}
    ids = {who.id for who in asked if who.id}
    is_aligned = len(matches) == len(asked)
    answers: list[bytes | None] = []
    for position, who in enumerate(asked):
        person = people[position] if is_aligned else None
        if who.id:
            answers.append(by_id.get(who.id))
        elif person is not None and person.id not in ids:
            answers.append(bytes(matches[position]))
        else:
            answers.append(None if is_aligned else _same_person(who, people, matches))
    return answers


def _same_person(
    who: _Who, people: Sequence[_Person | None], matches: Sequence[msgspec.Raw]
) -> bytes | None:
    profile = web_url(who.linkedin_url)
    name = (who.name or f"{who.first_name} {who.last_name}").strip().casefold()
    for person, raw in zip(people, matches, strict=True):
        if person is None:
            continue
        is_same = (who.email and who.email.lower() == (person.email or "").lower()) or (
            profile and profile == web_url(person.linkedin_url or "")
        )
        if is_same or (name and name == (person.name or "").strip().casefold()):
            return bytes(raw)
    return None


def _peek(raw: msgspec.Raw) -> _Person | None:
    return decode_answer(SPEC.name, bytes(raw), _Person | None)  # type: ignore[arg-type] # msgspec takes unions


def _tell_person(evidence: Evidence, person: _Person) -> None:
    evidence.add(FieldName.FIRST_NAME, person.first_name, 0.95)
    evidence.add(FieldName.LAST_NAME, person.last_name, 0.95)
    evidence.add(FieldName.FULL_NAME, person.name, 0.95)
    evidence.add(FieldName.LINKEDIN_URL, web_url(person.linkedin_url or ""), 0.95)
    evidence.add(FieldName.CITY, person.city, 0.8)
    evidence.add(FieldName.COUNTRY, find_country(person.country or ""), 0.85)
    phones = (person.contact.phone_numbers or []) if person.contact else []
    evidence.add(FieldName.PHONE, phones[0].sanitized_number if phones else None, 0.8)


def _tell_email(evidence: Evidence, person: _Person) -> None:
    word = (person.email_status or "").strip().lower()
    address = likely_email(person.email)
    if not address or address.lower().startswith(_NO_EMAIL) or word == "unavailable":
        return
    status, confidence = _EMAIL_WORDS.get(word, _OTHER_EMAIL_WORD)
    evidence.add(FieldName.EMAIL, address, confidence)
    evidence.add(FieldName.EMAIL_STATUS, status.value, confidence)


def _tell_work(evidence: Evidence, person: _Person) -> None:
    current = next((job for job in person.employment_history or [] if job.current), _Job())
    evidence.add(FieldName.TITLE, person.title or current.title, 0.9)
    evidence.add(FieldName.SENIORITY, person.seniority, 0.85)
    departments = [word.removeprefix("master_") for word in person.departments or []]
    evidence.add(FieldName.DEPARTMENT, departments[0] if departments else None, 0.8)
    firm = person.organization or _Firm()
    evidence.add(FieldName.COMPANY_NAME, firm.name or current.organization_name, 0.9)


def _tell_firm(evidence: Evidence, firm: _Firm) -> None:
    size, revenue = firm.estimated_num_employees, firm.annual_revenue
    domain = domain_of(firm.primary_domain or firm.website_url or "")
    evidence.add(FieldName.COMPANY_DOMAIN, domain, 0.9)
    evidence.add(FieldName.COMPANY_INDUSTRY, firm.industry, 0.85)
    evidence.add(FieldName.COMPANY_SIZE, int(size) if size else None, 0.8)
    evidence.add(FieldName.COMPANY_COUNTRY, find_country(firm.country or ""), 0.85)
    evidence.add(FieldName.COMPANY_TECHNOLOGIES, firm.technology_names, 0.75)
    evidence.add(FieldName.COMPANY_FOUNDED, firm.founded_year, 0.85)
    evidence.add(FieldName.COMPANY_REVENUE, int(revenue) if revenue else None, 0.6)
    evidence.add(FieldName.COMPANY_LINKEDIN_URL, web_url(firm.linkedin_url or ""), 0.9)


def _read_page(reply: HttpReply) -> Reply:
    people = decode_answer(SPEC.name, reply.body, _Page).people
    return Reply(body=reply.body, found=bool(people), hints=_hints(reply))


def _reads(into: type[Any]) -> Callable[[HttpReply], Reply]:
    def read(reply: HttpReply) -> Reply:
        decode_answer(SPEC.name, reply.body, into)
        return Reply(body=reply.body, hints=_hints(reply))

    return read


def _refuse(reply: HttpReply, now: datetime) -> None:
    """Translate every status but 200; the order of its meanings is Apollo's own."""
    if reply.status == 200:  # noqa: PLR2004 - HTTP's own number
        return
    refuse_unusual(SPEC.name, reply, now)
    fault = _fault(reply)
    match reply.status:
        case 401 | 403:
            raise ProviderKeyRefused(f"{_KEY_TEXT}; it says: {detail_of(reply)}")
        case 402:
            raise ProviderUnfunded(_CREDITS_TEXT, _UNFUNDED_SECONDS)
        case 422 if _is_unfunded(fault, reply):
            raise ProviderUnfunded(_CREDITS_TEXT, _UNFUNDED_SECONDS)
        case 429:
            wait = wait_seconds(reply.headers, now)
            raise ProviderThrottled(f"apollo says wait: {detail_of(reply)}", wait, _hints(reply))
        case status if status < 300:  # noqa: PLR2004 - the border of RFC 9110's class
            raise ProviderChanged(f"apollo answered an undocumented {status}")
        case _:
            raise ProviderRefused(f"apollo answered {reply.status}: {detail_of(reply)}")


_CREDITS_TEXT = "apollo's credits are used up: buy more or wait for the next cycle"


def _fault(reply: HttpReply) -> _Fault:
    try:
        return msgspec.json.decode(reply.body, type=_Fault)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return _Fault()


def _is_unfunded(fault: _Fault, reply: HttpReply) -> bool:
    code = fault.error_details.code if fault.error_details else None
    is_named = code is not None and "CREDITS_EXHAUSTED" in code
    return is_named or b"insufficient credits" in reply.body.lower()


def _down(error: Unreached | Cut) -> ProviderDown:
    return ProviderDown(f"apollo cannot be reached: {error.detail}", error.retry_after_seconds)


def _hints(reply: HttpReply) -> tuple[LimitHint, ...]:
    hints = []
    for seconds, limit_names, left_names in _WINDOWS:
        limit, left = _number(reply, limit_names), _number(reply, left_names)
        if limit is not None or left is not None:
            hints.append(LimitHint(seconds, limit=limit, remaining=left))
    return tuple(hints)


def _number(reply: HttpReply, names: tuple[str, ...]) -> int | None:
    """Read the first of these headers that holds a number; an unlimited window's is empty."""
    told = (reply.headers.get(name, "").strip() for name in names)
    return next((int(text) for text in told if text.isascii() and text.isdecimal()), None)
