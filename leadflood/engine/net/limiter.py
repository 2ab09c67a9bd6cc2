"""The limiter: calls wait here for a moment leased from the database.

A lane is one allowance (provider, key, limit name). Its pump leases as many moments as calls wait,
at most a chunk's worth, and gives them out by (priority, turn, order of coming). A moment missed by
more than the lane's tolerance is not used: the call takes another one.
"""

import asyncio
import heapq
from collections import deque
from collections.abc import Mapping, Sequence

import anyio
import msgspec
import structlog
from aiolimiter import AsyncLimiter

from leadflood.engine.clock import Clock
from leadflood.engine.context import JobContext
from leadflood.engine.errors import Throttled, Transient
from leadflood.engine.net.calls import Window
from leadflood.engine.net.gcra import (
    AllowanceState,
    Lease,
    LeaseRequest,
    LimitFeedback,
    apply_feedback,
    cap_times,
    lease,
)
from leadflood.engine.net.ledger_port import Allowance

log = structlog.get_logger(__name__)

_SPACED_FROM_SECONDS = 0.005
_SPACING_RATIO = 0.9
_DECAY = 0.05
_MOST_LEAD_SECONDS = 0.5
_FAILURES_BORNE = 3
_OPEN_SECONDS = 1.0
_ASK_AGAIN_SECONDS = 1.0
_TIME_SAMPLES = 16
_TIME_STEP_SECONDS = 1.0
_LEAST_WAIT_SECONDS = 0.5
_FAR_SECONDS = 1.0


