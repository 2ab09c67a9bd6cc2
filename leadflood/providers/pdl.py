"""People Data Labs: what is known of a person, by address, profile or name and company.

Plan: Pro (the free plan says `true` instead of an address; both are understood).
Docs: https://docs.peopledatalabs.com/docs/reference-person-enrichment-api, read 2026-08-14.

A 404 is a miss and free. Addresses of the web come without a scheme, texts in lower case.
Rate limits are per endpoint and minute; headers hold JSON, and there is no Retry-After.
"""

from collections.abc import Sequence
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation
from uuid import UUID

import msgspec

from leadflood.contracts.countries import find_country
from leadflood.contracts.errors import (
    ProviderChanged,
    ProviderDown,
    ProviderKeyRefused,
    ProviderRefused,
    ProviderThrottled,
    ProviderUnfunded,
)
from leadflood.contracts.ports.people import PersonAnswer, PersonEnricher, PersonSubject
from leadflood.contracts.provider import ProviderSettings, ProviderSpec
from leadflood.contracts.values import FieldName, Probability
from leadflood.contracts.wire import (
    UNTOLD_WAIT_SECONDS,
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
    web_url,
)
from leadflood.engine.clock import Clock
from leadflood.engine.errors import Invalid
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
    name="pdl",
    implements={PersonEnricher: "person.enrich"},
    base_url="https://api.peopledatalabs.com/v5",
    docs_url="https://docs.peopledatalabs.com/docs/reference-person-enrichment-api",
    read_on="2026-08-14",
    plan="Pro",
    credits={"person.enrich": Decimal(1), "person.bulk": Decimal(100)},
    limits={"enrich": (Window(1_000, 60),), "bulk": (Window(1_000, 60),)},
    terms="https://www.peopledatalabs.com/terms: own use, no resale of records",
)

_MOST_IN_BULK = 100
_UNFUNDED_SECONDS = 3_600.0
_MINUTE = 60.0
_WINDOWS = {"minute": _MINUTE, "day": 86_400.0, "month": 2_592_000.0}

_SENIORITY_WORDS = {"cxo": "c_suite", "training": "intern", "unpaid": "intern"}
_SMALL_TITLES = {"vp", "svp", "evp", "avp", "ceo", "cto", "cfo", "coo", "cmo", "cio", "hr", "it"}

# "2 is 10 to 30 % right; many demand 6": the scale is PDL's own and not linear.
_LIKELIHOOD: dict[int, Probability] = {
    1: 0.1,
    2: 0.2,
    3: 0.35,
    4: 0.5,
    5: 0.6,
    6: 0.7,
    7: 0.8,
    8: 0.87,
    9: 0.93,
    10: 0.97,
}

_Told = str | bool | None  # the free plan says True instead of the value


class _Address(msgspec.Struct):
    address: _Told = None
    type: str | None = None


class _Person(msgspec.Struct):
    id: str | None = None
    full_name: str | None = None
    first_name: str | None = None
    last_name: str | None = None
    linkedin_url: _Told = None
    work_email: _Told = None
    emails: list[_Address] | bool | None = None
    mobile_phone: _Told = None
    job_title: str | None = None
    job_title_role: str | None = None
    job_title_levels: list[str] | str | None = None
    job_company_name: str | None = None
    job_company_website: str | None = None
    job_company_size: str | None = None
    job_company_founded: int | str | None = None
    job_company_industry: str | None = None
    job_company_linkedin_url: str | None = None
    job_company_location_country: str | None = None
    location_locality: _Told = None
    location_country: _Told = None


class _Enriched(msgspec.Struct):
    status: int = 200
    likelihood: float = 0
    data: _Person | None = None


class _Status(msgspec.Struct):
    status: int = 200


class _Params(msgspec.Struct, omit_defaults=True):
    """A question; the id overrides everything else."""

    pdl_id: str = ""
    email: str = ""
    profile: str = ""
    phone: str = ""
    name: str = ""
    first_name: str = ""
    last_name: str = ""
    company: str = ""
    required: str = ""
    min_likelihood: int = 0
    titlecase: bool = False


class _Request(msgspec.Struct):
    params: msgspec.Raw


class _Requests(msgspec.Struct):
    requests: list[_Request]


