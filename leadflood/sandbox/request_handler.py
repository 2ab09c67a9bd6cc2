"""Request handling: key, faults, quota, work, journal, response; the same for every provider."""

from collections.abc import Mapping
from contextlib import suppress
from decimal import Decimal
from typing import Final

import anyio
import msgspec
from aiohttp import web

from leadflood.engine.clock import Clock
from leadflood.sandbox.faults import Aftermath, Fault, FaultInjector, Injection
from leadflood.sandbox.journal import Journal, JournalEntry
from leadflood.sandbox.prices import Limit, QuotaWindowKind, limits_of
from leadflood.sandbox.provider_protocol import (
    Operation,
    PretendProvider,
    ProviderRequest,
    ProviderResponse,
    RequestRefusal,
    json_response,
)
from leadflood.sandbox.quota import Quota, WindowUsage

_HUGE_BYTES: Final = 100 * 1024 * 1024
_CHUNK: Final = b"x" * (1024 * 1024)
_GARBAGE: Final = b'{"people": [{"id": \xff\xfe<html>'
_PAGE: Final = b"<html><head><title>nginx</title></head><body>Something went wrong</body></html>"
_PAGE_STATUSES: Final = {
    Aftermath.BAD_GATEWAY: 502,
    Aftermath.GATEWAY_TIMEOUT: 504,
    Aftermath.PAGE: 200,
}
_REFUSING: Final = {
    Fault.THROTTLED: RequestRefusal.THROTTLED,
    Fault.THROTTLED_BARE: RequestRefusal.THROTTLED,
    Fault.SERVER_ERROR: RequestRefusal.SERVER_ERROR,
}

_ALMOST_OVER: Final = WindowUsage(Limit(200, 60), used=200, resets_in_seconds=1.0)


class SandboxRules(msgspec.Struct, frozen=True, kw_only=True):
    """The world's rules for its customers, and how fast it answers.

    Attributes:
        seed: Decides which requests meet a fault.
        plan_multiplier: Times the documented rate limits.
        window_kind: Makes all windows of one kind; None keeps the documented kinds.
        limits: Windows by endpoint group, in place of the documented ones.
        credits: Credits by provider; an absent provider does not count them.
        latency_seconds: Usual latency by provider.
        slow_seconds: What a slow response takes on top.
    """

    seed: int
    plan_multiplier: int
    window_kind: QuotaWindowKind | None
    limits: dict[str, tuple[Limit, ...]]
    credits: dict[str, Decimal]
    latency_seconds: dict[str, float]
    slow_seconds: float


class OpenCall(msgspec.Struct, frozen=True, kw_only=True):
    """A request without a response yet.

    Attributes:
        provider: Who was called.
        operation: The provider's own name of the endpoint.
        reference: The caller's reference.
        opened_at: When it came in, in ISO 8601.
        is_done: Whether the work is done and billed.
    """

    provider: str
    operation: str
    reference: str
    opened_at: str
    is_done: bool


class SandboxState:
    """State that all requests share: rules, journal, faults, quotas and the open calls."""

    def __init__(self, rules: SandboxRules, journal: Journal, clock: Clock) -> None:
        self.rules = rules
        self.journal = journal
        self.clock = clock
        self.fault_injector = FaultInjector()
        self.open_calls: dict[int, OpenCall] = {}
        self._quotas: dict[str, Quota] = {}
        self._request_counts = dict(journal.request_counts)
        self._numbers = 0

    def open(self, provider: str, operation: str, reference: str) -> int:
        """Register a call and return its number."""
        self._numbers += 1
        at = self.clock.now().isoformat()
        self.open_calls[self._numbers] = OpenCall(
            provider=provider, operation=operation, reference=reference, opened_at=at, is_done=False
        )
        return self._numbers

    def mark_done(self, number: int) -> None:
        """Mark the work of an open call as done and billed."""
        call = self.open_calls[number]
        self.open_calls[number] = msgspec.structs.replace(call, is_done=True)

    def close(self, number: int) -> None:
        """Drop a call that is answered, or whose caller has gone."""
        self.open_calls.pop(number, None)

    def count_request(self, provider: str) -> int:
        """Count a request and return how many its provider had before."""
        number = self._request_counts.get(provider, 0)
        self._request_counts[provider] = number + 1
        return number

    def quota(self, provider: str, operation: Operation) -> Quota:
        """Return the windows of an endpoint."""
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
        """Return the credits of a plan; None where credits are not counted."""
        return self.rules.credits.get(provider)

    async def wait(self, provider: str, injection: Injection | None) -> None:
        """Wait the provider's usual latency, and longer for a slow response."""
        seconds = self.rules.latency_seconds.get(provider, 0.0)
        if injection and injection.fault is Fault.SLOW:
            seconds += self.rules.slow_seconds
        if seconds > 0:
            await self.clock.sleep(seconds)

    def entry(
        self,
        provider: str,
        operation: str,
        reference: str,
        response: ProviderResponse | None,
        injection: Injection | None,
    ) -> JournalEntry:
        """Return the journal entry of a request; without a response it is never answered."""
        bare = JournalEntry(
            at=self.clock.now().isoformat(),
            provider=provider,
            operation=operation,
            status=response.status if response else 0,
            reference=reference,
            fault=injection.fault.value if injection else "",
        )
        if response is None:
            return bare
        return msgspec.structs.replace(
            bare,
            credits=response.credits,
            amount_micros=response.amount_micros,
            subjects=response.subjects,
            delivery=response.delivery,
        )