class Settings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How the limiter leases. `ahead` and `chunk` together are what a crash may lose."""

    wait_at_most_seconds: float = 2.0
    ahead_seconds: float = 0.25
    chunk_seconds: float = 0.4
    probe_seconds: float = 30.0


DEFAULTS = Settings()


class LaneKey(msgspec.Struct, frozen=True):
    """Names an allowance. `api_key` is a fingerprint, never the key itself."""

    provider: str
    api_key: str
    limit_name: str


class Slot(msgspec.Struct, frozen=True):
    """A moment to call at, on the monotonic clock; `is_free` needs none."""

    at: float
    given_at: float
    tolerance_seconds: float
    is_probe: bool = False
    is_free: bool = False


_Order = tuple[int, int, int, int]


class Lane:
    """One allowance in this process: who waits, what was leased, what answers said."""

    def __init__(
        self,
        key: LaneKey,
        windows: Sequence[Window],
        allowance: Allowance,
        clock: Clock,
        settings: Settings,
    ) -> None:
        self._key = key
        self._windows = tuple(windows)
        self._allowance = allowance
        self._clock = clock
        self._settings = settings
        self._waiters: list[tuple[_Order, asyncio.Future[Slot]]] = []
        self._coming = 0
        self._wake = asyncio.Event()
        self.missed = 0
        self._feedback: list[LimitFeedback] = []
        self._open_until = 0.0
        self._departing = asyncio.Lock()
        self._pace = _Pace()
        self._time = _SharedTime(clock)
        self._asked_again_at = 0.0

    def apply_limits(self, windows: Sequence[Window]) -> None:
        """Take other windows from the next lease on; who is turned away by the old ones may ask."""
        if self._windows != tuple(windows):
            self._windows = tuple(windows)
            self._pace.next_at = min(self._pace.next_at, self._clock.monotonic())
            self._open_until = 0.0

    def estimate_seconds(self) -> float:
        """Return about how long a call that comes now would wait."""
        if self._is_open():
            return 0.0
        ahead = self._pace.next_at - self._clock.monotonic()
        return max(0.0, ahead) + len(self._waiters) * self._pace.own_interval

    async def acquire(self, job: JobContext | None = None, *, is_again: bool = False) -> Slot:
        """Wait for a moment. `is_again`: the moment given before was missed; goes first.

        Raises: Throttled when it would take, or has taken, longer than `wait_at_most_seconds`.
        """
        now = self._clock.monotonic()
        if self._is_open():
            return Slot(now, now, 1e9, is_free=True)
        self._refuse_long_wait(is_again=is_again)
        waiter: asyncio.Future[Slot] = asyncio.get_running_loop().create_future()
        heapq.heappush(self._waiters, (self._order(job, is_again=is_again), waiter))
        self._wake.set()
        with anyio.move_on_after(self._settings.wait_at_most_seconds):
            try:
                return await waiter
            except asyncio.CancelledError:
                self._pass_on(waiter)
                raise
        raise _throttled(self._key, max(self.estimate_seconds(), _LEAST_WAIT_SECONDS))

    async def approach(self, slot: Slot) -> Slot:
        """Wait until it is time to prepare: what is prepared early is in doubt if we are killed.

        A moment that was missed meanwhile is changed for another one. Raises: Throttled.
        """
        while not slot.is_free:
            ahead = slot.at - self._pace.approach_seconds - self._clock.monotonic()
            if ahead > 0:
                await self._clock.sleep(ahead)
            now = self._clock.monotonic()
            if now - slot.at <= slot.tolerance_seconds:
                return msgspec.structs.replace(slot, given_at=now)
            self.missed += 1
            slot = await self.acquire(is_again=True)
        return slot

    def is_next_far(self) -> bool:
        """Whether the next moment is so far that nothing should be bought for it yet."""
        ahead = self._pace.next_at - self._clock.monotonic()
        return ahead > _FAR_SECONDS

    async def wait_for_start(self, slot: Slot) -> bool:
        """Wait until the moment; False when it was missed and another must be taken."""
        if slot.is_free:
            return True
        now = self._clock.monotonic()
        self._pace.record_preparation(now - slot.given_at)
        if slot.at > now:
            await self._clock.sleep(slot.at - now)
        async with self._departing:  # who would be too late must not take the turn of who is not
            late_seconds = self._pace.next_departure(self._clock) - slot.at
            if late_seconds <= slot.tolerance_seconds:
                await self._pace.keep_distance(self._clock)
                late_seconds = self._clock.monotonic() - slot.at
        self._pace.record_lateness(late_seconds)
        if late_seconds > slot.tolerance_seconds:
            self.missed += 1
            return False
        return True

    def release(self, slot: Slot) -> None:
        """Hand a moment that is not needed to the next in the queue."""
        if slot.is_probe:
            self.record_feedback(LimitFeedback(0.0, 0.0, ends_probe=True, is_answer=False))
        elif not slot.is_free and slot.at > self._clock.monotonic():
            self._give([slot])

    def record_feedback(self, feedback: LimitFeedback) -> None:
        """Record what an answer said of the limit; the row learns it with the next lease."""
        if self._is_open() and not feedback.hints and not feedback.held_seconds:
            return
        if feedback.held_seconds or feedback.ends_probe:
            self._feedback.append(feedback)
        elif self._feedback and not (
            self._feedback[-1].held_seconds or self._feedback[-1].ends_probe
        ):
            self._feedback[-1] = feedback
        else:
            self._feedback.append(feedback)
        if feedback.held_seconds or feedback.ends_probe or self._is_open():
            self._open_until = 0.0
            self._wake.set()

    def _is_open(self) -> bool:
        """Whether no limit is known; the row is asked again from time to time."""
        return self._clock.monotonic() < self._open_until

    async def pump(self) -> None:
        """Lease moments for those who wait, until cancelled."""
        failures = 0
        while True:
            await self._wake.wait()
            self._wake.clear()
            try:
                again_seconds = await self._lease()
                failures = 0
            except Exception as error:  # noqa: BLE001 - whatever the database says, the lane goes on
                failures += 1
                self._bear(error, failures)
                again_seconds = min(2.0, 0.1 * 2**failures)
            if self._waiters:
                await self._clock.sleep(again_seconds)
                self._wake.set()

    async def _lease(self) -> float:
        self._drop_gone()
        reports, self._feedback = self._feedback, []
        started = self._clock.monotonic()
        try:
            async with self._allowance.locked(
                self._key.provider, self._key.api_key, self._key.limit_name, self._clock.now()
            ) as row:
                # the row may have been locked for long: only from here is `now` the present
                self._time.note(row.now)
                allowed = _decode(row.state)
                cap_times(allowed, self._windows, self._time.now(), self._settings.probe_seconds)
                self._apply(allowed, reports)
                before = allowed.next_at
                leased = self._ask(allowed)
                row.state = _encode(allowed)
        except BaseException:
            # the first call may be out: its commit's reply may be what was lost
            self._feedback = [
                *reports,
                *self._feedback,
                LimitFeedback(0.0, 0.0, ends_probe=True, is_answer=False),
            ]
            raise
        offset = self._time.offset
        self._note(leased, allowed, before, started, offset)
        self._give(self._slots_of(leased, offset))
        if leased.again_seconds > self._settings.wait_at_most_seconds:
            self._turn_away(leased.again_seconds)
        return leased.again_seconds

    def _slots_of(self, leased: Lease, offset: float) -> list[Slot]:
        leased_at = self._clock.monotonic()
        return [
            Slot(at + offset, leased_at, leased.tolerance_seconds, leased.is_probe, leased.is_open)
            for at in leased.slots
        ]

    def _ask(self, allowed: AllowanceState) -> Lease:
        again = sum(order[0] == 0 for order, _ in self._waiters)
        return lease(
            allowed,
            self._windows,
            LeaseRequest(
                count=again or len(self._waiters),
                now=self._time.now(),
                # who missed a moment is ready for the next
                lead_seconds=self._pace.notice_seconds if again else self._pace.lead_seconds,
                ahead_seconds=self._ahead_seconds(),
                chunk_seconds=self._settings.chunk_seconds,
                jitter_seconds=self._pace.jitter_seconds,
                probe_seconds=self._settings.probe_seconds,
            ),
        )

    def _ahead_seconds(self) -> float:
        """Lease earlier where the database is slow, or the pace is lost while waiting for it."""
        return max(self._settings.ahead_seconds, 2 * self._pace.lead_seconds)

    def _apply(self, allowed: AllowanceState, reports: Sequence[LimitFeedback]) -> None:
        ahead = self._clock.now().timestamp() - self._time.now()
        for feedback in reports:
            shared = msgspec.structs.replace(
                feedback,
                sent_at=feedback.sent_at - ahead,
                received_at=feedback.received_at - ahead,
            )
            apply_feedback(allowed, self._windows, shared, self._pace.jitter_seconds)

    def _note(
        self, leased: Lease, allowed: AllowanceState, before: float, started: float, offset: float
    ) -> None:
        now = self._clock.monotonic()
        self._open_until = now + _OPEN_SECONDS if leased.is_open else 0.0
        handed_out = len(leased.slots)
        self._pace.record_lease(now - started, leased)
        self._pace.record_share(handed_out, before, allowed.next_at)
        self._pace.next_at = max(allowed.next_at, allowed.held_until) + offset

    def _give(self, slots: Sequence[Slot]) -> None:
        free_slots = list(reversed(slots))
        while free_slots and self._waiters:
            _, waiter = heapq.heappop(self._waiters)
            if not waiter.done():
                waiter.set_result(free_slots.pop())

    def _pass_on(self, waiter: "asyncio.Future[Slot]") -> None:
        """Pass on what a cancelled waiter was given in the same moment."""
        if waiter.done() and not waiter.cancelled() and waiter.exception() is None:
            self.release(waiter.result())
        waiter.cancel()

    def _drop_gone(self) -> None:
        if any(waiter.done() for _, waiter in self._waiters):
            self._waiters = [entry for entry in self._waiters if not entry[1].done()]
            heapq.heapify(self._waiters)

    def _order(self, job: JobContext | None, *, is_again: bool) -> _Order:
        self._coming += 1
        if is_again:
            return (0, 0, 0, self._coming)
        if job is None:
            return (1, 0, 0, self._coming)
        return (1, job.priority, job.turn, self._coming)

    def _refuse_long_wait(self, *, is_again: bool) -> None:
        wait_seconds = self.estimate_seconds()
        if wait_seconds > self._settings.wait_at_most_seconds and not is_again:
            self._ask_again()
            raise _throttled(self._key, wait_seconds)

    def _ask_again(self) -> None:
        """Read the row anew, once a second at most: an operator may have reset it."""
        now = self._clock.monotonic()
        if now - self._asked_again_at > _ASK_AGAIN_SECONDS:
            self._asked_again_at = now
            self._wake.set()

    def _turn_away(self, wait_seconds: float) -> None:
        waiting, self._waiters = self._waiters, []
        for _, waiter in waiting:
            if not waiter.done():
                waiter.set_exception(_throttled(self._key, wait_seconds))

    def _bear(self, error: Exception, failures: int) -> None:
        log.warning("net.lease.failed", provider=self._key.provider, error=repr(error))
        if failures < _FAILURES_BORNE:
            return
        waiting, self._waiters = self._waiters, []
        for _, waiter in waiting:
            if not waiter.done():
                refusal = Transient("No allowance could be leased: the database does not answer.")
                refusal.__cause__ = error
                waiter.set_exception(refusal)


class Limiter:
    """All lanes of a process; `run` starts their pumps."""

    def __init__(self, allowance: Allowance, clock: Clock, settings: Settings = DEFAULTS) -> None:
        self._allowance = allowance
        self._clock = clock
        self._settings = settings
        self._lanes: dict[LaneKey, Lane] = {}
        self._new: list[Lane] = []
        self._wake = asyncio.Event()

    def lane(self, key: LaneKey, windows: Sequence[Window]) -> Lane:
        """Find the lane of an allowance, making it at its first call."""
        lane = self._lanes.get(key)
        if lane is None:
            lane = Lane(key, windows, self._allowance, self._clock, self._settings)
            self._lanes[key] = lane
            self._new.append(lane)
            self._wake.set()
        return lane

    def apply_limits(self, provider: str, limits: Mapping[str, Sequence[Window]]) -> None:
        """Change the windows of a provider's lanes while they run."""
        for key, lane in self._lanes.items():
            if key.provider == provider:
                lane.apply_limits(limits.get(key.limit_name, ()))

    async def run(self) -> None:
        """Pump every lane, until cancelled."""
        self._new = list(self._lanes.values())
        self._wake.set()
        async with anyio.create_task_group() as group:
            while True:
                await self._wake.wait()
                self._wake.clear()
                new, self._new = self._new, []
                for lane in new:
                    group.start_soon(lane.pump)