class Pdl:
    """Person enrichment, one or up to a hundred at once.

    Extra settings: `min_likelihood` (0 to 10, default 6), `required` (an expression such as
    `emails AND job_title`: a record without it is a free miss).
    """

    name = SPEC.name
    gives = frozenset(FieldName) - {
        FieldName.EMAIL_STATUS,
        FieldName.COMPANY_TECHNOLOGIES,
        FieldName.COMPANY_REVENUE,
    }

    def __init__(self, settings: ProviderSettings, gate: Gate, http: Http, clock: Clock) -> None:
        self._settings = settings
        self._gate = gate
        self._http = http
        self._clock = clock
        self._base_url = base_url(SPEC, settings)
        self._min_likelihood = int(settings.extra.get("min_likelihood", 6))
        self._required = str(settings.extra.get("required", ""))

    def may_ask(self, subject: PersonSubject) -> bool:
        """Tell whether there is an id, an address, a profile, a phone, or a name and a company."""
        named = subject.full_name or (subject.first_name and subject.last_name)
        placed = subject.company_domain or subject.company_name
        known = subject.provider_ids.get(SPEC.name) or subject.email or subject.linkedin_url
        return bool(known or subject.phone or (named and placed))

    async def enrich(self, subject: PersonSubject) -> PersonAnswer:
        """Ask for one person; a 404 is a miss and free."""
        key = api_key(SPEC, self._settings)
        call = self._call("enrich", self._question(subject), (subject.subject_id,), 1)

        async def send(reference: UUID) -> Reply:
            return self._read(await self._post("/person/enrich", call.question, reference, key))

        try:
            reply = await self._gate.call(call, send)
        except (Unreached, Cut) as error:
            raise ProviderDown(f"pdl cannot be reached: {error.detail}") from error
        return self._answer(reply)

    async def enrich_many(self, subjects: Sequence[PersonSubject]) -> Sequence[PersonAnswer]:
        """Ask for up to a hundred (80 are recommended); answers are those that `enrich` gives."""
        if len(subjects) > _MOST_IN_BULK:
            raise Invalid(f"pdl takes at most {_MOST_IN_BULK} people in one call: ask in parts")
        key = api_key(SPEC, self._settings)
        items = [Item(self._question(subject), subject.subject_id) for subject in subjects]
        asked_for = tuple(subject.subject_id for subject in subjects)
        whole = b"\n".join(item.question for item in items)

        async def send(reference: UUID, asked: Sequence[Item]) -> BulkReply:
            body = msgspec.json.encode(
                _Requests([_Request(msgspec.Raw(item.question)) for item in asked])
            )
            return self._read_bulk(await self._post("/person/bulk", body, reference, key), asked)

        call = self._call("bulk", whole, asked_for, len(items))
        try:
            replies = await self._gate.call_bulk(call, items, send)
        except (Unreached, Cut) as error:
            raise ProviderDown(f"pdl cannot be reached: {error.detail}") from error
        return [self._answer(reply) for reply in replies]

    def _call(self, limit: str, question: bytes, subjects: tuple[str, ...], people: int) -> Call:
        # Single and bulk calls share operation and question, so that they share their answers.
        return Call(
            provider=SPEC.name,
            operation="person.enrich",
            question=question,
            limit=limit,
            max_cost_micros=price_micros(SPEC.credits["person.enrich"] * people, self._settings),
            subjects=subjects,
            answer_seconds=self._settings.answer_days * 86_400,
            miss_seconds=self._settings.miss_days * 86_400,
            timeout_seconds=self._settings.timeout_seconds,
        )

    def _question(self, subject: PersonSubject) -> bytes:
        known = subject.provider_ids.get(SPEC.name, "")
        has_parts = bool(subject.first_name and subject.last_name)
        if known:
            who = _Params(pdl_id=known, titlecase=True)
        else:
            who = _Params(
                email=subject.email,
                profile=subject.linkedin_url,
                phone=subject.phone,
                name="" if has_parts else subject.full_name,
                first_name=subject.first_name if has_parts else "",
                last_name=subject.last_name if has_parts else "",
                company=subject.company_domain or subject.company_name,
                required=self._required,
                min_likelihood=self._min_likelihood,
                titlecase=True,
            )
        return canonical(who)

    async def _post(self, path: str, body: bytes, reference: UUID, key: str) -> HttpReply:
        reply = await self._http.request(
            "POST",
            self._base_url + path,
            headers={
                "x-api-key": key,
                "content-type": "application/json",
                "accept": "application/json",
                "x-request-id": str(reference),
            },
            body=body,
            timeout_seconds=self._settings.timeout_seconds,
        )
        self._refuse(reply)
        return reply

    def _read(self, reply: HttpReply) -> Reply:
        hints = self._hints(reply)
        if reply.status == 404:  # noqa: PLR2004 - HTTP's own number
            return Reply(body=reply.body, found=False, hints=hints)
        found = decode_answer(SPEC.name, reply.body, _Enriched).data is not None
        cost = price_micros(_spent(reply, Decimal(1 if found else 0)), self._settings)
        return Reply(body=reply.body, found=found, cost_micros=cost, hints=hints)

    def _read_bulk(self, reply: HttpReply, asked: Sequence[Item]) -> BulkReply:
        parts = decode_answer(SPEC.name, reply.body, list[msgspec.Raw])
        if len(parts) != len(asked):
            raise ProviderChanged(
                f"pdl answered {len(parts)} of {len(asked)} people, so nobody can be told apart"
            )
        bodies = [bytes(part) for part in parts]
        hits = [position for position, body in enumerate(bodies) if _is_hit(body)]
        paying = hits or list(range(len(bodies)))
        spent = _spent(reply, Decimal(len(hits)))
        shares = split_micros(price_micros(spent, self._settings), len(paying))
        costs = dict(zip(paying, shares, strict=True))
        return BulkReply(
            items=tuple(
                Reply(body=body, found=position in hits, cost_micros=costs.get(position, 0))
                for position, body in enumerate(bodies)
            ),
            hints=self._hints(reply),
        )

    def _answer(self, reply: Reply) -> PersonAnswer:
        told = decode_answer(SPEC.name, reply.body, _Enriched) if reply.found else _Enriched()
        # A server that ignores `min_likelihood` must not make us believe a guess.
        if told.data is None or 0 < told.likelihood < self._min_likelihood:
            return PersonAnswer(found=False, cost_micros=reply.cost_micros, cached=reply.cached)
        evidence = Evidence(SPEC.name, "person.enrich", reply, self._clock.now())
        sure = _LIKELIHOOD.get(int(told.likelihood), 0.6)
        _tell_person(evidence, told.data, sure)
        _tell_work(evidence, told.data, sure)
        return PersonAnswer(
            found=True,
            values=evidence.values(),
            provider_id=clean_text(told.data.id or "") or None,
            cost_micros=reply.cost_micros,
            cached=reply.cached,
        )

    def _refuse(self, reply: HttpReply) -> None:
        """Translate every status that is not an answer; 404 is one."""
        if reply.status in {200, 404}:
            return
        refuse_unusual(SPEC.name, reply, self._clock.now())
        detail = detail_of(reply)
        match reply.status:
            case 401 | 403:
                raise ProviderKeyRefused(
                    f"pdl refuses the key: set providers.pdl.api_key; it says: {detail}"
                )
            case 402:
                raise ProviderUnfunded(f"pdl's credits are used up: {detail}", _UNFUNDED_SECONDS)
            case 429:
                raise ProviderThrottled(
                    f"pdl says wait: {detail}", self._wait_seconds(reply), self._hints(reply)
                )
            case status if status < 300:  # noqa: PLR2004 - the border of RFC 9110's class
                raise ProviderChanged(f"pdl answered an undocumented {status}")
            case _:
                raise ProviderRefused(f"pdl answered {reply.status}: {detail}")

    def _wait_seconds(self, reply: HttpReply) -> float:
        """Tell how long the exhausted window lasts, at most the window itself."""
        left = _by_window(reply.headers.get("x-ratelimit-remaining", ""))
        spent = [seconds for name, seconds in _WINDOWS.items() if left.get(name) == 0]
        most = max(spent, default=UNTOLD_WAIT_SECONDS)
        resets_in = self._resets_in(reply)
        if not spent and resets_in is not None:
            return min(resets_in, _MINUTE)
        return most if resets_in is None else min(resets_in, most)

    def _resets_in(self, reply: HttpReply) -> float | None:
        """Read `x-ratelimit-reset`, a UTC time; None where it is missing or already past."""
        try:
            told = datetime.fromisoformat(reply.headers.get("x-ratelimit-reset", "").strip())
        except ValueError:
            return None
        at = told.replace(tzinfo=UTC) if told.tzinfo is None else told
        seconds = (at - self._clock.now()).total_seconds()
        return seconds if seconds > 0 else None

    def _hints(self, reply: HttpReply) -> tuple[LimitHint, ...]:
        limits = _by_window(reply.headers.get("x-ratelimit-limit", ""))
        left = _by_window(reply.headers.get("x-ratelimit-remaining", ""))
        resets_in = self._resets_in(reply)
        return tuple(
            LimitHint(
                seconds,
                limit=limits.get(name),
                remaining=left.get(name),
                resets_in_seconds=resets_in if resets_in and resets_in <= seconds else None,
            )
            for name, seconds in _WINDOWS.items()
            if limits.get(name) is not None or left.get(name) is not None
        )


