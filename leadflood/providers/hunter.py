"""Hunter.io: the e-mail address of a named person at a domain, and whether an address exists.

Plan: any paid plan with unified credits.
Docs: https://hunter.io/api-documentation/v2, read 2026-08-13; credit prices: help article 1911617.

Its words are its own: 403 is throttling, 429 a spent quota, 451 a person who asked to be left alone
(PersonOptedOut: that person must be suppressed). There are no rate headers.
"""

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, date, datetime, time
from decimal import Decimal

import msgspec

from leadflood.contracts.errors import (
    PersonOptedOut,
    ProviderChanged,
    ProviderRefused,
    ProviderThrottled,
    ProviderUnfunded,
    Unsupported,
)
from leadflood.contracts.evidence import Evidence, likely_email, miss, web_url
from leadflood.contracts.ports.account import AccountReader, CreditUsage
from leadflood.contracts.ports.email import EmailVerdict, EmailVerifier
from leadflood.contracts.ports.people import PersonAnswer, PersonEnricher, PersonSubject
from leadflood.contracts.provider_client import (
    ProviderClient,
    ProviderEndpoint,
    Question,
    person_name,
    query_question,
)
from leadflood.contracts.provider_spec import ProviderSettings, ProviderSpec
from leadflood.contracts.values import EmailStatus, FieldName
from leadflood.contracts.vendor_http import UNFUNDED_SECONDS, Failure, Vendor, refused
from leadflood.engine.clock import Clock
from leadflood.engine.errors import LeadfloodError
from leadflood.engine.net.calls import Gate, Http, HttpReply, Reply, Window, WindowKind

_SLIDING = WindowKind.SLIDING

SPEC = ProviderSpec(
    name="hunter",
    implements={
        PersonEnricher: "email.find",
        EmailVerifier: "email.verify",
        AccountReader: "account.usage",
    },
    base_url="https://api.hunter.io/v2",
    docs_url="https://hunter.io/api-documentation/v2",
    read_on="2026-08-13",
    plan="paid, unified credits",
    credits={
        "email.find": Decimal(1),
        "email.verify": Decimal("0.5"),
        "account.health": Decimal(0),
        "account.usage": Decimal(0),
    },
    limits={
        # whether the windows are fixed or sliding is not told: sliding is the safe reading
        "finder": (Window(15, 1, _SLIDING), Window(500, 60, _SLIDING)),
        "verifier": (Window(10, 1, _SLIDING), Window(300, 60, _SLIDING)),
        "account": (Window(15, 1, _SLIDING),),
    },
    terms="https://hunter.io/terms-of-service: own use; who claimed an address (451) is left alone",
)

# A miss is 200 with a null address (clients) or 404 (one copy of the specification).
_HIT_OR_MISS = frozenset({200, 404})
# 202: "The verification is still in progress. Please try again later." It is billed once.
# 222: "The SMTP server gave an unexpected response."
_RUNNING_SECONDS = {202: 5.0, 222: 60.0}
_RUNNING_TEXTS = {
    202: "is still working on it",
    222: "could not make out the other mail server, try later",
}
_THROTTLED_SECONDS = 5.0

_FINDER = ProviderEndpoint(
    "email.find", "finder", "GET", "/email-finder", answers=_HIT_OR_MISS, is_kept=True
)
_VERIFIER = ProviderEndpoint(
    "email.verify",
    "verifier",
    "GET",
    "/email-verifier",
    answers=frozenset({200, 202, 222, 400, 404}),
    is_kept=True,
    keeps_misses=False,
)
_HEALTH = ProviderEndpoint("account.health", "account", "GET", "/account")
_USAGE = ProviderEndpoint("account.usage", "account", "GET", "/account")

_FOUND_WORDS = {
    "valid": EmailStatus.VALID,
    "accept_all": EmailStatus.CATCH_ALL,
    "unknown": EmailStatus.UNKNOWN,
}
# Hunter's score of webmail and disposable addresses is an arbitrary 50. A disposable address
# takes mail for an hour and belongs to nobody: for us it does not exist.
_VERDICT_WORDS = _FOUND_WORDS | {
    "invalid": EmailStatus.INVALID,
    "webmail": EmailStatus.UNKNOWN,
    "disposable": EmailStatus.INVALID,
}
_CONFIDENCE = {
    EmailStatus.VALID: 0.95,
    EmailStatus.INVALID: 0.95,
    EmailStatus.CATCH_ALL: 0.7,
    EmailStatus.UNKNOWN: 0.4,
}


class _Verification(msgspec.Struct):
    status: str | None = None


class _Finding(msgspec.Struct):
    email: str | None = None
    score: float | None = None
    position: str | None = None
    linkedin_url: str | None = None
    phone_number: str | None = None
    company: str | None = None
    verification: _Verification | None = None


