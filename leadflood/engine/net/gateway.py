"""The gateway: every call to the outside goes through here.

    stored answer · equal call in flight
      → provider switch → breaker → limiter's estimate → a leased moment → `prepare`
      → shortly before the moment: ONE shared transaction {node alive, money reserved, `authorize`}
      → the moment → `send` under one deadline
      → ONE shared transaction {line settled, answer stored, the stage's `record`}

What happened outside is recorded even when the caller is cancelled.
"""

from collections.abc import Callable, Coroutine, Sequence
from contextlib import AsyncExitStack, nullcontext
from typing import TypeVar

import anyio
import msgspec
from anyio import move_on_after

from leadflood.engine.clock import Clock
from leadflood.engine.context import CallContext, current_call_context, queueing
from leadflood.engine.db.group_commit import Settings as GroupSettings
from leadflood.engine.db.pool import Database
from leadflood.engine.errors import (
    Bug,
    Denied,
    LeadfloodError,
    Permanent,
    Throttled,
    Transient,
    Unfunded,
    Unsure,
    code_of,
)
from leadflood.engine.ids import Ids
from leadflood.engine.net.answer_cache import AnswerCache
from leadflood.engine.net.breaker import Breaker, Settings as BreakerSettings
from leadflood.engine.net.bulk import BulkRequest, send_pending
from leadflood.engine.net.calls import (
    BulkCallItem,
    BulkReply,
    Call,
    Cut,
    LimitHint,
    Prepare,
    Reply,
    Send,
    SendBulk,
)
from leadflood.engine.net.coalescing import Coalescing, Flight
from leadflood.engine.net.crash_points import CrashPoints, Hook
from leadflood.engine.net.gcra import LimitFeedback
from leadflood.engine.net.ledger_port import Ledger, LedgerQuestion, LineState, Purchase
from leadflood.engine.net.limiter import Lane, Limiter, Settings as LimiterSettings, Slot
from leadflood.engine.net.providers import Provider, Providers
from leadflood.engine.net.reservation import (
    FindObstacle,
    NodeStanding,
    Reservation,
    Reservations,
    Settlement,
    no_obstacle,
)
from leadflood.engine.net.settlement import (
    NOT_SENT,
    PROVIDER_CHANGED,
    OutgoingCall,
    classify_failure,
    error_to_record,
    hash_question,
    make_receipt,
)
from leadflood.engine.net.shares import split_evenly
from leadflood.engine.obs.tracing import CURRENT_SPAN, ActiveTracer, spanned

ReplyT = TypeVar("ReplyT", bound=Reply | BulkReply)
ResultT = TypeVar("ResultT")