def _by_window(header: str) -> dict[str, int | None]:
    """Read `{"minute": 1200, "day": null}`; an older form is a bare number for the minute."""
    try:
        told = msgspec.json.decode(header.replace("'", '"').replace("None", "null"))
    except msgspec.DecodeError:
        return {}
    if isinstance(told, int) and not isinstance(told, bool):
        return {"minute": told}
    if not isinstance(told, dict):
        return {}
    return {str(name): count for name, count in told.items() if type(count) is int}


def _spent(reply: HttpReply, otherwise: Decimal) -> Decimal:
    try:
        told = Decimal(reply.headers["x-call-credits-spent"].strip())
    except (KeyError, InvalidOperation):
        return otherwise
    return told if told.is_finite() and told >= 0 else otherwise


def _is_hit(body: bytes) -> bool:
    # An item may fail alone (400): it is a miss of this question, not a fault of the call.
    if decode_answer(SPEC.name, body, _Status).status != 200:  # noqa: PLR2004 - HTTP's own number
        return False
    return decode_answer(SPEC.name, body, _Enriched).data is not None


def _tell_person(evidence: Evidence, person: _Person, sure: Probability) -> None:
    evidence.add(FieldName.FULL_NAME, _proper(person.full_name), sure)
    evidence.add(FieldName.FIRST_NAME, _proper(person.first_name), sure)
    evidence.add(FieldName.LAST_NAME, _proper(person.last_name), sure)
    evidence.add(FieldName.LINKEDIN_URL, web_url(_text(person.linkedin_url)), sure)
    evidence.add(FieldName.EMAIL, _work_email(person), sure * 0.85)
    evidence.add(FieldName.PHONE, _text(person.mobile_phone), sure * 0.85)
    evidence.add(FieldName.CITY, _proper(_text(person.location_locality)), sure * 0.9)
    evidence.add(FieldName.COUNTRY, find_country(_text(person.location_country)), sure * 0.95)


