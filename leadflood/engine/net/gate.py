"""The gate: every call to the outside goes through here.

    kept answer · equal call in flight
      → provider switch → breaker → limiter's estimate → a leased moment
      → ONE shared transaction {node alive, money reserved, the stage's `authorize`}
      → wait for the moment → `send` under one deadline
      → ONE shared transaction {line settled, answer kept, the stage's `record`}

What happened outside is recorded even when the caller is cancelled.
"""

import asyncio
import hashlib
from collections.abc import Awaitable, Callable, Iterable, Sequence
from datetime import timedelta
from typing import Generic, TypeVar
from uuid import UUID

import anyio
import msgspec
import structlog
from anyio import CancelScope, move_on_after

from leadflood.engine.clock import Clock, SystemClock
from leadflood.engine.context import (
    ANSWERS_SINCE,
    CURRENT_JOB,
    Go,
    JobContext,
    RecordMany,
    Refuse,
    Verdict,
    Wait,
)
from leadflood.engine.db.group import GroupTransaction, NotRunning, Settings as GroupSettings
from leadflood.engine.db.pool import Database
from leadflood.engine.db.tx import Tx
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
from leadflood.engine.net.book import (
    Answered,
    Ledger,
    LineState,
    Purchase,
    Question,
    Receipt,
)
from leadflood.engine.net.breaker import Breaker, Settings as BreakerSettings
from leadflood.engine.net.call import (
    BulkReply,
    Call,
    Cut,
    Item,
    LimitHint,
    Reply,
    Send,
    SendBulk,
    Unreached,
    Window,
)
from leadflood.engine.net.limiter import Lane, LaneKey, Limiter, Settings as LimiterSettings, Slot
from leadflood.engine.net.measures import Latency, Measured
from leadflood.engine.net.pace import Told
from leadflood.engine.net.tuning import Tuning, tuned
from leadflood.engine.obs.tracing import PLACE, Active, spanned

log = structlog.get_logger(__name__)

SentT = TypeVar("SentT", bound=Reply | BulkReply)
_CHANGED = "provider.changed"


