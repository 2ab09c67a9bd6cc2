"""The door of the pretend world: key, weather, quota, work, books, answer; the same for all."""

from collections.abc import Mapping
from contextlib import suppress
from decimal import Decimal
from typing import Final

import anyio
import msgspec
from aiohttp import web

from leadflood.engine.clock import Clock
from leadflood.sandbox.books import Books, Entry
from leadflood.sandbox.faults import Fault, Hit, Weather
from leadflood.sandbox.plans import Limit, WindowKind, limits_of
from leadflood.sandbox.quota import Quota, Usage
from leadflood.sandbox.shop import Answer, Operation, Question, Refusal, Shop, say

_HUGE_BYTES: Final = 100 * 1024 * 1024
_CHUNK: Final = b"x" * (1024 * 1024)
_GARBAGE: Final = b'{"people": [{"id": \xff\xfe<html>'
_REFUSING: Final = {
    Fault.THROTTLED: Refusal.THROTTLED,
    Fault.THROTTLED_BARE: Refusal.THROTTLED,
    Fault.SERVER_ERROR: Refusal.SERVER_ERROR,
}

_ALMOST_OVER: Final = Usage(Limit(200, 60), used=200, resets_in_seconds=1.0)


class Rules(msgspec.Struct, frozen=True, kw_only=True):
    """How the world treats its customers."""

    seed: int
    plan_multiplier: int
    window_kind: WindowKind | None
    limits: dict[str, tuple[Limit, ...]]
    credits: dict[str, Decimal]
    latency_seconds: dict[str, float]
    slow_seconds: float


class OpenCall(msgspec.Struct, frozen=True, kw_only=True):
    """A request that has arrived and has no answer yet; `is_done`: the work is done and billed."""

    provider: str
    operation: str
    reference: str
    opened_at: str
    is_done: bool


class Desk:
    """Takes every call of every provider; knows which are open."""

    def __init__(self, rules: Rules, books: Books, clock: Clock) -> None:
        self.rules = rules
        self.books = books
        self.clock = clock
        self.weather = Weather()
        self.open_calls: dict[int, OpenCall] = {}
        self._quotas: dict[str, Quota] = {}
        self._visits = dict(books.visits)
        self._numbers = 0

    def open(self, provider: str, operation: str, reference: str) -> int:
        """Note a call that has come in."""
        self._numbers += 1
        at = self.clock.now().isoformat()
        self.open_calls[self._numbers] = OpenCall(
            provider=provider, operation=operation, reference=reference, opened_at=at, is_done=False
        )
        return self._numbers

    def mark_done(self, number: int) -> None:
        """Note that an open call's work is done and billed."""
        call = self.open_calls[number]
        self.open_calls[number] = msgspec.structs.replace(call, is_done=True)

    def close(self, number: int) -> None:
        """Note that a call is answered, or that the caller has gone."""
        self.open_calls.pop(number, None)

    def count_visit(self, provider: str) -> int:
        """Tell how many requests a provider has had before this one."""
        number = self._visits.get(provider, 0)
        self._visits[provider] = number + 1
        return number

    def quota(self, provider: str, operation: Operation) -> Quota:
        """Find the windows of an endpoint."""
        key = operation.group if operation.is_shared else f"{provider}:{operation.name}"
        quota = self._quotas.get(key)
        if quota is None:
            rules = self.rules
            limits = limits_of(
                operation.group,
                rules.plan_multiplier,
                rules.window_kind,
                rules.limits.get(operation.group),
            )
            quota = self._quotas[key] = Quota(limits)
        return quota

    def credits_limit(self, provider: str) -> Decimal | None:
        """Tell how many credits a plan has; None where credits are not counted."""
        return self.rules.credits.get(provider)

    async def wait(self, provider: str, hit: Hit | None) -> None:
        """Let the provider's usual time pass, and more on a slow day."""
        seconds = self.rules.latency_seconds.get(provider, 0.0)
        if hit and hit.fault is Fault.SLOW:
            seconds += self.rules.slow_seconds
        if seconds > 0:
            await self.clock.sleep(seconds)

    def entry(
        self, provider: str, operation: str, reference: str, answer: Answer | None, hit: Hit | None
    ) -> Entry:
        """Write a request down as a line of the books; no answer means it is never answered."""
        bare = Entry(
            at=self.clock.now().isoformat(),
            provider=provider,
            operation=operation,
            status=answer.status if answer else 0,
            reference=reference,
            fault=hit.fault.value if hit else "",
        )
        if answer is None:
            return bare
        return msgspec.structs.replace(
            bare,
            credits=answer.credits,
            amount_micros=answer.amount_micros,
            subjects=answer.subjects,
            delivery=answer.delivery,
        )