def _tell_work(evidence: Evidence, person: _Person, sure: Probability) -> None:
    levels = person.job_title_levels or []
    level = levels if isinstance(levels, str) else next(iter(levels), "")
    evidence.add(FieldName.TITLE, _proper(person.job_title), sure * 0.9)
    evidence.add(FieldName.SENIORITY, _SENIORITY_WORDS.get(level, level), sure * 0.9)
    evidence.add(FieldName.DEPARTMENT, person.job_title_role, sure * 0.85)
    evidence.add(FieldName.COMPANY_NAME, _proper(person.job_company_name), sure * 0.9)
    evidence.add(FieldName.COMPANY_DOMAIN, domain_of(person.job_company_website or ""), sure * 0.95)
    evidence.add(FieldName.COMPANY_INDUSTRY, person.job_company_industry, sure * 0.85)
    evidence.add(FieldName.COMPANY_SIZE, _size(person.job_company_size or ""), sure * 0.6)
    country = find_country(person.job_company_location_country or "")
    evidence.add(FieldName.COMPANY_COUNTRY, country, sure * 0.9)
    founded = str(person.job_company_founded or "")
    evidence.add(FieldName.COMPANY_FOUNDED, int(founded) if founded.isdecimal() else None, sure)
    profile = web_url(person.job_company_linkedin_url or "")
    evidence.add(FieldName.COMPANY_LINKEDIN_URL, profile, sure * 0.95)


def _text(told: _Told) -> str:
    return told if isinstance(told, str) else ""


def _work_email(person: _Person) -> str:
    """Tell the address at work; personal ones are not ours to write to."""
    listed = person.emails if isinstance(person.emails, list) else []
    current = (found.address for found in listed if found.type == "current_professional")
    addresses = (likely_email(address) for address in (person.work_email, *current))
    return next((address for address in addresses if address), "")


def _proper(text: str | None) -> str:
    """Give a lower-case text its capitals; one that has capitals is left alone."""
    if not text or not text.islower():
        return text or ""
    words = text.split(" ")
    return " ".join(word.upper() if word in _SMALL_TITLES else word.title() for word in words)


def _size(told: str) -> int | None:
    """Read `51-200` as the middle of its range; `10001+` as its least."""
    ends = [int(end) for end in told.replace("+", "").split("-") if end.strip().isdecimal()]
    return sum(ends) // len(ends) if ends else None
