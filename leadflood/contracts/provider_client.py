"""Provider client: the frame that every adapter shares, from question to priced reply.

    question → gate → request with key and reference → status → typed answer → reply

An adapter holds a `ProviderClient` and adds what is the vendor's own: its card, its wire structs,
its words. What is not an answer is an error by the table of `vendor_http`; a call that got
nowhere is `ProviderDown`, or `Unsure` where it may have had an effect.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from decimal import ROUND_CEILING, Decimal
from typing import Any, TypeVar
from uuid import UUID

import msgspec

from leadflood.contracts.errors import ProviderChanged, ProviderDown
from leadflood.contracts.evidence import Evidence
from leadflood.contracts.ports.people import PersonSubject
from leadflood.contracts.provider_spec import ProviderSettings
from leadflood.contracts.vendor_http import Failure, Vendor, judge_error, refused, status_error
from leadflood.engine.clock import Clock
from leadflood.engine.errors import LeadfloodError, NotConfigured, Unsure
from leadflood.engine.net.calls import (
    BulkCallItem,
    BulkReply,
    Call,
    Cut,
    Gate,
    Http,
    HttpReply,
    Prepare,
    Reply,
    Send,
    Unreached,
)
from leadflood.engine.net.shares import split_evenly

T = TypeVar("T")

SUCCESSES = frozenset(range(200, 300))
_DAY_SECONDS = 86_400


class ProviderEndpoint(msgspec.Struct, frozen=True):
    """One call that the vendor documents.

    Attributes:
        operation: Our name of it, priced in the card's `credits`.
        limit: The windows it counts in, one of the card's `limits`.
        method: The HTTP method.
        path: The path under the base URL.
        answers: Statuses that are an answer; any other is an error.
        is_kept: Whether answers are kept, to be used again.
        keeps_misses: Whether a miss is kept too.
        is_effect: Whether the call does something that must not be done twice.
    """

    operation: str
    limit: str
    method: str = "GET"
    path: str = ""
    answers: frozenset[int] = frozenset({200})
    is_kept: bool = False
    keeps_misses: bool = True
    is_effect: bool = False


class Question(msgspec.Struct, frozen=True, kw_only=True):
    """The question of one call.

    Attributes:
        key: The canonical question: equal keys share an answer.
        name: Its other name, by which a kept hit is found too; empty: it has none.
        params: The query string.
        body: The body of the request.
        subjects: The ids that the call is made for.
        count: How many items it may be charged for.
    """

    key: bytes = b""
    name: bytes = b""
    params: Mapping[str, str] = {}
    body: bytes = b""
    subjects: tuple[str, ...] = ()
    count: int = 1


def canonical(value: Any) -> bytes:
    """Return a value as JSON, so that equal values are equal bytes."""
    return msgspec.json.encode(value, order="deterministic")


def body_question(value: Any, *subjects: str) -> Question:
    """Return a question that travels as a JSON body."""
    body = canonical(value)
    return Question(key=body, body=body, subjects=subjects)


def query_question(params: Mapping[str, str], *subjects: str) -> Question:
    """Return a question that travels as a query string."""
    return Question(key=canonical(params), params=params, subjects=subjects)


def person_name(subject: PersonSubject, *further: str) -> bytes:
    """Return the other name of a question about a person: who it is to us, and what else it asks.

    More becomes known of a person once they are found, and the question is put differently; the
    answer stays theirs.
    """
    return canonical(["person", subject.subject_id, subject.decided, *further])


def ask_of_person(value: Any, subject: PersonSubject) -> Question:
    """Return a question about a person that travels as a JSON body."""
    question = body_question(value, subject.subject_id)
    return msgspec.structs.replace(question, name=person_name(subject))


def price_micros(credits_spent: Decimal, settings: ProviderSettings) -> int:
    """Return what an amount of credits costs, rounded up."""
    exact = credits_spent * settings.credit_price_micros
    return int(exact.to_integral_value(rounding=ROUND_CEILING))


def share_cost(
    bodies: Sequence[bytes],
    hits: Sequence[bool],
    cost_micros: int,
    names_of: Callable[[bytes], tuple[bytes, ...]] = lambda _: (),
) -> BulkReply:
    """Return the replies of a bulk call; the hits share its cost, or all where there is none.

    `names_of` lists the further questions that a hit answers.
    """
    payers = [index for index, is_hit in enumerate(hits) if is_hit] or range(len(bodies))
    costs = dict(zip(payers, split_evenly(cost_micros, len(payers)), strict=True))
    return BulkReply(
        items=tuple(
            Reply(
                body=body,
                found=is_hit,
                cost_micros=costs.get(index, 0),
                names=names_of(body) if is_hit else (),
            )
            for index, (body, is_hit) in enumerate(zip(bodies, hits, strict=True))
        )
    )


@contextmanager
def judging(reply: HttpReply) -> Iterator[None]:
    """Make every error raised while a reply is read tell whether the reply may have cost."""
    try:
        yield
    except LeadfloodError as error:
        judge_error(error, reply)
        raise


class ProviderClient:
    """Asks one vendor; held by its adapter."""

    def __init__(
        self, vendor: Vendor, settings: ProviderSettings, gate: Gate, http: Http, clock: Clock
    ) -> None:
        self._vendor = vendor
        self._spec = vendor.spec
        self._settings = settings
        self._gate = gate
        self._http = http
        self._clock = clock

    @property
    def base_url(self) -> str:
        """The address of the service, without a slash at the end."""
        return (self._settings.base_url or self._spec.base_url).rstrip("/")

    def require_key(self) -> str:
        """Return the key.

        Raises: NotConfigured, naming the setting.
        """
        name = self._spec.name
        if not self._settings.api_key:
            raise NotConfigured(
                f"{name} has no key: set providers.{name}.api_key "
                f"(LEADFLOOD_PROVIDERS__{name.upper()}__API_KEY)"
            )
        return self._settings.api_key

    def price(self, operation: str, count: int = 1) -> int:
        """Return the most that `count` items of an operation cost."""
        return self.cost(self._spec.credits[operation] * count)

    def cost(self, credits_spent: Decimal) -> int:
        """Return what an amount of credits costs."""
        return price_micros(credits_spent, self._settings)

    def evidence(self, endpoint: ProviderEndpoint, reply: Reply) -> Evidence:
        """Return where the values of an answer are gathered."""
        return Evidence(self._spec.name, endpoint.operation, reply, self._clock.now())

    def decode(self, body: bytes, into: type[T]) -> T:
        """Return a JSON answer as its struct.

        Raises: ProviderChanged when it no longer fits.
        """
        try:
            return msgspec.json.decode(body, type=into)
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise ProviderChanged(
                f"{self._spec.name} answered something else than its documented JSON ({error}): "
                "check base_url, or update the adapter"
            ) from error

    async def fetch(self, endpoint: ProviderEndpoint, question: Question, into: type[T]) -> T:
        """Ask, and return the answer as its struct."""

        def read(reply: HttpReply) -> Reply:
            self.decode(reply.body, into)
            return Reply(body=reply.body)

        return self.decode((await self.ask(endpoint, question, read)).body, into)

    async def ask(
        self, endpoint: ProviderEndpoint, question: Question, read: Callable[[HttpReply], Reply]
    ) -> Reply:
        """Ask once; `read` says what an answer's status and body come to, and what it cost."""
        self.require_key()

        async def send(reference: UUID) -> Reply:
            http_reply = await self._exchange(endpoint, question, reference)
            hints = self._vendor.read_hints(http_reply, self._clock.now())
            with judging(http_reply):
                return msgspec.structs.replace(read(http_reply), hints=hints)

        return await self.pass_gate(self.make_call(endpoint, question), send)

    async def ask_many(
        self,
        endpoint: ProviderEndpoint,
        items: Sequence[BulkCallItem],
        write: Callable[[Sequence[BulkCallItem]], bytes],
        read: Callable[[HttpReply, Sequence[BulkCallItem]], BulkReply],
    ) -> Sequence[Reply]:
        """Ask for several items in one call; only those that no kept answer covers are sent."""
        self.require_key()
        question = Question(
            key=b"\n".join(item.question for item in items),
            subjects=tuple(item.subject for item in items),
            count=len(items),
        )

        async def send(reference: UUID, unanswered: Sequence[BulkCallItem]) -> BulkReply:
            body = write(unanswered)
            sent = msgspec.structs.replace(question, body=body)
            http_reply = await self._exchange(endpoint, sent, reference)
            hints = self._vendor.read_hints(http_reply, self._clock.now())
            with judging(http_reply):
                return msgspec.structs.replace(read(http_reply, unanswered), hints=hints)

        try:
            return await self._gate.call_bulk(self.make_call(endpoint, question), items, send)
        except (Unreached, Cut) as error:
            raise self._down(error) from error

    def make_call(self, endpoint: ProviderEndpoint, question: Question) -> Call:
        """Return the call as the gate sees it: priced by the card, kept by the settings."""
        settings = self._settings
        keeps_misses = endpoint.is_kept and endpoint.keeps_misses
        return Call(
            provider=self._spec.name,
            operation=endpoint.operation,
            question=question.key,
            name=question.name,
            limit=endpoint.limit,
            max_cost_micros=self.price(endpoint.operation, question.count),
            subjects=question.subjects,
            answer_seconds=settings.answer_days * _DAY_SECONDS if endpoint.is_kept else 0.0,
            miss_seconds=settings.miss_days * _DAY_SECONDS if keeps_misses else 0.0,
            timeout_seconds=settings.timeout_seconds,
            effect=endpoint.is_effect,
        )

    async def pass_gate(self, call: Call, send: Send, prepare: Prepare = nullcontext) -> Reply:
        """Send a call through the gate.

        Raises: ProviderDown for a call that got nowhere; an effect keeps Unreached and Unsure.
        """
        try:
            return await self._gate.call(call, send, prepare)
        except (Unreached, Cut) as error:
            if call.effect:
                raise
            raise self._down(error) from error

    def error_of(self, reply: HttpReply) -> LeadfloodError:
        """Return the error that a reply stands for."""
        return status_error(Failure(self._vendor, reply, self._clock.now()))

    async def _exchange(
        self, endpoint: ProviderEndpoint, question: Question, reference: UUID
    ) -> HttpReply:
        try:
            reply = await self._http.request(
                endpoint.method,
                self.base_url + endpoint.path,
                headers=self._headers(reference),
                params=question.params,
                body=question.body or None,
                timeout_seconds=self._settings.timeout_seconds,
            )
        except Cut as error:
            if endpoint.is_effect:
                raise Unsure(f"{self._vendor.title} may have sent it: {error.detail}") from error
            raise
        if reply.status in endpoint.answers:
            return reply
        raise self._effect_error(reply) if endpoint.is_effect else self.error_of(reply)

    def _headers(self, reference: UUID) -> dict[str, str]:
        vendor = self._vendor
        return {
            vendor.key_header: vendor.key_prefix + self.require_key(),
            "content-type": "application/json",
            "accept": "application/json",
            "x-request-id": str(reference),
            **vendor.headers,
        }

    def _effect_error(self, reply: HttpReply) -> LeadfloodError:
        """Return the error of an effect: only a refusal proves that nothing was done."""
        if not reply.is_refusal:
            return Unsure(f"{self._vendor.title} answered {reply.status} and may have sent it")
        if reply.status < 400:  # noqa: PLR2004 - the border of RFC 9110's class
            return refused(Failure(self._vendor, reply, self._clock.now()))
        return self.error_of(reply)

    def _down(self, error: Unreached | Cut) -> ProviderDown:
        text = f"{self._vendor.title} cannot be reached: {error.detail}"
        return ProviderDown(text, error.retry_after_seconds)