class Visit:
    """One HTTP request from door to door."""

    def __init__(self, desk: Desk, shop: Shop, request: web.BaseRequest, path: str) -> None:
        self._desk = desk
        self._shop = shop
        self._request = request
        self._operation = shop.find_operation(request.method, path)
        self._reference = request.headers.get("x-request-id", "")
        self._query: Mapping[str, list[str]] = _query(request)
        self._headers: dict[str, str] = {}
        self._hit: Hit | None = None
        self._call = 0

    async def serve(self) -> web.StreamResponse:
        """Take the request through all steps."""
        name = self._operation.name if self._operation else "unknown"
        self._call = self._desk.open(self._shop.name, name, self._reference)
        try:
            return await self._serve(name)
        finally:
            self._desk.close(self._call)

    async def _serve(self, name: str) -> web.StreamResponse:
        desk, shop = self._desk, self._shop
        number = desk.count_visit(shop.name)
        refused = self._check_caller() or self._strike(number) or self._check_quota()
        if refused is not None:
            self._record(name, refused)
            return self._respond(refused)
        hit = self._hit
        if hit and hit.is_early and hit.fault is Fault.CUT:
            self._record(name, None)
            return self._hang_up()
        body = await self._request.read()
        if hit and hit.is_early and hit.fault is Fault.TIMEOUT:
            self._record(name, None)
            await anyio.sleep_forever()
        answer = self._work(body, number)
        self._record(name, answer)
        desk.mark_done(self._call)
        await desk.wait(shop.name, hit)
        return await self._reply(answer)

    def _check_caller(self) -> Answer | None:
        if not self._shop.may_enter(self._request.headers, self._query):
            return self._shop.refuse(Refusal.UNAUTHORIZED, self._operation, None)
        if self._operation is None:
            return self._shop.refuse(Refusal.NOT_FOUND, None, None)
        return None

    def _strike(self, number: int) -> Answer | None:
        desk = self._desk
        self._hit = desk.weather.strike(desk.rules.seed, self._shop.name, number)
        refusal = _REFUSING.get(self._hit.fault) if self._hit else None
        if refusal is None or self._hit is None:
            return None
        usage = _ALMOST_OVER if self._hit.fault is Fault.THROTTLED else None
        return self._shop.refuse(refusal, self._operation, usage)

    def _check_quota(self) -> Answer | None:
        if self._operation is None:
            return None
        desk, shop = self._desk, self._shop
        now = desk.clock.now().timestamp()
        quota = desk.quota(shop.name, self._operation)
        full = quota.take(now)
        self._headers = shop.rate_headers(quota.usages(now), now)
        return shop.refuse(Refusal.THROTTLED, self._operation, full) if full else None

    def _work(self, body: bytes, number: int) -> Answer:
        desk, shop = self._desk, self._shop
        operation = self._operation or Operation("unknown", "")
        limit, used = desk.credits_limit(shop.name), desk.books.credits[shop.name]
        question = Question(
            operation=operation,
            query=self._query,
            body=body,
            fault=self._hit.fault if self._hit else None,
            credits_used=used,
            credits_limit=limit,
            now=desk.clock.now().timestamp(),
            number=number,
        )
        answer = shop.answer(question)
        if limit is not None and answer.credits and used + answer.credits > limit:
            return shop.refuse(Refusal.OUT_OF_CREDITS, operation, None)
        return answer

    def _record(self, name: str, answer: Answer | None) -> None:
        desk = self._desk
        desk.books.record(desk.entry(self._shop.name, name, self._reference, answer, self._hit))

    async def _reply(self, answer: Answer) -> web.StreamResponse:
        hit = self._hit
        if hit is None:
            return self._respond(answer)
        match hit.fault:
            case Fault.TIMEOUT:
                await anyio.sleep_forever()
            case Fault.CUT:
                return await self._cut(answer)
            case Fault.GARBAGE:
                return self._respond(msgspec.structs.replace(answer, body=_GARBAGE))
            case Fault.HUGE:
                return await self._flood(answer)
            case _:
                pass
        return self._respond(answer)

    def _respond(self, answer: Answer) -> web.Response:
        return web.Response(
            status=answer.status,
            body=answer.body,
            content_type=answer.content_type,
            headers=self._headers | answer.headers,
        )

    def _hang_up(self) -> web.StreamResponse:
        if self._request.transport is not None:
            self._request.transport.abort()
        return web.Response()

    async def _cut(self, answer: Answer) -> web.StreamResponse:
        response = web.StreamResponse(status=answer.status)
        response.content_type = answer.content_type
        response.content_length = len(answer.body)
        with suppress(ConnectionError):
            await response.prepare(self._request)
            await response.write(answer.body[: len(answer.body) // 2])
        if self._request.transport is not None:
            self._request.transport.close()
        return response

    async def _flood(self, answer: Answer) -> web.StreamResponse:
        response = web.StreamResponse(status=answer.status)
        response.content_type = answer.content_type
        response.content_length = _HUGE_BYTES
        with suppress(ConnectionError):
            await response.prepare(self._request)
            for _ in range(_HUGE_BYTES // len(_CHUNK)):
                await response.write(_CHUNK)
        return response


def _query(request: web.BaseRequest) -> dict[str, list[str]]:
    if not request.query_string:
        return {}
    query: dict[str, list[str]] = {}
    for name, value in request.rel_url.query.items():
        query.setdefault(name, []).append(value)
    return query


class Counters(msgspec.Struct, frozen=True, kw_only=True):
    """What the world has seen: provider → operation → status → how often; and more of the kind."""

    requests: dict[str, dict[str, dict[str, int]]]
    faults: dict[str, dict[str, int]]
    messages: dict[str, int]
    open: int


def count_up(desk: Desk) -> Counters:
    """Add the books up."""
    requests: dict[str, dict[str, dict[str, int]]] = {}
    for (provider, operation, status), count in desk.books.statuses.items():
        requests.setdefault(provider, {}).setdefault(operation, {})[str(status)] = count
    faults: dict[str, dict[str, int]] = {}
    for (provider, fault), count in desk.books.faults.items():
        faults.setdefault(provider, {})[fault] = count
    return Counters(
        requests=requests,
        faults=faults,
        messages={mail.key: mail.count for mail in desk.books.mails()},
        open=len(desk.open_calls),
    )


async def administer(desk: Desk, request: web.BaseRequest, path: str) -> web.Response:
    """Answer the world's own endpoints, which no provider has."""
    match request.method, path:
        case "GET", "counters":
            answer = say(count_up(desk))
        case "GET", "invoices":
            answer = say(desk.books.invoice())
        case "GET", "messages":
            answer = say(desk.books.mails())
        case "GET", "open":
            answer = say(list(desk.open_calls.values()))
        case "POST", "faults":
            answer = await _change_weather(desk, request)
        case _:
            answer = say({"error": "unknown: counters, invoices, messages, open, faults"}, 404)
    return web.Response(status=answer.status, body=answer.body, content_type=answer.content_type)


async def _change_weather(desk: Desk, request: web.BaseRequest) -> Answer:
    try:
        desk.weather = msgspec.json.decode(await request.read(), type=Weather)
    except msgspec.DecodeError as error:
        return say({"error": str(error)}, 400)
    return say(desk.weather)