class Settings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The gate's knobs. `grace_seconds`: how much longer than the adapter's the deadline is."""

    breaker: BreakerSettings = BreakerSettings()
    limiter: LimiterSettings = LimiterSettings()
    group: GroupSettings = GroupSettings()
    grace_seconds: float = 0.5


DEFAULTS = Settings()


class Provider(msgspec.Struct, frozen=True):
    """What the gate knows of a provider: its limits by name and its key's fingerprint.

    `limits` are those in force at the start; `documented` those that its documentation names.
    """

    limits: dict[str, tuple[Window, ...]] = {}
    api_key: str = ""
    documented: dict[str, tuple[Window, ...]] = {}


_UNKNOWN = Provider()


class Parts(msgspec.Struct, frozen=True, kw_only=True):
    """What the gate is built of.

    `node_id` tells this node's id now; `on_buried` is called when its row is found gone.
    `is_allowed` is the provider switch; an unknown provider has no limits and is allowed by it.
    `crash_point` is told each named moment of each call: tests end the process there.
    """

    db: Database
    ledger: Ledger
    limiter: Limiter
    clock: Clock
    ids: Ids
    node_id: Callable[[], int]
    providers: dict[str, Provider]
    is_allowed: Callable[[str], bool] = lambda _: True
    on_buried: Callable[[], None] = lambda: None
    crash_point: Callable[[str], None] | None = None


class NodeBuried(Transient):
    """This node was taken for dead: it may neither buy nor send under its old id."""

    code = "engine.node_buried"


class _Before(msgspec.Struct, frozen=True):
    purchase: Purchase
    job: JobContext | None


class _After(msgspec.Struct, frozen=True):
    receipt: Receipt
    job: JobContext | None = None
    error: BaseException | None = None
    reply: Reply | None = None


class _Flight:
    """A call under way that equal calls wait for."""

    __slots__ = ("ended", "error", "reply")

    def __init__(self) -> None:
        self.ended = asyncio.Event()
        self.reply: Reply | None = None
        self.error: LeadfloodError | None = None


class _Trip(Generic[SentT]):
    """One call on its way through the gate."""

    __slots__ = ("call", "is_sent", "job", "purchase", "replies", "send", "sent")

    def __init__(
        self,
        call: Call,
        purchase: Purchase,
        send: Callable[[UUID], Awaitable[SentT]],
        replies: Callable[[SentT], Sequence[tuple[bytes, Reply]]],
    ) -> None:
        self.call = call
        self.purchase = purchase
        self.send = send
        self.replies = replies
        self.job = CURRENT_JOB.get() if call.effect else None
        self.is_sent = False
        self.sent: SentT | None = None


class LiveGate:
    """The `Gate` of a running process; `run` must be running."""

    def __init__(self, parts: Parts, settings: Settings = DEFAULTS) -> None:
        self._parts = parts
        self._settings = settings
        self._clock = parts.clock
        self._ledger = parts.ledger
        self._breakers: dict[str, Breaker] = {}
        self._flights: dict[Question, _Flight] = {}
        self._in_flight = 0
        self._limits = {name: known.limits for name, known in parts.providers.items()}
        self._measured: dict[str, Measured] = {}
        db, clock = parts.db, parts.clock
        self._looking: GroupTransaction[Question, Reply | None] = GroupTransaction(
            db, self._look, clock, settings.group, is_reading=True
        )
        self._before: GroupTransaction[_Before, bool] = GroupTransaction(
            db, self._buy, clock, settings.group
        )
        self._after: GroupTransaction[_After, bool] = GroupTransaction(
            db, self._settle, clock, settings.group
        )

    @property
    def in_flight(self) -> int:
        """Tell how many calls are out now."""
        return self._in_flight

    def breaker(self, provider: str) -> Breaker:
        """Find a provider's breaker."""
        found = self._breakers.get(provider)
        if found is None:
            # real time: a line that is down does not mend faster on a clock that jumps
            found = Breaker(provider, SystemClock(), self._settings.breaker)
            self._breakers[provider] = found
        return found

    def card(self, provider: str) -> Provider:
        """Tell what was known of a provider at the start."""
        return self._parts.providers.get(provider, _UNKNOWN)

    def limits(self, provider: str) -> dict[str, tuple[Window, ...]]:
        """Tell the limits of a provider as they are in force now."""
        return self._limits.get(provider, {})

    def latency(self, provider: str) -> Latency:
        """Tell how fast a provider answered this process lately."""
        return self._measure(provider).tell()

    def retune(self, provider: str, tuning: Tuning) -> None:
        """Put limits that were set by hand in force, from the next lease on."""
        limits = tuned(self.card(provider).limits, tuning)
        self._limits[provider] = limits
        self._parts.limiter.retune(provider, limits)

    def _measure(self, provider: str) -> Measured:
        return self._measured.setdefault(provider, Measured())

    def estimate_seconds(self, provider: str, limit: str) -> float:
        """Tell about how long a call that came now would wait for its limit."""
        return self._lane(provider, limit).estimate_seconds()

    async def run(self) -> None:
        """Run the shared transactions and the limiter until cancelled."""
        async with anyio.create_task_group() as tasks:
            for part in (self._looking, self._before, self._after, self._parts.limiter):
                tasks.start_soon(part.run)

    async def call(self, call: Call, send: Send) -> Reply:
        """Ask once: from the cache, or by breaker, limit, money, authorize, `send`, ledger."""
        question = _question(call, call.question)
        if call.effect:
            return await self._ask(call, question, send)
        while (flight := self._flights.get(question)) is not None:
            await flight.ended.wait()
            if flight.reply is not None:
                return msgspec.structs.replace(flight.reply, cost_micros=0, cached=True)
            if flight.error is not None:
                raise flight.error
        flight = self._flights[question] = _Flight()
        try:
            kept = await self._find_answers(call, [question])
            flight.reply = kept[0] or await self._ask(call, question, send, flight)
        finally:
            del self._flights[question]
            flight.ended.set()
        return flight.reply

    async def call_bulk(self, call: Call, items: Sequence[Item], send: SendBulk) -> Sequence[Reply]:
        """Ask for many at once; `send` gets only the items that no kept answer covers."""
        questions = [_question(call, item.question) for item in items]
        kept = await self._find_answers(call, questions)
        asked: dict[Question, Item] = {}
        for question, item, answer in zip(questions, items, kept, strict=True):
            if answer is None:
                asked.setdefault(question, item)
        fresh = await self._ask_bulk(call, asked, send) if asked else {}
        told: list[Reply] = []
        for question, item, answer in zip(questions, items, kept, strict=True):
            reply = answer or fresh[question]
            if answer is None and asked[question] is not item:
                reply = msgspec.structs.replace(reply, cost_micros=0, cached=True)
            told.append(reply)
        return told

    async def _ask(
        self, call: Call, question: Question, send: Send, flight: _Flight | None = None
    ) -> Reply:
        purchase = self._purchase(call, question, call.subjects)
        trip = _Trip(call, purchase, send, lambda reply: [(question.question_hash, reply)])
        try:
            return await self._travel(trip)
        except LeadfloodError as error:
            if flight is not None and trip.is_sent:
                flight.error = error
            raise

    async def _ask_bulk(
        self, call: Call, asked: dict[Question, Item], send: SendBulk
    ) -> dict[Question, Reply]:
        items = tuple(asked.values())
        hashes = [question.question_hash for question in asked]
        whole = msgspec.structs.replace(call, question=b"\x00".join(sorted(hashes)))
        purchase = self._purchase(
            call, _question(call, whole.question), tuple(item.subject for item in items)
        )

        async def send_items(reference: UUID) -> BulkReply:
            reply = await send(reference, items)
            if len(reply.items) != len(items):
                raise Bug(
                    f"{call.provider} {call.operation}: {len(reply.items)} answers"
                    f" for {len(items)} items"
                )
            return reply

        trip = _Trip(
            call, purchase, send_items, lambda reply: list(zip(hashes, reply.items, strict=True))
        )
        reply = await self._travel(trip)
        return dict(zip(asked, reply.items, strict=True))

    async def _travel(self, trip: _Trip[SentT]) -> SentT:
        """Buy and make a call; where there are traces, as a part of its job's."""
        if not Active.tracer.is_on:
            return await self._travel_on(trip)
        name = f"{trip.call.provider} {trip.call.operation}"
        fields = {"ledger.reference": str(trip.purchase.reference)}
        with spanned(name, "client", PLACE.get(), **fields):
            return await self._travel_on(trip)

    async def _travel_on(self, trip: _Trip[SentT]) -> SentT:
        call = trip.call
        self._check(call)
        watched = self.breaker(call.provider)
        watched.check()
        lane = self._lane(call.provider, call.limit)
        try:
            slot = await lane.take()
        except BaseException:
            watched.abandon()
            raise
        try:
            if call.effect:
                slot = await lane.approach(slot)
            await self._reserve(trip)
        except BaseException:
            watched.abandon()
            lane.give_back(slot)
            raise
        return await self._go(trip, lane, slot)

    def _check(self, call: Call) -> None:
        job = CURRENT_JOB.get()
        if call.effect and (job is None or job.authorize is None):
            raise Bug(f"{call.provider} {call.operation} is an effect, but no stage authorizes it")
        if not self._parts.is_allowed(call.provider):
            raise Denied(
                f"{call.provider} is switched off; switch it on to use it.", code="provider.off"
            )

    async def _reserve(self, trip: _Trip[SentT]) -> None:
        """Buy in the shared transaction; cancelled meanwhile, what was bought is released."""
        with CancelScope(shield=True):
            await self._before.submit(_Before(trip.purchase, trip.job))
        self._pass("reserve.after", trip.purchase)
        try:
            await anyio.lowlevel.checkpoint_if_cancelled()
        except BaseException as error:
            await self._close(trip, LineState.RELEASED, error)
            raise

    async def _go(self, trip: _Trip[SentT], lane: Lane, slot: Slot) -> SentT:
        """Wait for the moment and send; then, whatever happened, settle."""
        try:
            while not await lane.depart(slot):
                slot = await lane.take(is_again=True)
        except BaseException as error:
            self.breaker(trip.call.provider).abandon()
            lane.give_back(slot)
            await self._close(trip, LineState.RELEASED, error)
            raise
        sent_at = self._clock.now().timestamp()
        trip.is_sent = True
        self._in_flight += 1
        try:
            sent = await self._send(trip)
        except BaseException as error:
            self._tell_failure(trip, lane, slot, sent_at, error)
            state, raised = _verdict(trip.call, error)
            await self._close(trip, state, raised)
            if raised is error:
                raise
            raise raised from error
        finally:
            self._in_flight -= 1
        self.breaker(trip.call.provider).note(is_failure=False)
        self._tell(lane, slot, sent_at, sent.hints, is_answer=True)
        trip.sent = sent
        await self._close(trip, LineState.SETTLED, None)
        return sent

    async def _send(self, trip: _Trip[SentT]) -> SentT:
        seconds = trip.call.timeout_seconds + self._settings.grace_seconds
        self._pass("send.before", trip.purchase)
        with move_on_after(seconds), self._measure(trip.call.provider).timing():
            sent = await trip.send(trip.purchase.reference)
            self._pass("send.after", trip.purchase)
            return sent
        raise Cut(
            f"{trip.call.provider} {trip.call.operation} did not answer within {seconds:.1f} s.",
            code="net.timeout",
        )

    def _tell(
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
        lane.tell(Told(sent_at, received_at, hints, held_seconds, slot.is_probe, is_answer))

    def _tell_failure(
        self, trip: _Trip[SentT], lane: Lane, slot: Slot, sent_at: float, error: BaseException
    ) -> None:
        is_told = isinstance(error, Permanent | Throttled)
        held = 0.0
        # credits that are gone hold nobody back: they may be topped up, and others ask elsewhere
        if isinstance(error, Throttled) and not isinstance(error, Unfunded):
            held = error.retry_after_seconds
        hints = getattr(error, "hints", ())
        self._tell(lane, slot, sent_at, hints, is_answer=is_told, held_seconds=held)
        watched = self.breaker(trip.call.provider)
        if isinstance(error, Transient | Unsure) or code_of(error) == _CHANGED:
            watched.note(is_failure=True, reason=code_of(error))
        elif is_told:
            watched.note(is_failure=False)
        else:
            watched.abandon()

    async def _close(
        self, trip: _Trip[SentT], state: LineState, error: BaseException | None
    ) -> None:
        """Record how the call ended, whoever is cancelled."""
        receipt = self._receipt(trip, state, error)
        reply = trip.sent if isinstance(trip.sent, Reply) else None
        after = _After(receipt, trip.job, _told_of(trip, error), reply)
        with CancelScope(shield=True):
            try:
                await self._after.submit(after)
            except Exception as failure:
                if trip.job is None or isinstance(failure, NotRunning):
                    raise
                # the stage's own writing fails: the money is booked all the same
                log.error(  # noqa: TRY400 - a trace would read files in the loop
                    "net.record.failed",
                    reference=str(trip.purchase.reference),
                    error=repr(failure),
                )
                await self._after.submit(_After(receipt))
                raise Unsure(
                    f"What {trip.call.provider} did could not be written: {failure}"
                ) from failure
        self._pass("settle.after", trip.purchase)

    def _receipt(
        self, trip: _Trip[SentT], state: LineState, error: BaseException | None
    ) -> Receipt:
        now = self._clock.now()
        billed = getattr(error, "cost_micros", 0)
        if billed and state is LineState.RELEASED:
            state = LineState.SETTLED
        replies = [] if trip.sent is None else trip.replies(trip.sent)
        costs = [reply.cost_micros for _, reply in replies]
        settled = sum(costs) if trip.sent is not None else billed
        subjects = len(trip.purchase.subjects)
        is_by_item = isinstance(trip.sent, BulkReply)
        return Receipt(
            purchase=trip.purchase,
            state=state,
            outcome=_outcome(state, error, [reply for _, reply in replies]),
            ended_at=now,
            settled_micros=settled,
            shares=tuple(costs) if is_by_item else split_evenly(settled, subjects),
            answers=tuple(self._kept(trip.call, replies)),
        )

    def _kept(self, call: Call, replies: Sequence[tuple[bytes, Reply]]) -> Iterable[Answered]:
        if call.effect:
            return
        now = self._clock.now()
        for question_hash, reply in replies:
            seconds = call.answer_seconds if reply.found else call.miss_seconds
            if seconds > 0:
                yield Answered(
                    question_hash=question_hash,
                    body=reply.body,
                    found=reply.found,
                    cost_micros=reply.cost_micros,
                    expires_at=now + timedelta(seconds=seconds),
                )

    def _purchase(self, call: Call, question: Question, subjects: tuple[str, ...]) -> Purchase:
        job = CURRENT_JOB.get()
        return Purchase(
            reference=self._parts.ids.new(),
            provider=call.provider,
            operation=call.operation,
            run_id=None if job is None else job.run_id,
            job_id=None if job is None else job.job_id,
            max_cost_micros=call.max_cost_micros,
            subjects=subjects,
            shares=split_evenly(call.max_cost_micros, len(subjects)),
            question_hash=question.question_hash,
            made_at=self._clock.now(),
        )

    def _lane(self, name: str, limit: str) -> Lane:
        provider = self._parts.providers.get(name, _UNKNOWN)
        key = LaneKey(name, provider.api_key, limit)
        return self._parts.limiter.lane(key, self.limits(name).get(limit, ()))

    async def _find_answers(
        self, call: Call, questions: Sequence[Question]
    ) -> Sequence[Reply | None]:
        if call.answer_seconds <= 0 and call.miss_seconds <= 0:
            return [None] * len(questions)
        if len(questions) == 1:
            return [await self._looking.submit(questions[0])]
        async with self._parts.db.session() as session:
            return await self._ledger.find_answers(session, questions, self._clock.now())

    async def _look(
        self,
        tx: Tx,
        questions: Sequence[Question],
        _is_repeat: bool,  # noqa: FBT001 - group's shape
    ) -> Sequence[Reply | None]:
        return await self._ledger.find_answers(tx, questions, self._clock.now())

    async def _buy(
        self,
        tx: Tx,
        asked: Sequence[_Before],
        is_repeat: bool,  # noqa: FBT001 - group's shape
    ) -> Sequence[bool | Exception]:
        """Reserve and authorize for all; only what both let pass is written."""
        node_id = self._parts.node_id()
        if not await self._ledger.lock_node(tx, node_id):
            self._parts.on_buried()
            buried = NodeBuried("This node was taken for dead; it starts again under a new id.")
            return [buried] * len(asked)
        answers: list[bool | Exception] = [True] * len(asked)
        done = set[UUID]()
        if is_repeat:
            done = await self._ledger.find_reserved(tx, [each.purchase for each in asked])
        open_ = [i for i, each in enumerate(asked) if each.purchase.reference not in done]
        judged = await self._ledger.judge(tx, [asked[i].purchase for i in open_])
        for i, refusal in zip(open_, judged, strict=True):
            if refusal is not None:
                answers[i] = refusal
        effects = [i for i in open_ if answers[i] is True and asked[i].job is not None]
        self._pass("authorize.before", *[asked[i].purchase for i in effects])
        await _authorize(tx, asked, effects, answers)
        self._pass("authorize.after", *[asked[i].purchase for i in effects])
        bought = [asked[i].purchase for i in open_ if answers[i] is True]
        if bought:
            await self._ledger.reserve(tx, node_id, bought)
        self._pass("reserve.before", *bought)
        return answers

    async def _settle(
        self,
        tx: Tx,
        ended: Sequence[_After],
        _is_repeat: bool,  # noqa: FBT001 - group's shape
    ) -> Sequence[bool]:
        await self._ledger.settle(tx, [each.receipt for each in ended])
        await _record(tx, ended)
        self._pass("settle.before", *[each.receipt.purchase for each in ended])
        return [True] * len(ended)

    def _pass(self, moment: str, *purchases: Purchase) -> None:
        """Tell tests that calls pass a moment, such as `acme.message.send.settle.before`.

        Of a shared transaction `before` is the last moment before COMMIT, `after` the first one
        after it.
        """
        if self._parts.crash_point is not None:
            for each in purchases:
                self._parts.crash_point(f"{each.provider}.{each.operation}.{moment}")


async def _authorize(
    tx: Tx, asked: Sequence[_Before], open_: Sequence[int], answers: list[bool | Exception]
) -> None:
    """Give each stage the last word on its effects, all of a stage at once."""
    by_stage: dict[object, list[int]] = {}
    for i in open_:
        job = asked[i].job
        if job is not None and job.authorize is not None:
            by_stage.setdefault(job.authorize, []).append(i)
    for positions in by_stage.values():
        jobs = [job for i in positions if (job := asked[i].job) is not None]
        authorize = jobs[0].authorize
        if authorize is None:
            continue
        verdicts = await authorize(tx, jobs)
        for i, verdict in zip(positions, verdicts, strict=True):
            refusal = _refusal(verdict)
            if refusal is not None:
                answers[i] = refusal


async def _record(tx: Tx, ended: Sequence[_After]) -> None:
    """Let each stage write what became of its effects, all of a stage at once where it can."""
    effects = [(each.job, each.error, each.reply) for each in ended if each.job is not None]
    by_stage: dict[RecordMany, list[tuple[JobContext, BaseException | None, Reply | None]]] = {}
    for job, error, reply in sorted(effects, key=lambda effect: effect[0].job_id):
        if job.record_many is not None:
            by_stage.setdefault(job.record_many, []).append((job, error, reply))
        elif job.record is not None:
            await job.record(tx, job, error, reply)
    for record_many, those in by_stage.items():
        await record_many(tx, those)


def _told_of(trip: _Trip[SentT], error: BaseException | None) -> BaseException | None:
    """Say a cancellation in words of the tree, for the stage's `record`."""
    if error is None or isinstance(error, Exception):
        return error
    if trip.is_sent:
        return Unsure("The call was given up while it was out.")
    return Transient("The call was given up before it was sent.", code="net.not_sent")


def _refusal(verdict: Verdict) -> LeadfloodError | None:
    match verdict:
        case Go():
            return None
        case Wait():
            return Throttled(verdict.reason, verdict.retry_after_seconds, code="sending.held")
        case Refuse():
            return Denied(verdict.reason, code=verdict.code)


def _verdict(call: Call, error: BaseException) -> tuple[LineState, BaseException]:
    """Tell what a failed send means for its line, and what is raised.

    Released: the other side certainly charged nothing. Unresolved: it may have. For an effect,
    whatever may have arrived is Unsure.
    """
    if not isinstance(error, Exception):
        return LineState.UNRESOLVED, error
    may_have_arrived = _may_have_arrived(error)
    state = LineState.UNRESOLVED if may_have_arrived else LineState.RELEASED
    if not (call.effect and may_have_arrived) or isinstance(error, Unsure):
        return state, error
    return state, Unsure(f"{call.provider} {call.operation} may have happened: {error}")


def _may_have_arrived(error: BaseException) -> bool:
    """Tell whether the other side may have acted or charged, from the error and its causes."""
    at: BaseException | None = error
    while at is not None:
        if isinstance(at, Unreached):
            return False
        if isinstance(at, Cut | Unsure | TimeoutError) or code_of(at) == _CHANGED:
            return True
        at = at.__cause__
    return not isinstance(error, Permanent | Throttled | Transient)


def _outcome(state: LineState, error: BaseException | None, replies: Sequence[Reply]) -> str:
    if isinstance(error, Exception):
        return code_of(error)
    if error is not None:
        return "cancelled"
    if state is LineState.SETTLED and not any(reply.found for reply in replies):
        return "miss"
    return "found"


def _question(call: Call, question: bytes) -> Question:
    hashed = hashlib.blake2b(question, digest_size=20).digest()
    return Question(call.provider, call.operation, hashed, ANSWERS_SINCE.get())


def fingerprint(api_key: str) -> str:
    """Name a key without telling it: limits belong to a key."""
    return hashlib.blake2b(api_key.encode(), digest_size=8).hexdigest() if api_key else ""


def split_evenly(micros: int, count: int) -> tuple[int, ...]:
    """Share an amount so that the shares sum to it exactly; the first bear the remainder."""
    if count == 0:
        return ()
    each, rest = divmod(micros, count)
    return (each + 1,) * rest + (each,) * (count - rest)