class _Found(msgspec.Struct):
    data: _Finding


class _Running(msgspec.Struct):
    """Our own answer for a check that still runs: Hunter's body is not documented."""

    still_running_seconds: float = 0.0


class _Verified(msgspec.Struct):
    data: _Verification


class _Fault(msgspec.Struct):
    id: str | None = None


class _Faults(msgspec.Struct):
    errors: list[_Fault] = []


class _Pool(msgspec.Struct):
    used: Decimal | None = None
    available: Decimal | None = None


class _Pools(msgspec.Struct):
    credits: _Pool | None = None
    searches: _Pool | None = None


class _AccountData(msgspec.Struct):
    reset_date: str | None = None
    requests: _Pools | None = None


class _Account(msgspec.Struct):
    data: _AccountData


def _too_fast(failure: Failure) -> LeadfloodError:
    """Return the error of a 403: "You reached the rate limit of the API", or a plan's gate."""
    if "no_discover_access" in _fault_ids(failure.reply):
        return refused(failure)
    return ProviderThrottled(f"hunter says wait: {failure.detail}", _THROTTLED_SECONDS)


def _still_running(failure: Failure) -> ProviderThrottled:
    status = failure.reply.status
    text = f"hunter {_RUNNING_TEXTS[status]}: {failure.detail}"
    return ProviderThrottled(text, _RUNNING_SECONDS[status])


def _quota_spent(failure: Failure) -> ProviderUnfunded:
    return ProviderUnfunded(f"hunter's quota is used up: {failure.detail}", UNFUNDED_SECONDS)


def _claimed(failure: Failure) -> ProviderRefused:
    """Return the error of "The person behind this email address asked us to stop processing it"."""
    text = f"this person asked hunter to stop: suppress them; it says: {failure.detail}"
    return PersonOptedOut(text)


def _fault_ids(reply: HttpReply) -> set[str]:
    try:
        faults = msgspec.json.decode(reply.body, type=_Faults).errors
    except (msgspec.DecodeError, UnicodeDecodeError):
        return set()
    return {fault.id for fault in faults if fault.id}


_VENDOR = Vendor(
    spec=SPEC,
    errors={
        202: _still_running,
        222: _still_running,
        402: refused,
        403: _too_fast,
        429: _quota_spent,
        451: _claimed,
    },
)