class _SharedTime:
    """The time that all who share an allowance go by, on our monotonic clock.

    `offset` is what to add to one of its instants. Of some samples that with the fastest answer
    counts, so that what the way took makes no jitter; after a step only the newest.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._samples: deque[float] = deque(maxlen=_TIME_SAMPLES)
        self.offset = 0.0

    def now(self) -> float:
        """Return the instant, in Unix seconds."""
        return self._clock.monotonic() - self.offset

    def note(self, shared_now: float | None) -> None:
        """Note what the time was when a row was read; None: our own clock's."""
        instant = self._clock.now().timestamp() if shared_now is None else shared_now
        sample = self._clock.monotonic() - instant
        if self._samples and abs(sample - self.offset) > _TIME_STEP_SECONDS:
            self._samples.clear()
        self._samples.append(sample)
        self.offset = min(self._samples)


class _Pace:
    """The measurements of a lane: how early to ask, how late calls leave, its share."""

    def __init__(self) -> None:
        self.next_at = 0.0
        self.interval = 0.0
        self.own_interval = 0.0
        self.jitter_seconds = 0.0
        self._lease_seconds = 0.002
        self._preparation_mean = 0.02
        self._preparation_spread = 0.01
        self._late_mean = 0.0
        self._late_spread = 0.0
        self._share = 1.0
        self._seen_next_at = float("inf")
        self._spacer: AsyncLimiter | None = None
        self._departed_at = 0.0

    @property
    def lead_seconds(self) -> float:
        """Return how far ahead a moment must be, to be reached in time."""
        return min(_MOST_LEAD_SECONDS, self.notice_seconds + self.approach_seconds)

    @property
    def notice_seconds(self) -> float:
        """Return how far ahead a moment must be, to be known in time."""
        return 1.5 * self._lease_seconds

    @property
    def approach_seconds(self) -> float:
        """Return how long before its moment a call is bought.

        Hardly one may miss it: a moment that is missed is lost for all who wait, and a line that is
        given back and bought again costs two transactions, which make the next one miss its own.
        """
        needed = self._preparation_mean + 3 * self._preparation_spread + 0.002
        return min(_MOST_LEAD_SECONDS, needed)

    def record_lease(self, took_seconds: float, leased: Lease) -> None:
        """Record how long leasing took, the pace and how late a moment may be used."""
        interval = leased.interval_seconds
        self._lease_seconds += (took_seconds - self._lease_seconds) * 0.2
        if abs(interval - self.interval) > 0.01 * self.interval:
            spaced = interval >= _SPACED_FROM_SECONDS
            self._spacer = AsyncLimiter(1, interval * _SPACING_RATIO) if spaced else None
            self.interval = interval
        self.own_interval = self.interval / max(0.05, self._share)

    def record_share(self, own: int, before: float, after: float) -> None:
        """Record how much of all that was handed out came to this process."""
        if own == 0 or self.interval == 0:
            return
        other_calls = max(0.0, (before - self._seen_next_at) / self.interval)
        self._share += (own / (own + other_calls) - self._share) * 0.2
        self._seen_next_at = after

    def record_preparation(self, took_seconds: float) -> None:
        """Record how long the money took between getting a moment and being ready for it."""
        self._preparation_mean += (took_seconds - self._preparation_mean) * 0.2
        deviation = abs(took_seconds - self._preparation_mean)
        self._preparation_spread += (deviation - self._preparation_spread) * 0.2

    def record_lateness(self, late_seconds: float) -> None:
        """Record how late a call left: its mean and twice its spread are the jitter."""
        late = min(max(0.0, late_seconds), 0.25)
        self._late_mean += (late - self._late_mean) * _DECAY
        self._late_spread += (abs(late - self._late_mean) - self._late_spread) * _DECAY
        self.jitter_seconds = self._late_mean + 2 * self._late_spread

    async def keep_distance(self, clock: Clock) -> None:
        """Keep calls of this process apart, also when several were late together."""
        if self._spacer is not None and clock.kind == "system":
            await self._spacer.acquire()
            self._departed_at = clock.monotonic()

    def next_departure(self, clock: Clock) -> float:
        """Return when a call that came now could leave."""
        return max(clock.monotonic(), self._departed_at + self.interval * _SPACING_RATIO)


def _throttled(key: LaneKey, wait_seconds: float) -> Throttled:
    return Throttled(
        f"The limit {key.limit_name} of {key.provider} has no room for {wait_seconds:.1f} s.",
        wait_seconds,
        code="net.limit",
    )


_DECODER = msgspec.json.Decoder(AllowanceState)
_ENCODER = msgspec.json.Encoder()


def _decode(state: str) -> AllowanceState:
    return _DECODER.decode(state) if state else AllowanceState()


def _encode(allowed: AllowanceState) -> str:
    return _ENCODER.encode(allowed).decode()