class Settings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The gateway's knobs. `grace_seconds`: how much longer than the adapter's the deadline is."""

    breaker: BreakerSettings = BreakerSettings()
    limiter: LimiterSettings = LimiterSettings()
    group: GroupSettings = GroupSettings()
    grace_seconds: float = 0.5


DEFAULTS = Settings()


class GatewayParts(msgspec.Struct, frozen=True, kw_only=True):
    """Parts that the gateway is built from.

    `node_id` returns this node's id now.
    `providers` are the configured ones; an unknown one has no limits.
    `is_allowed` is the provider switch.
    `find_obstacle` returns why nothing at all may be sent in a transaction; None: it may.
    `crash_point` is called at each named moment of each call: tests end the process there.
    """

    db: Database
    ledger: Ledger
    limiter: Limiter
    clock: Clock
    ids: Ids
    node_id: Callable[[], int]
    providers: dict[str, Provider]
    is_allowed: Callable[[str], bool] = lambda _: True
    find_obstacle: FindObstacle = no_obstacle
    crash_point: Hook | None = None


class ProviderGateway:
    """The `Gate` of a running process; `run` must be running. `in_flight` calls are out now."""

    def __init__(self, parts: GatewayParts, settings: Settings = DEFAULTS) -> None:
        self._limiter = parts.limiter
        self._clock = parts.clock
        self._ids = parts.ids
        self._is_allowed = parts.is_allowed
        self._grace_seconds = settings.grace_seconds
        self._crash_points = CrashPoints(parts.crash_point)
        self._coalescing = Coalescing()
        self._answers = AnswerCache(parts.db, parts.ledger, parts.clock, settings.group)
        self._reservations = Reservations(
            parts.db,
            parts.ledger,
            parts.clock,
            settings.group,
            NodeStanding(parts.node_id, parts.find_obstacle),
            self._crash_points,
        )
        self.providers = Providers(parts.providers, parts.limiter, settings.breaker)
        self.in_flight = 0

    async def run(self) -> None:
        """Run the shared transactions and the limiter until cancelled.

        Waits: cancelled, until what was under way is written, for a bounded time.
        """
        async with self._reservations.running(), anyio.create_task_group() as tasks:
            for part in (self._answers, self._limiter):
                tasks.start_soon(part.run)

    async def release_unknown(self) -> int:
        """Release reserved money that no call under way knows of; return how many lines."""
        return await self._reservations.release_unknown()

    async def call(self, call: Call, send: Send, prepare: Prepare = nullcontext) -> Reply:
        """Ask once: from the cache, or by breaker, limit, `prepare`, money, `send`, ledger."""
        context = current_call_context()
        question = _question(call, call.question, context)
        purchase = self._purchase(call, question, call.subjects, context)
        outgoing = OutgoingCall(
            call,
            purchase,
            send,
            lambda reply: [(question.question_hash, call.name, reply)],
            context.job if call.effect else None,
            prepare,
        )
        if call.effect:
            return await self._make(outgoing, context)

        async def ask(flight: Flight) -> Reply:
            stored = await self._answers.find(call, _names(question, call.name))
            return stored or await self._ask(outgoing, context, flight)

        return await self._coalescing.run(question, ask)

    async def call_bulk(
        self, call: Call, items: Sequence[BulkCallItem], send: SendBulk
    ) -> Sequence[Reply]:
        """Ask for many at once; `send` gets only the items that no stored answer covers."""
        context = current_call_context()
        questions = [_question(call, item.question, context) for item in items]
        names = [
            _names(question, item.name) for question, item in zip(questions, items, strict=True)
        ]
        stored = await self._answers.find_many(call, names)
        request = BulkRequest(items, questions, stored)
        if not request.pending:
            return request.join({})
        reply = await self._ask_bulk(call, request, send, context)
        return request.join(dict(zip(request.pending, reply.items, strict=True)))

    async def _ask(
        self, outgoing: OutgoingCall[Reply], context: CallContext, flight: Flight
    ) -> Reply:
        try:
            return await self._make(outgoing, context)
        except LeadfloodError as error:
            if outgoing.is_sent:
                flight.error = error
            raise

    async def _ask_bulk(
        self, call: Call, request: BulkRequest, send: SendBulk, context: CallContext
    ) -> BulkReply:
        items = tuple(request.pending.values())
        names = [(question.question_hash, item.name) for question, item in request.pending.items()]
        question = _question(call, request.canonical(), context)
        purchase = self._purchase(call, question, tuple(item.subject for item in items), context)
        outgoing = OutgoingCall(
            call,
            purchase,
            send_pending(call, items, send),
            lambda reply: [
                (*name, answer) for name, answer in zip(names, reply.items, strict=True)
            ],
            context.job if call.effect else None,
        )
        return await self._make(outgoing, context)

    async def _make(self, outgoing: OutgoingCall[ReplyT], context: CallContext) -> ReplyT:
        """Buy and send a call; where there are traces, as a part of its job's."""
        if not ActiveTracer.tracer.is_on:
            return await self._buy_and_send(outgoing, context)
        name = f"{outgoing.call.provider} {outgoing.call.operation}"
        fields = {"ledger.reference": str(outgoing.purchase.reference)}
        with spanned(name, "client", CURRENT_SPAN.get(), **fields):
            return await self._buy_and_send(outgoing, context)

    async def _buy_and_send(self, outgoing: OutgoingCall[ReplyT], context: CallContext) -> ReplyT:
        call = outgoing.call
        self._check(call, context)
        breaker = self.providers.breaker(call.provider)
        lane = self.providers.lane(call)
        try:
            slot = await self._acquire(breaker, lane, context)
        except Throttled:  # a run that may not use this provider does not wait for it either
            await self._reservations.require_allowed(outgoing.purchase)
            raise
        async with AsyncExitStack() as prepared:
            await self._prepare(outgoing, lane, slot, prepared)
            slot = await self._depart(outgoing, lane, slot, context)
            return await self._send_and_settle(outgoing, lane, slot)

    async def _acquire(self, breaker: Breaker, lane: Lane, context: CallContext) -> Slot:
        """Lease a moment of a provider that is up. Raises: BreakerOpen, Throttled."""
        breaker.check()
        try:
            return await _queue(context, lane.acquire(context.job))
        except BaseException:
            breaker.abandon()
            raise

    async def _prepare(
        self,
        outgoing: OutgoingCall[ReplyT],
        lane: Lane,
        slot: Slot,
        prepared: AsyncExitStack,
    ) -> None:
        """Get as far as can be got before the call is paid; a failure is the provider's."""
        try:
            await prepared.enter_async_context(outgoing.prepare())
        except BaseException as error:
            lane.release(slot)
            self._record_health(outgoing.call, error)
            raise

    async def _depart(
        self, outgoing: OutgoingCall[ReplyT], lane: Lane, slot: Slot, context: CallContext
    ) -> Slot:
        """Buy shortly before the moment and wait for it.

        What is bought and waits is in doubt should we be killed. So a call that misses its moment,
        where the next one is far, gives back what it bought and buys again shortly before.
        """
        is_bought = False
        try:
            while True:
                if not is_bought:
                    slot = await _queue(context, lane.approach(slot))
                    await self._reserve(outgoing)
                    is_bought = True
                if await _queue(context, lane.wait_for_start(slot)):
                    return slot
                if lane.is_next_far():
                    await self._give_back(outgoing)
                    is_bought = False
                slot = await _queue(context, lane.acquire(is_again=True))
        except BaseException as error:
            self.providers.breaker(outgoing.call.provider).abandon()
            lane.release(slot)
            if is_bought:
                await self._settle(outgoing, LineState.RELEASED, error)
            raise

    async def _give_back(self, outgoing: OutgoingCall[ReplyT]) -> None:
        """Release what was bought for a moment that was missed; the next try is another line."""
        missed = Transient("The moment to call was missed.", code=NOT_SENT)
        await self._settle(outgoing, LineState.RELEASED, missed)
        reference = self._ids.new()
        outgoing.purchase = msgspec.structs.replace(outgoing.purchase, reference=reference)

    def _check(self, call: Call, context: CallContext) -> None:
        if call.effect and (context.job is None or context.job.authorize is None):
            raise Bug(f"{call.provider} {call.operation} is an effect, but no stage authorizes it")
        if not self._is_allowed(call.provider):
            raise Denied(
                f"{call.provider} is switched off; switch it on to use it.", code="provider.off"
            )

    async def _reserve(self, outgoing: OutgoingCall[ReplyT]) -> None:
        """Buy in the shared transaction; cancelled meanwhile, what was bought is released."""
        await self._reservations.reserve(Reservation(outgoing.purchase, outgoing.job))
        try:
            await anyio.lowlevel.checkpoint_if_cancelled()
        except BaseException as error:
            await self._settle(outgoing, LineState.RELEASED, error)
            raise

    async def _send_and_settle(
        self, outgoing: OutgoingCall[ReplyT], lane: Lane, slot: Slot
    ) -> ReplyT:
        """Send; then, whatever happened, inform limiter and breaker, and settle."""
        sent_at = self._clock.now().timestamp()
        outgoing.is_sent = True
        self.in_flight += 1
        try:
            reply = await self._send(outgoing)
        except BaseException as error:
            self._record_failure(outgoing.call, lane, slot, sent_at, error)
            state, raised = classify_failure(outgoing.call, error)
            await self._settle(outgoing, state, raised)
            if raised is error:
                raise
            raise raised from error
        finally:
            self.in_flight -= 1
        self.providers.breaker(outgoing.call.provider).record_result(is_failure=False)
        self._record_feedback(lane, slot, sent_at, reply.hints, is_answer=True)
        outgoing.reply = reply
        await self._settle(outgoing, LineState.SETTLED, None)
        return reply

    async def _send(self, outgoing: OutgoingCall[ReplyT]) -> ReplyT:
        call = outgoing.call
        seconds = call.timeout_seconds + self._grace_seconds
        self._crash_points.reach("send.before", [outgoing.purchase])
        recorder = self.providers.latency_recorder(call.provider)
        with move_on_after(seconds), recorder.timing():
            reply = await outgoing.send(outgoing.purchase.reference)
            self._crash_points.reach("send.after", [outgoing.purchase])
            return reply
        raise Cut(
            f"{call.provider} {call.operation} did not answer within {seconds:.1f} s.",
            code="net.timeout",
        )

    def _record_failure(
        self, call: Call, lane: Lane, slot: Slot, sent_at: float, error: BaseException
    ) -> None:
        """Record a failed send with the limiter and the breaker."""
        is_answer = isinstance(error, Permanent | Throttled)
        held_seconds = 0.0
        # credits that are gone hold nobody back: they may be topped up, and others ask elsewhere
        if isinstance(error, Throttled) and not isinstance(error, Unfunded):
            held_seconds = error.retry_after_seconds
        hints = getattr(error, "hints", ())
        self._record_feedback(
            lane, slot, sent_at, hints, is_answer=is_answer, held_seconds=held_seconds
        )
        self._record_health(call, error)

    def _record_health(self, call: Call, error: BaseException) -> None:
        """Record with the breaker what a failure says of the provider's health."""
        breaker = self.providers.breaker(call.provider)
        if isinstance(error, Transient | Unsure) or code_of(error) == PROVIDER_CHANGED:
            breaker.record_result(is_failure=True, reason=code_of(error))
        elif isinstance(error, Permanent | Throttled):
            breaker.record_result(is_failure=False)
        else:
            breaker.abandon()

    def _record_feedback(
        self,
        lane: Lane,
        slot: Slot,
        sent_at: float,
        hints: tuple[LimitHint, ...],
        *,
        is_answer: bool,
        held_seconds: float = 0.0,
    ) -> None:
        if not (hints or slot.is_probe or held_seconds):
            return
        received_at = self._clock.now().timestamp()
        lane.record_feedback(
            LimitFeedback(sent_at, received_at, hints, held_seconds, slot.is_probe, is_answer)
        )

    async def _settle(
        self, outgoing: OutgoingCall[ReplyT], state: LineState, error: BaseException | None
    ) -> None:
        """Record how the call ended, whoever is cancelled."""
        receipt = make_receipt(outgoing, state, error, self._clock.now())
        reply = outgoing.reply if isinstance(outgoing.reply, Reply) else None
        await self._reservations.settle(
            Settlement(receipt, outgoing.job, error_to_record(outgoing, error), reply)
        )

    def _purchase(
        self, call: Call, question: LedgerQuestion, subjects: tuple[str, ...], context: CallContext
    ) -> Purchase:
        return Purchase(
            reference=self._ids.new(),
            provider=call.provider,
            operation=call.operation,
            run_id=context.run_id,
            job_id=context.job_id,
            max_cost_micros=call.max_cost_micros,
            subjects=subjects,
            shares=split_evenly(call.max_cost_micros, len(subjects)),
            question_hash=question.question_hash,
            made_at=self._clock.now(),
            is_effect=call.effect,
        )


async def _queue(context: CallContext, waiting: Coroutine[None, None, ResultT]) -> ResultT:
    """Wait for an allowance; the time does not count against the job's."""
    with queueing(context.job):
        return await waiting


def _question(call: Call, question: bytes, context: CallContext) -> LedgerQuestion:
    digest = hash_question(question)
    return LedgerQuestion(call.provider, call.operation, digest, context.answers_since)


def _names(question: LedgerQuestion, name: bytes) -> tuple[LedgerQuestion, ...]:
    """Return a question by all of its names."""
    if not name:
        return (question,)
    return (question, msgspec.structs.replace(question, question_hash=hash_question(name)))
