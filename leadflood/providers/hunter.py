"""Hunter.io: the e-mail address of a named person at a domain, and whether an address exists.

Plan: any paid plan with unified credits.
Docs: https://hunter.io/api-documentation/v2, read 2026-08-13; credit prices: help article 1911617.

Its words are its own: 403 is throttling, 429 a spent quota, 451 a person who asked to be left alone
(PersonOptedOut: that person must be suppressed). There are no rate headers.
"""

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, date, datetime, time
from decimal import Decimal
from uuid import UUID

import msgspec

from leadflood.contracts.errors import (
    PersonOptedOut,
    ProviderChanged,
    ProviderDown,
    ProviderKeyRefused,
    ProviderRefused,
    ProviderThrottled,
    ProviderUnfunded,
    Unsupported,
)
from leadflood.contracts.ports.account import AccountReader, CreditUsage
from leadflood.contracts.ports.email import EmailVerdict, EmailVerifier
from leadflood.contracts.ports.people import PersonAnswer, PersonEnricher, PersonSubject
from leadflood.contracts.provider import ProviderSettings, ProviderSpec
from leadflood.contracts.values import EmailStatus, FieldName
from leadflood.contracts.wire import (
    Evidence,
    api_key,
    base_url,
    canonical,
    decode_answer,
    detail_of,
    likely_email,
    price_micros,
    refuse_unusual,
    web_url,
)
from leadflood.engine.clock import Clock
from leadflood.engine.errors import LeadfloodError
from leadflood.engine.net.call import (
    Call,
    Cut,
    Gate,
    Http,
    HttpReply,
    Reply,
    Unreached,
    Window,
    WindowKind,
)

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

# 202: call again, billed once. 222: the other mail server is odd. 403: too fast, not forbidden.
_WAITS = {
    202: ("is still working on it", 5.0),
    222: ("could not make out the other mail server, try later", 60.0),
    403: ("says wait", 5.0),
}
_VERIFIER = "/email-verifier"
_STILL_RUNNING = {202, 222}
_UNFUNDED_SECONDS = 3_600.0

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


class _Check(msgspec.Struct):
    status: str | None = None


class _Finding(msgspec.Struct):
    email: str | None = None
    score: float | None = None
    position: str | None = None
    linkedin_url: str | None = None
    phone_number: str | None = None
    company: str | None = None
    verification: _Check | None = None


class _Found(msgspec.Struct):
    data: _Finding


class _Running(msgspec.Struct):
    """Our own words for a check that still runs; Hunter's body for it is not documented."""

    still_running_seconds: float = 0.0


class _Verified(msgspec.Struct):
    data: _Check


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


