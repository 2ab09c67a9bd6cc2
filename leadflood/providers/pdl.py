"""People Data Labs: what is known of a person, by address, profile or name and company.

Plan: Pro (the free plan says `true` instead of an address; both are understood).
Docs: https://docs.peopledatalabs.com/docs/reference-person-enrichment-api, read 2026-08-14.

A 404 is a miss and free. Addresses of the web come without a scheme, texts in lower case.
Rate limits are per endpoint and minute; headers hold JSON, and there is no Retry-After.
"""

from collections.abc import Sequence
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation

import msgspec

from leadflood.contracts.errors import ProviderChanged
from leadflood.contracts.evidence import Evidence, domain_of, likely_email, miss, web_url
from leadflood.contracts.normalization.countries import find_country
from leadflood.contracts.ports.people import PersonAnswer, PersonEnricher, PersonSubject
from leadflood.contracts.provider_client import (
    ProviderClient,
    ProviderEndpoint,
    ask_of_person,
    canonical,
    person_name,
    share_cost,
)
from leadflood.contracts.provider_spec import ProviderSettings, ProviderSpec
from leadflood.contracts.values import FieldName, Probability
from leadflood.contracts.vendor_http import DEFAULT_WAIT_SECONDS, Vendor
from leadflood.engine.clock import Clock
from leadflood.engine.errors import Invalid
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
_MINUTE = 60.0
_WINDOWS = {"minute": _MINUTE, "day": 86_400.0, "month": 2_592_000.0}

# A miss, in their words: "When it doesn't find a matching person, it returns an HTTP
# response code of 404. We charge per match."
_HIT_OR_MISS = frozenset({200, 404})

# Single and bulk calls share operation and question, so that they share their answers.
_ENRICH = ProviderEndpoint(
    "person.enrich", "enrich", "POST", "/person/enrich", answers=_HIT_OR_MISS, is_kept=True
)
_BULK = ProviderEndpoint(
    "person.enrich", "bulk", "POST", "/person/bulk", answers=_HIT_OR_MISS, is_kept=True
)

_SENIORITY_WORDS = {"cxo": "c_suite", "training": "intern", "unpaid": "intern"}
_SMALL_TITLES = {"vp", "svp", "evp", "avp", "ceo", "cto", "cfo", "coo", "cmo", "cio", "hr", "it"}

# "The likelihood score is logarithmic, so a response that returns a likelihood score of 2 will
# have roughly a 10-30% chance of being the person requested." Many clients demand 6.
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

_Text = str | bool | None  # the free plan says True instead of the value


class _Address(msgspec.Struct):
    address: _Text = None
    type: str | None = None


class _Person(msgspec.Struct):
    id: str | None = None
    full_name: str | None = None
    first_name: str | None = None
    last_name: str | None = None
    linkedin_url: _Text = None
    work_email: _Text = None
    emails: list[_Address] | bool | None = None
    mobile_phone: _Text = None
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
    location_locality: _Text = None
    location_country: _Text = None


class _Enrichment(msgspec.Struct):
    status: int = 200
    likelihood: float = 0
    data: _Person | None = None


class _Status(msgspec.Struct):
    status: int = 200


class _Params(msgspec.Struct, omit_defaults=True):
    """A question.

    "If you enrich on ID and anything else, only ID is used and the other inputs for matching are
    ignored."
    """

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


def _by_id(pdl_id: str) -> _Params:
    return _Params(pdl_id=pdl_id, titlecase=True)


class _Request(msgspec.Struct):
    params: msgspec.Raw


class _Requests(msgspec.Struct):
    requests: list[_Request]


def _read_hints(reply: HttpReply, now: datetime) -> tuple[LimitHint, ...]:
    limits = _by_window(reply.headers.get("x-ratelimit-limit", ""))
    remaining = _by_window(reply.headers.get("x-ratelimit-remaining", ""))
    resets_in = _reset_seconds(reply, now)
    return tuple(
        LimitHint(
            seconds,
            limit=limits.get(name),
            remaining=remaining.get(name),
            resets_in_seconds=resets_in if resets_in and resets_in <= seconds else None,
        )
        for name, seconds in _WINDOWS.items()
        if limits.get(name) is not None or remaining.get(name) is not None
    )


def _read_wait(reply: HttpReply, now: datetime) -> float:
    """Return how long the exhausted window lasts, at most the window itself."""
    remaining = _by_window(reply.headers.get("x-ratelimit-remaining", ""))
    exhausted = [seconds for name, seconds in _WINDOWS.items() if remaining.get(name) == 0]
    longest = max(exhausted, default=DEFAULT_WAIT_SECONDS)
    resets_in = _reset_seconds(reply, now)
    if not exhausted and resets_in is not None:
        return min(resets_in, _MINUTE)
    return longest if resets_in is None else min(resets_in, longest)