class RequestHandler:
    """Handles one HTTP request, from key to response."""

    def __init__(
        self, state: SandboxState, provider: PretendProvider, request: web.BaseRequest, path: str
    ) -> None:
        self._state = state
        self._provider = provider
        self._request = request
        self._operation = provider.find_operation(request.method, path)
        self._reference = request.headers.get("x-request-id", "")
        self._query: Mapping[str, list[str]] = _query(request)
        self._headers: dict[str, str] = {}
        self._injection: Injection | None = None
        self._call = 0

    async def serve(self) -> web.StreamResponse:
        """Take the request through all steps and return the response."""
        name = self._operation.name if self._operation else "unknown"
        self._call = self._state.open(self._provider.name, name, self._reference)
        try:
            return await self._serve(name)
        finally:
            self._state.close(self._call)

    async def _serve(self, name: str) -> web.StreamResponse:
        state, provider = self._state, self._provider
        number = state.count_request(provider.name)
        refused = self._check_caller() or self._inject_fault(number) or self._check_quota()
        if refused is not None:
            self._record(name, refused)
            return self._respond(refused)
        injection = self._injection
        if injection and injection.is_early and injection.fault is Fault.CUT:
            self._record(name, None)
            return self._disconnect()
        body = await self._request.read()
        if injection and injection.is_early and injection.fault is Fault.TIMEOUT:
            self._record(name, None)
            await anyio.sleep_forever()
        response = self._distort(self._work(body, number))
        self._record(name, response)
        state.mark_done(self._call)
        await state.wait(provider.name, injection)
        return await self._reply(response)

    def _check_caller(self) -> ProviderResponse | None:
        if not self._provider.accepts_key(self._request.headers, self._query):
            return self._provider.refuse(RequestRefusal.UNAUTHORIZED, self._operation, None)
        if self._operation is None:
            return self._provider.refuse(RequestRefusal.NOT_FOUND, None, None)
        return None

    def _inject_fault(self, number: int) -> ProviderResponse | None:
        state = self._state
        self._injection = state.fault_injector.pick_fault(
            state.rules.seed, self._provider.name, number
        )
        refusal = _REFUSING.get(self._injection.fault) if self._injection else None
        if refusal is None or self._injection is None:
            return None
        usage = _ALMOST_OVER if self._injection.fault is Fault.THROTTLED else None
        return self._provider.refuse(refusal, self._operation, usage)

    def _check_quota(self) -> ProviderResponse | None:
        if self._operation is None:
            return None
        state, provider = self._state, self._provider
        now = state.clock.now().timestamp()
        quota = state.quota(provider.name, self._operation)
        full = quota.take(now)
        self._headers = provider.rate_headers(quota.usages(now), now)
        return provider.refuse(RequestRefusal.THROTTLED, self._operation, full) if full else None

    def _work(self, body: bytes, number: int) -> ProviderResponse:
        state, provider = self._state, self._provider
        operation = self._operation or Operation("unknown", "")
        limit, used = state.credits_limit(provider.name), state.journal.credits[provider.name]
        request = ProviderRequest(
            operation=operation,
            query=self._query,
            body=body,
            fault=self._injection.fault if self._injection else None,
            credits_used=used,
            credits_limit=limit,
            now=state.clock.now().timestamp(),
            number=number,
        )
        response = provider.respond(request)
        if limit is not None and response.credits and used + response.credits > limit:
            return provider.refuse(RequestRefusal.OUT_OF_CREDITS, operation, None)
        return response

    def _distort(self, response: ProviderResponse) -> ProviderResponse:
        """Return what answers in place of the one who has done the work; the bill stays."""
        injection = self._injection
        if injection is None or injection.fault is not Fault.ACTED_5XX:
            return response
        aftermath = injection.aftermath
        if aftermath is Aftermath.ERROR:
            words = self._provider.refuse(RequestRefusal.SERVER_ERROR, self._operation, None)
            return msgspec.structs.replace(response, status=words.status, body=words.body)
        if (status := _PAGE_STATUSES.get(aftermath)) is None:
            return response
        return msgspec.structs.replace(
            response, status=status, body=_PAGE, content_type="text/html"
        )

    def _record(self, name: str, response: ProviderResponse | None) -> None:
        state = self._state
        state.journal.record(
            state.entry(self._provider.name, name, self._reference, response, self._injection)
        )

    async def _reply(self, response: ProviderResponse) -> web.StreamResponse:
        injection = self._injection
        if injection is None:
            return self._respond(response)
        match injection.late_fault:
            case Fault.TIMEOUT:
                await anyio.sleep_forever()
            case Fault.CUT:
                return await self._cut(response)
            case Fault.GARBAGE:
                return self._respond(msgspec.structs.replace(response, body=_GARBAGE))
            case Fault.HUGE:
                return await self._flood(response)
            case _:
                pass
        return self._respond(response)

    def _respond(self, response: ProviderResponse) -> web.Response:
        return web.Response(
            status=response.status,
            body=response.body,
            content_type=response.content_type,
            headers=self._headers | response.headers,
        )

    def _disconnect(self) -> web.StreamResponse:
        if self._request.transport is not None:
            self._request.transport.abort()
        return web.Response()

    async def _cut(self, response: ProviderResponse) -> web.StreamResponse:
        stream = web.StreamResponse(status=response.status)
        stream.content_type = response.content_type
        stream.content_length = len(response.body)
        with suppress(ConnectionError):
            await stream.prepare(self._request)
            await stream.write(response.body[: len(response.body) // 2])
        if self._request.transport is not None:
            self._request.transport.close()
        return stream

    async def _flood(self, response: ProviderResponse) -> web.StreamResponse:
        stream = web.StreamResponse(status=response.status)
        stream.content_type = response.content_type
        stream.content_length = _HUGE_BYTES
        with suppress(ConnectionError):
            await stream.prepare(self._request)
            for _ in range(_HUGE_BYTES // len(_CHUNK)):
                await stream.write(_CHUNK)
        return stream


def _query(request: web.BaseRequest) -> dict[str, list[str]]:
    if not request.query_string:
        return {}
    query: dict[str, list[str]] = {}
    for name, value in request.rel_url.query.items():
        query.setdefault(name, []).append(value)
    return query


class Counters(msgspec.Struct, frozen=True, kw_only=True):
    """Totals: requests by provider, operation and status; faults by provider; messages by key."""

    requests: dict[str, dict[str, dict[str, int]]]
    faults: dict[str, dict[str, int]]
    messages: dict[str, int]
    open: int


def count_requests(state: SandboxState) -> Counters:
    """Return the totals of the journal."""
    requests: dict[str, dict[str, dict[str, int]]] = {}
    for (provider, operation, status), count in state.journal.statuses.items():
        requests.setdefault(provider, {}).setdefault(operation, {})[str(status)] = count
    faults: dict[str, dict[str, int]] = {}
    for (provider, fault), count in state.journal.faults.items():
        faults.setdefault(provider, {})[fault] = count
    return Counters(
        requests=requests,
        faults=faults,
        messages={mail.key: mail.count for mail in state.journal.list_messages()},
        open=len(state.open_calls),
    )


async def handle_admin_request(
    state: SandboxState, request: web.BaseRequest, path: str
) -> web.Response:
    """Answer the admin endpoints of the world itself."""
    match request.method, path:
        case "GET", "counters":
            response = json_response(count_requests(state))
        case "GET", "invoices":
            response = json_response(state.journal.list_invoice_lines())
        case "GET", "messages":
            response = json_response(state.journal.list_messages())
        case "GET", "open":
            response = json_response(list(state.open_calls.values()))
        case "POST", "faults":
            response = await _change_faults(state, request)
        case _:
            response = json_response(
                {"error": "unknown: counters, invoices, messages, open, faults"}, 404
            )
    return web.Response(
        status=response.status, body=response.body, content_type=response.content_type
    )


async def _change_faults(state: SandboxState, request: web.BaseRequest) -> ProviderResponse:
    try:
        state.fault_injector = msgspec.json.decode(await request.read(), type=FaultInjector)
    except msgspec.DecodeError as error:
        return json_response({"error": str(error)}, 400)
    return json_response(state.fault_injector)