class _Account(msgspec.Struct):
    class Told(msgspec.Struct):
        reset_date: str | None = None
        requests: _Pools | None = None

    data: Told


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
        self._settings = settings
        self._gate = gate
        self._http = http
        self._clock = clock
        self._base_url = base_url(SPEC, settings)
        self._renews_at: datetime | None = None

    def may_ask(self, subject: PersonSubject) -> bool:
        """Tell whether there is a whole name and a domain."""
        return bool(subject.company_domain and _name_of(subject))

    async def enrich(self, subject: PersonSubject) -> PersonAnswer:
        """Find the address of one person."""
        params = {"domain": subject.company_domain, **_name_of(subject)}
        if "max_duration" in self._settings.extra:
            params["max_duration"] = str(self._settings.extra["max_duration"])
        call = self._paid_call("email.find", "finder", params, subject.subject_id)
        reply = await self._ask_paid(call, "/email-finder", params, self._read_finding)
        if not reply.found:
            return PersonAnswer(found=False, cost_micros=reply.cost_micros, cached=reply.cached)
        found = decode_answer(SPEC.name, reply.body, _Found).data
        evidence = Evidence(SPEC.name, "email.find", reply, self._clock.now())
        _tell(evidence, found)
        return PersonAnswer(
            found=True,
            values=evidence.values(),
            cost_micros=reply.cost_micros,
            cached=reply.cached,
        )

    async def enrich_many(self, subjects: Sequence[PersonSubject]) -> Sequence[PersonAnswer]:
        """Refuse: Hunter finds one address a call."""
        raise Unsupported(f"hunter has no bulk call: ask for the {len(subjects)} one by one")

    async def verify(self, email: str, subject_id: str) -> EmailVerdict:
        """Check one address; Throttled while the check still runs (billed once)."""
        params = {"email": email}
        call = self._paid_call("email.verify", "verifier", params, subject_id)
        call = msgspec.structs.replace(call, miss_seconds=0.0)
        reply = await self._ask_paid(call, _VERIFIER, params, self._read_verdict)
        if not reply.found and (seconds := _running_seconds(reply.body)):
            raise ProviderThrottled("hunter is still checking the address", seconds)
        status = EmailStatus.INVALID
        if reply.found:
            word = decode_answer(SPEC.name, reply.body, _Verified).data.status or ""
            status = _VERDICT_WORDS.get(word, EmailStatus.UNKNOWN)
        evidence = Evidence(SPEC.name, "email.verify", reply, self._clock.now())
        evidence.add(FieldName.EMAIL_STATUS, status.value, _CONFIDENCE[status])
        return EmailVerdict(
            status=status,
            observed_at=evidence.observed_at,
            value=evidence.values()[0],
            cost_micros=reply.cost_micros,
            cached=reply.cached,
        )

    async def check_key(self) -> None:
        """Ask whether the key is accepted."""
        await self._account("account.health")

    async def read_usage(self) -> CreditUsage:
        """Read the credits of this cycle."""
        told = (await self._account("account.usage")).data
        pools = told.requests or _Pools()
        pool = pools.credits or pools.searches or _Pool()
        left = None
        if pool.used is not None and pool.available is not None:
            left = pool.available - pool.used
        return CreditUsage(used=pool.used, left=left, renews_at=_midnight(told.reset_date))

    async def _account(self, operation: str) -> _Account:
        call = Call(
            provider=SPEC.name,
            operation=operation,
            question=b"",
            limit="account",
            timeout_seconds=self._settings.timeout_seconds,
        )
        reply = await self._ask(call, "/account", {}, _read_account)
        return decode_answer(SPEC.name, reply.body, _Account)

    def _paid_call(
        self, operation: str, limit: str, params: Mapping[str, str], subject_id: str
    ) -> Call:
        return Call(
            provider=SPEC.name,
            operation=operation,
            question=canonical(params),
            limit=limit,
            max_cost_micros=price_micros(SPEC.credits[operation], self._settings),
            subjects=(subject_id,),
            answer_seconds=self._settings.answer_days * 86_400,
            miss_seconds=self._settings.miss_days * 86_400,
            timeout_seconds=self._settings.timeout_seconds,
        )

    async def _ask_paid(
        self,
        call: Call,
        path: str,
        params: Mapping[str, str],
        read: Callable[[HttpReply], Reply],
    ) -> Reply:
        try:
            return await self._ask(call, path, params, read)
        except ProviderUnfunded as error:
            raise ProviderUnfunded(error.detail, await self._until_renewal()) from error

    async def _until_renewal(self) -> float:
        """Tell how long the quota stays spent: the 429 does not say, the account does."""
        now = self._clock.now()
        if self._renews_at is None or self._renews_at <= now:
            try:
                self._renews_at = (await self.read_usage()).renews_at
            except LeadfloodError:
                return _UNFUNDED_SECONDS
        if self._renews_at is None or self._renews_at <= now:
            return _UNFUNDED_SECONDS
        return (self._renews_at - now).total_seconds()

    async def _ask(
        self,
        call: Call,
        path: str,
        params: Mapping[str, str],
        read: Callable[[HttpReply], Reply],
    ) -> Reply:
        key = api_key(SPEC, self._settings)

        async def send(reference: UUID) -> Reply:
            reply = await self._http.request(
                "GET",
                self._base_url + path,
                headers={
                    "x-api-key": key,
                    "accept": "application/json",
                    "x-request-id": str(reference),
                },
                params=params,
                timeout_seconds=self._settings.timeout_seconds,
            )
            if not (path == _VERIFIER and reply.status in _STILL_RUNNING):
                _refuse(reply, self._clock.now())
            return read(reply)

        try:
            return await self._gate.call(call, send)
        except (Unreached, Cut) as error:
            raise ProviderDown(f"hunter cannot be reached: {error.detail}") from error

    def _read_finding(self, reply: HttpReply) -> Reply:
        # Not found is 200 with a null address (clients) or 404 (one copy of the specification).
        if reply.status == 404:  # noqa: PLR2004 - HTTP's own number
            return Reply(body=reply.body, found=False)
        found = bool(likely_email(decode_answer(SPEC.name, reply.body, _Found).data.email))
        cost = price_micros(SPEC.credits["email.find"], self._settings) if found else 0
        return Reply(body=reply.body, found=found, cost_micros=cost)

    def _read_verdict(self, reply: HttpReply) -> Reply:
        if reply.status in _STILL_RUNNING:
            # Told as an answer that is not kept: it is no throttling, the other checks go on.
            _, seconds = _WAITS[reply.status]
            return Reply(body=msgspec.json.encode(_Running(seconds)), found=False)
        if reply.status in {400, 404}:
            return Reply(body=reply.body, found=False)
        word = decode_answer(SPEC.name, reply.body, _Verified).data.status
        if not word:
            raise ProviderChanged("hunter's verdict holds no status: update the adapter")
        return Reply(
            body=reply.body, cost_micros=price_micros(SPEC.credits["email.verify"], self._settings)
        )