def _reset_seconds(reply: HttpReply, now: datetime) -> float | None:
    """Read `x-ratelimit-reset`, a UTC time; None where it is missing or already past."""
    try:
        reset_at = datetime.fromisoformat(reply.headers.get("x-ratelimit-reset", "").strip())
    except ValueError:
        return None
    if reset_at.tzinfo is None:
        reset_at = reset_at.replace(tzinfo=UTC)
    seconds = (reset_at - now).total_seconds()
    return seconds if seconds > 0 else None


def _by_window(header: str) -> dict[str, int]:
    """Read `{"minute": 1200, "day": null}`; an older form is a bare number for the minute."""
    try:
        counts = msgspec.json.decode(header.replace("'", '"').replace("None", "null"))
    except msgspec.DecodeError:
        return {}
    if isinstance(counts, int) and not isinstance(counts, bool):
        return {"minute": counts}
    if not isinstance(counts, dict):
        return {}
    return {str(name): count for name, count in counts.items() if type(count) is int}


_VENDOR = Vendor(spec=SPEC, read_hints=_read_hints, read_wait=_read_wait)


class Pdl:
    """Person enrichment, one or up to a hundred at once.

    Extra settings: `min_likelihood` (0 to 10, default 6), `required` (an expression such as
    `emails AND job_title`: a record without it is a free miss).
    """

    name = SPEC.name
    gives = frozenset(FieldName) - {
        FieldName.EMAIL_STATUS,
        FieldName.PHONE,
        FieldName.REGION,
        FieldName.COMPANY_TECHNOLOGIES,
        FieldName.COMPANY_REVENUE,
    }

    def __init__(self, settings: ProviderSettings, gate: Gate, http: Http, clock: Clock) -> None:
        self._client = ProviderClient(_VENDOR, settings, gate, http, clock)
        self._min_likelihood = int(settings.extra.get("min_likelihood", 6))
        self._required = str(settings.extra.get("required", ""))

    def may_ask(self, subject: PersonSubject) -> bool:
        """Whether there is an id, an address, a profile, a phone, or a name and a company."""
        has_name = subject.full_name or (subject.first_name and subject.last_name)
        has_company = subject.company_domain or subject.company_name
        return bool(self.is_certain(subject) or subject.phone or (has_name and has_company))

    def is_certain(self, subject: PersonSubject) -> bool:
        """Whether there is an id, an address or a profile."""
        return bool(subject.provider_ids.get(SPEC.name) or subject.email or subject.linkedin_url)

    async def enrich(self, subject: PersonSubject) -> PersonAnswer:
        """Ask for one person; a miss is free."""
        question = ask_of_person(self._params(subject), subject)
        return self._answer(await self._client.ask(_ENRICH, question, self._read))

    async def enrich_many(self, subjects: Sequence[PersonSubject]) -> Sequence[PersonAnswer]:
        """Ask for up to a hundred (80 are recommended); answers are those that `enrich` gives."""
        if len(subjects) > _MOST_IN_BULK:
            raise Invalid(f"pdl takes at most {_MOST_IN_BULK} people in one call: ask in parts")
        items = [
            BulkCallItem(canonical(self._params(each)), each.subject_id, person_name(each))
            for each in subjects
        ]
        replies = await self._client.ask_many(_BULK, items, _write_bulk, self._read_bulk)
        return [self._answer(reply) for reply in replies]

    def _params(self, subject: PersonSubject) -> _Params:
        if pdl_id := subject.provider_ids.get(SPEC.name, ""):
            return _by_id(pdl_id)
        has_parts = bool(subject.first_name and subject.last_name)
        return _Params(
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

    def _read(self, reply: HttpReply) -> Reply:
        if reply.status == 404:  # noqa: PLR2004 - HTTP's own number
            self._client.decode(reply.body, _Status)  # a page of a gateway is no miss
            return Reply(body=reply.body, found=False)
        if self._client.decode(reply.body, _Enrichment).data is None:
            raise ProviderChanged("pdl answered a hit without a record: update the adapter")
        cost = self._client.cost(_credits_spent(reply, Decimal(1)))
        return Reply(body=reply.body, cost_micros=cost, names=self._names_of(reply.body))

    def _names_of(self, body: bytes) -> tuple[bytes, ...]:
        """Return the question by the id of the person found: once it is known, it is asked."""
        person = self._client.decode(body, _Enrichment).data
        return (canonical(_by_id(person.id)),) if person is not None and person.id else ()

    def _read_bulk(self, reply: HttpReply, items: Sequence[BulkCallItem]) -> BulkReply:
        bodies = [bytes(raw) for raw in self._client.decode(reply.body, list[msgspec.Raw])]
        if len(bodies) != len(items):
            raise ProviderChanged(
                f"pdl answered {len(bodies)} of {len(items)} people, so nobody can be told apart"
            )
        hits = [self._is_hit(body) for body in bodies]
        spent = _credits_spent(reply, Decimal(hits.count(True)))
        return share_cost(bodies, hits, self._client.cost(spent), self._names_of)

    def _is_hit(self, body: bytes) -> bool:
        # An item may fail alone (400): it is a miss of this question, not a fault of the call.
        if self._client.decode(body, _Status).status != 200:  # noqa: PLR2004 - HTTP's own number
            return False
        return self._client.decode(body, _Enrichment).data is not None

    def _answer(self, reply: Reply) -> PersonAnswer:
        match = self._client.decode(reply.body, _Enrichment) if reply.found else _Enrichment()
        # A server that ignores `min_likelihood` must not make us believe a guess.
        if match.data is None or 0 < match.likelihood < self._min_likelihood:
            return miss(reply)
        evidence = self._client.evidence(_ENRICH, reply)
        confidence = _LIKELIHOOD.get(int(match.likelihood), 0.6)
        _add_person(evidence, match.data, confidence)
        _add_work(evidence, match.data, confidence)
        return evidence.person_answer(match.data.id)


def _write_bulk(items: Sequence[BulkCallItem]) -> bytes:
    requests = [_Request(msgspec.Raw(item.question)) for item in items]
    return msgspec.json.encode(_Requests(requests))


def _credits_spent(reply: HttpReply, otherwise: Decimal) -> Decimal:
    try:
        spent = Decimal(reply.headers["x-call-credits-spent"].strip())
    except (KeyError, InvalidOperation):
        return otherwise
    return spent if spent.is_finite() and spent >= 0 else otherwise


def _add_person(evidence: Evidence, person: _Person, confidence: Probability) -> None:
    evidence.add(FieldName.FULL_NAME, _proper(person.full_name), confidence)
    evidence.add(FieldName.FIRST_NAME, _proper(person.first_name), confidence)
    evidence.add(FieldName.LAST_NAME, _proper(person.last_name), confidence)
    evidence.add(FieldName.LINKEDIN_URL, web_url(_text(person.linkedin_url)), confidence)
    evidence.add(FieldName.EMAIL, _work_email(person), confidence * 0.85)
    evidence.add(FieldName.MOBILE_PHONE, _text(person.mobile_phone), confidence * 0.85)
    evidence.add(FieldName.CITY, _proper(_text(person.location_locality)), confidence * 0.9)
    evidence.add(FieldName.COUNTRY, find_country(_text(person.location_country)), confidence * 0.95)


def _add_work(evidence: Evidence, person: _Person, confidence: Probability) -> None:
    levels = person.job_title_levels or []
    level = levels if isinstance(levels, str) else next(iter(levels), "")
    evidence.add(FieldName.TITLE, _proper(person.job_title), confidence * 0.9)
    evidence.add(FieldName.SENIORITY, _SENIORITY_WORDS.get(level, level), confidence * 0.9)
    evidence.add(FieldName.DEPARTMENT, person.job_title_role, confidence * 0.85)
    evidence.add(FieldName.COMPANY_NAME, _proper(person.job_company_name), confidence * 0.9)
    domain = domain_of(person.job_company_website or "")
    evidence.add(FieldName.COMPANY_DOMAIN, domain, confidence * 0.95)
    evidence.add(FieldName.COMPANY_INDUSTRY, person.job_company_industry, confidence * 0.85)
    evidence.add(FieldName.COMPANY_SIZE, _size(person.job_company_size or ""), confidence * 0.6)
    country = find_country(person.job_company_location_country or "")
    evidence.add(FieldName.COMPANY_COUNTRY, country, confidence * 0.9)
    digits = str(person.job_company_founded or "")
    founded = int(digits) if digits.isdecimal() else None
    evidence.add(FieldName.COMPANY_FOUNDED, founded, confidence)
    profile = web_url(person.job_company_linkedin_url or "")
    evidence.add(FieldName.COMPANY_LINKEDIN_URL, profile, confidence * 0.95)


def _text(value: _Text) -> str:
    return value if isinstance(value, str) else ""


def _work_email(person: _Person) -> str:
    """Return the address at work; personal ones are not ours to write to."""
    listed = person.emails if isinstance(person.emails, list) else []
    current = (each.address for each in listed if each.type == "current_professional")
    addresses = (likely_email(address) for address in (person.work_email, *current))
    return next((address for address in addresses if address), "")


def _proper(text: str | None) -> str:
    """Return a lower-case text with its capitals; one that has capitals is left alone."""
    if not text or not text.islower():
        return text or ""
    words = text.split(" ")
    return " ".join(word.upper() if word in _SMALL_TITLES else word.title() for word in words)


def _size(text: str) -> int | None:
    """Read `51-200` as the middle of its range; `10001+` as its least."""
    bounds = [int(part) for part in text.replace("+", "").split("-") if part.strip().isdecimal()]
    return sum(bounds) // len(bounds) if bounds else None