class Hunter:
    """Finds and verifies addresses.

    Extra settings: `max_duration` (3 to 20 s that a search may take there; default 10).
    """

    name = SPEC.name
    gives = frozenset(
        {
            FieldName.EMAIL,
            FieldName.EMAIL_STATUS,
            FieldName.TITLE,
            FieldName.LINKEDIN_URL,
            FieldName.PHONE,
            FieldName.COMPANY_NAME,
        }
    )

    def __init__(self, settings: ProviderSettings, gate: Gate, http: Http, clock: Clock) -> None:
        self._client = ProviderClient(_VENDOR, settings, gate, http, clock)
        self._extra = settings.extra
        self._clock = clock
        self._renews_at: datetime | None = None

    def may_ask(self, subject: PersonSubject) -> bool:
        """Whether there is a whole name and a domain."""
        return bool(subject.company_domain and _name_params(subject))

    def is_certain(self, _subject: PersonSubject) -> bool:
        """Never: the finder asks by a name and a domain."""
        return False

    async def enrich(self, subject: PersonSubject) -> PersonAnswer:
        """Find the address of one person."""
        params = {"domain": subject.company_domain, **_name_params(subject)}
        if "max_duration" in self._extra:
            params["max_duration"] = str(self._extra["max_duration"])
        question = msgspec.structs.replace(
            query_question(params, subject.subject_id),
            name=person_name(subject, subject.company_domain),
        )
        reply = await self._ask_paid(_FINDER, question, self._read_finding)
        if not reply.found:
            return miss(reply)
        evidence = self._client.evidence(_FINDER, reply)
        _add_finding(evidence, self._client.decode(reply.body, _Found).data)
        return evidence.person_answer()

    async def enrich_many(self, subjects: Sequence[PersonSubject]) -> Sequence[PersonAnswer]:
        """Refuse: Hunter finds one address a call."""
        raise Unsupported(f"hunter has no bulk call: ask for the {len(subjects)} one by one")

    async def verify(self, email: str, subject_id: str) -> EmailVerdict:
        """Check one address; Throttled while the check still runs (billed once)."""
        question = query_question({"email": email}, subject_id)
        reply = await self._ask_paid(_VERIFIER, question, self._read_verdict)
        if not reply.found and (seconds := _running_seconds(reply.body)):
            raise ProviderThrottled("hunter is still checking the address", seconds)
        status = EmailStatus.INVALID
        if reply.found:
            word = self._client.decode(reply.body, _Verified).data.status or ""
            status = _VERDICT_WORDS.get(word, EmailStatus.UNKNOWN)
        evidence = self._client.evidence(_VERIFIER, reply)
        evidence.add(FieldName.EMAIL_STATUS, status.value, _CONFIDENCE[status])
        return EmailVerdict(
            status=status,
            observed_at=evidence.observed_at,
            value=evidence.values()[0],
            cost_micros=reply.cost_micros,
            cached=reply.cached,
        )

    async def check_key(self) -> None:
        """Check that the key is accepted."""
        await self._client.fetch(_HEALTH, Question(), _Account)

    async def read_usage(self) -> CreditUsage:
        """Return the credits of this cycle."""
        account = (await self._client.fetch(_USAGE, Question(), _Account)).data
        pools = account.requests or _Pools()
        pool = pools.credits or pools.searches or _Pool()
        left = None
        if pool.used is not None and pool.available is not None:
            left = pool.available - pool.used
        return CreditUsage(used=pool.used, left=left, renews_at=_midnight(account.reset_date))

    async def _ask_paid(
        self, endpoint: ProviderEndpoint, question: Question, read: Callable[[HttpReply], Reply]
    ) -> Reply:
        try:
            return await self._client.ask(endpoint, question, read)
        except ProviderUnfunded as error:
            raise ProviderUnfunded(error.detail, await self._renewal_seconds()) from error

    async def _renewal_seconds(self) -> float:
        """Return how long the quota stays spent: the account says it, the 429 does not."""
        now = self._clock.now()
        if self._renews_at is None or self._renews_at <= now:
            try:
                self._renews_at = (await self.read_usage()).renews_at
            except LeadfloodError:
                return UNFUNDED_SECONDS
        if self._renews_at is None or self._renews_at <= now:
            return UNFUNDED_SECONDS
        return (self._renews_at - now).total_seconds()

    def _read_finding(self, reply: HttpReply) -> Reply:
        if reply.status == 404:  # noqa: PLR2004 - HTTP's own number
            self._client.decode(reply.body, _Faults)  # a page of a gateway is no miss
            return Reply(body=reply.body, found=False)
        has_address = bool(likely_email(self._client.decode(reply.body, _Found).data.email))
        cost = self._client.price("email.find") if has_address else 0
        return Reply(body=reply.body, found=has_address, cost_micros=cost)

    def _read_verdict(self, reply: HttpReply) -> Reply:
        if reply.status in _RUNNING_SECONDS:
            # An answer that is not kept, and no throttling: the other checks go on.
            running = _Running(_RUNNING_SECONDS[reply.status])
            return Reply(body=msgspec.json.encode(running), found=False)
        if reply.status == 400 and "invalid_email" not in _fault_ids(reply):  # noqa: PLR2004 - HTTP's own number
            raise self._client.error_of(reply)
        if reply.status in {400, 404}:
            self._client.decode(reply.body, _Faults)
            return Reply(body=reply.body, found=False)
        if not self._client.decode(reply.body, _Verified).data.status:
            raise ProviderChanged("hunter's verdict holds no status: update the adapter")
        return Reply(body=reply.body, cost_micros=self._client.price("email.verify"))


def _running_seconds(body: bytes) -> float:
    try:
        return msgspec.json.decode(body, type=_Running).still_running_seconds
    except (msgspec.DecodeError, UnicodeDecodeError):
        return 0.0


def _name_params(subject: PersonSubject) -> Mapping[str, str]:
    """Return the person's name in Hunter's parameters; empty when the name is not whole."""
    if subject.first_name and subject.last_name:
        return {"first_name": subject.first_name, "last_name": subject.last_name}
    if " " in subject.full_name.strip():
        return {"full_name": subject.full_name.strip()}
    return {}


def _add_finding(evidence: Evidence, finding: _Finding) -> None:
    confidence = min(1.0, max(0.0, (finding.score or 0) / 100))
    word = (finding.verification.status if finding.verification else None) or "unknown"
    status = _FOUND_WORDS.get(word, EmailStatus.UNKNOWN)
    evidence.add(FieldName.EMAIL, likely_email(finding.email), confidence)
    evidence.add(FieldName.EMAIL_STATUS, status.value, _CONFIDENCE[status])
    evidence.add(FieldName.TITLE, finding.position, 0.7)
    evidence.add(FieldName.LINKEDIN_URL, web_url(finding.linkedin_url or ""), 0.8)
    evidence.add(FieldName.PHONE, finding.phone_number, 0.7)
    evidence.add(FieldName.COMPANY_NAME, finding.company, 0.7)


def _midnight(day: str | None) -> datetime | None:
    try:
        return datetime.combine(date.fromisoformat((day or "")[:10]), time(), UTC)
    except ValueError:
        return None