def _running_seconds(body: bytes) -> float:
    try:
        return msgspec.json.decode(body, type=_Running).still_running_seconds
    except (msgspec.DecodeError, UnicodeDecodeError):
        return 0.0


def _name_of(subject: PersonSubject) -> dict[str, str]:
    """Name the person in Hunter's parameters; empty when the name is not whole."""
    if subject.first_name and subject.last_name:
        return {"first_name": subject.first_name, "last_name": subject.last_name}
    if " " in subject.full_name.strip():
        return {"full_name": subject.full_name.strip()}
    return {}


def _tell(evidence: Evidence, found: _Finding) -> None:
    sure = min(1.0, max(0.0, (found.score or 0) / 100))
    word = (found.verification.status if found.verification else None) or "unknown"
    status = _FOUND_WORDS.get(word, EmailStatus.UNKNOWN)
    evidence.add(FieldName.EMAIL, likely_email(found.email), sure)
    evidence.add(FieldName.EMAIL_STATUS, status.value, _CONFIDENCE[status])
    evidence.add(FieldName.TITLE, found.position, 0.7)
    evidence.add(FieldName.LINKEDIN_URL, web_url(found.linkedin_url or ""), 0.8)
    evidence.add(FieldName.PHONE, found.phone_number, 0.7)
    evidence.add(FieldName.COMPANY_NAME, found.company, 0.7)


def _read_account(reply: HttpReply) -> Reply:
    decode_answer(SPEC.name, reply.body, _Account)
    return Reply(body=reply.body)


def _midnight(told: str | None) -> datetime | None:
    try:
        return datetime.combine(date.fromisoformat((told or "")[:10]), time(), UTC)
    except ValueError:
        return None


def _refuse(reply: HttpReply, now: datetime) -> None:
    """Translate every status that is not an answer; 404 is one, and so is a bad address."""
    fault_ids = _fault_ids(reply)
    if reply.status in {200, 404} or (reply.status == 400 and "invalid_email" in fault_ids):  # noqa: PLR2004 - HTTP's own number
        return
    refuse_unusual(SPEC.name, reply, now)
    detail = detail_of(reply)
    if reply.status in _WAITS and "no_discover_access" not in fault_ids:
        text, seconds = _WAITS[reply.status]
        raise ProviderThrottled(f"hunter {text}: {detail}", seconds)
    match reply.status:
        case 401:
            raise ProviderKeyRefused(
                f"hunter refuses the key: set providers.hunter.api_key; it says: {detail}"
            )
        case 429:
            raise ProviderUnfunded(f"hunter's quota is used up: {detail}", _UNFUNDED_SECONDS)
        case 451:
            raise PersonOptedOut(
                f"this person asked hunter to stop: suppress them; it says: {detail}"
            )
        case status if status < 300:  # noqa: PLR2004 - the border of RFC 9110's class
            raise ProviderChanged(f"hunter answered an undocumented {status}")
        case _:
            raise ProviderRefused(f"hunter answered {reply.status}: {detail}")


def _fault_ids(reply: HttpReply) -> set[str]:
    try:
        faults = msgspec.json.decode(reply.body, type=_Faults).errors
    except (msgspec.DecodeError, UnicodeDecodeError):
        return set()
    return {fault.id for fault in faults if fault.id}
