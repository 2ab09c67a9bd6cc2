"""From events to rows: the event log, the follow-ups, and their hand-off through memory.

Follow-ups for which the next channel has a free slot are inserted already claimed by this node
and pushed after COMMIT; the rest are inserted `queued` and claimed later.
"""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from uuid import UUID

import msgspec

from leadflood.engine.actors.channel import Channel
from leadflood.engine.clock import Clock
from leadflood.engine.db.tx import Tx
from leadflood.engine.ids import Ids
from leadflood.engine.queue.event import Event
from leadflood.engine.queue.event_routes import EventRoute, EventRoutes
from leadflood.engine.queue.job import QUEUED, RUNNING, SCHEDULED, Job
from leadflood.engine.queue.node import Node
from leadflood.engine.queue.repository import SQL
from leadflood.engine.queue.stage import FollowUp
from leadflood.engine.queue.wakeups import Wakeups

_encode = msgspec.json.Encoder().encode


class NewJob:
    """A row to be: one follow-up for one stage."""

    __slots__ = (
        "event",
        "id",
        "key",
        "payload",
        "priority",
        "request_id",
        "run_at",
        "run_id",
        "state",
        "turn",
    )

    def __init__(  # noqa: PLR0913, PLR0917 - one slot each, on the hot path
        self,
        event: Event,
        payload: str,
        run_id: UUID | None,
        turn: int,
        priority: int,
        run_at: datetime | None,
        key: str | None,
        request_id: str | None,
    ) -> None:
        self.id: UUID
        self.event = event
        self.payload = payload
        self.run_id = run_id
        self.turn = turn
        self.priority = priority
        self.run_at = run_at
        self.key = key
        self.request_id = request_id
        self.state = QUEUED if run_at is None else SCHEDULED


class EventRows:
    """The columns of the event log's new rows."""

    __slots__ = ("payloads", "run_ids", "subjects", "types", "versions")

    def __init__(self) -> None:
        self.types: list[str] = []
        self.subjects: list[UUID | None] = []
        self.versions: list[int | None] = []
        self.run_ids: list[UUID | None] = []
        self.payloads: list[str] = []

    def add(self, route: EventRoute, event: Event, run_id: UUID | None, payload: str) -> None:
        """Add one event."""
        self.types.append(route.name)
        self.subjects.append(event.subject() if route.has_subject else None)
        self.versions.append(event.version() if route.has_version else None)
        self.run_ids.append(run_id)
        self.payloads.append(payload)


class Delivery:
    """What a transaction promised to memory: pushed after COMMIT, released on rollback."""

    def __init__(self, node: Node | None, wakeups: Wakeups) -> None:
        self._node = node
        self._wakeups = wakeups
        self._handed: list[tuple[Channel[Job], list[Job], int]] = []
        self._queued: set[str] = set()
        self._has_scheduled = False
        self.job_ids: list[UUID] = []

    def push_after_commit(self, channel: Channel[Job], jobs: list[Job], reserved: int) -> None:
        """Promise claimed jobs to a channel in which `reserved` slots are held."""
        self._handed.append((channel, jobs, reserved))

    def record_queued(self, stage: str) -> None:
        """Remember that a stage has new work in Postgres."""
        self._queued.add(stage)

    def record_scheduled(self) -> None:
        """Remember that a timer was set."""
        self._has_scheduled = True

    def complete(self) -> None:
        """After COMMIT: push what was inserted, wake who has work."""
        for channel, jobs, reserved in self._handed:
            if self._node is not None:
                held = self._node.held
                for job in jobs:
                    held[job.job_id] = job.claim
            channel.push(jobs, reserved)
        for stage in self._queued:
            self._wakeups.wake(stage)
        if self._has_scheduled:
            self._wakeups.wake_timer()
        self._handed = []

    def abandon(self) -> None:
        """After a rollback: give the slots back."""
        for channel, _, reserved in self._handed:
            channel.release(reserved)
        self._handed = []

    def wakeup_payloads(self) -> list[str]:
        """List what to tell the nodes: stages that got work; an empty word wakes all and timers."""
        return [""] if self._has_scheduled or not self._queued else sorted(self._queued)


class Dispatcher:
    """Writes events and follow-ups. `node` None: a producer that claims nothing itself."""

    def __init__(
        self,
        routes: EventRoutes,
        channels: Mapping[str, Channel[Job]],
        node: Node | None,
        wakeups: Wakeups,
        ids: Ids,
        clock: Clock,
    ) -> None:
        self._routes = routes
        self._channels = channels
        self._node = node
        self._wakeups = wakeups
        self._ids = ids
        self._clock = clock

    async def dispatch(
        self, tx: Tx, follows: Sequence[FollowUp], causes: Mapping[UUID, Job], delivery: Delivery
    ) -> None:
        """Write the log rows and the follow-ups of a batch of events."""
        if not follows:
            return
        events = EventRows()
        by_stage = await self._sort(tx, follows, causes, events)
        if events.types:
            await self._log(tx, events)
        for stage, jobs in sorted(by_stage.items()):  # one order for all: keys are locked
            await self.insert(tx, stage, jobs, delivery)

    async def _sort(
        self,
        tx: Tx,
        follows: Sequence[FollowUp],
        causes: Mapping[UUID, Job],
        events: EventRows,
    ) -> dict[str, list[NewJob]]:
        by_stage: dict[str, list[NewJob]] = {}
        positions: dict[UUID, int] = {}
        entry_turn: int | None = None
        find = self._routes.find
        for follow in follows:
            event, cause_id = follow.event, follow.cause
            route = find(type(event))
            payload = _encode(event).decode()
            cause = causes.get(cause_id) if cause_id is not None else None
            run_id = follow.run_id or (cause.run_id if cause is not None else None)
            if not route.internal:
                events.add(route, event, run_id, payload)
            if not route.stages:
                continue
            if cause is not None and cause_id is not None:
                position = positions.get(cause_id, 0)
                positions[cause_id] = position + 1
                turn, priority, request_id = cause.turn + position, cause.priority, cause.request_id
            else:
                if entry_turn is None:
                    entry_turn = await self._smallest_turn(tx)
                turn, priority, request_id = entry_turn, follow.priority, follow.request_id
            for stage in route.stages:
                own_key = event.job_key() if route.is_keyed else None
                key = f"{stage}:{run_id}:{own_key}" if own_key is not None else None
                job = NewJob(event, payload, run_id, turn, priority, follow.run_at, key, request_id)
                by_stage.setdefault(stage, []).append(job)
        return by_stage

    async def _smallest_turn(self, tx: Tx) -> int:
        return int(await tx.fetch_value(SQL.smallest_turn, stages=list(self._channels)) or 0)

    async def _log(self, tx: Tx, events: EventRows) -> None:
        await tx.execute(
            SQL.insert_events,
            era=self._node.era if self._node is not None else await self._era(tx),
            ids=self._ids.take(len(events.types)),
            now=self._clock.now(),
            versions=events.versions,
            subjects=events.subjects,
            run_ids=events.run_ids,
            types=events.types,
            payloads=events.payloads,
        )

    async def _era(self, tx: Tx) -> int:
        return int(await tx.fetch_value(SQL.find_era) or 1)

    async def insert(self, tx: Tx, stage: str, jobs: list[NewJob], delivery: Delivery) -> None:
        """Insert new jobs of one stage, claimed as far as its channel has room."""
        for job, new_id in zip(jobs, self._ids.take(len(jobs)), strict=True):
            job.id = new_id
        keyed = [job for job in jobs if job.key is not None]
        plain = [job for job in jobs if job.key is None] if keyed else jobs
        waiting = [job for job in plain if job.state == QUEUED]
        if len(waiting) < len(plain):
            await self._insert_scheduled(tx, stage, [j for j in plain if j.state == SCHEDULED])
            delivery.record_scheduled()
        if waiting:
            await self._insert_waiting(tx, stage, waiting, delivery)
        if keyed:
            await self._insert_keyed(tx, stage, _join_equal_keys(keyed), delivery)
            ids = {job.key: job.id for job in _join_equal_keys(keyed)}
            for job in keyed:
                job.id = ids[job.key]
        delivery.job_ids.extend([job.id for job in jobs])

    def _reserve(self, stage: str, wanted: int) -> int:
        channel = self._channels.get(stage)
        if self._node is None or channel is None:
            return 0
        return channel.reserve_for_handoff(wanted)

    async def _insert_waiting(
        self, tx: Tx, stage: str, jobs: list[NewJob], delivery: Delivery
    ) -> None:
        granted = self._reserve(stage, len(jobs))
        handed, left = jobs[:granted], jobs[granted:]
        if handed:
            delivery.push_after_commit(self._channels[stage], self._claimed(stage, handed), granted)
            for job in handed:
                job.state = RUNNING
        if left:
            delivery.record_queued(stage)
        if _is_uniform(jobs):
            for part, state in ((handed, RUNNING), (left, QUEUED)):
                if part:
                    await self._insert_plain(tx, stage, part, state)
        else:
            await self._insert_mixed(tx, stage, jobs)

    async def _insert_plain(self, tx: Tx, stage: str, jobs: list[NewJob], state: int) -> None:
        await tx.execute(
            SQL.insert_plain_jobs,
            run_id=jobs[0].run_id,
            now=self._clock.now(),
            state=state,
            node_id=self._node.id if self._node is not None else None,
            priority=jobs[0].priority,
            stage=stage,
            ids=[job.id for job in jobs],
            turns=[job.turn for job in jobs],
            payloads=[job.payload for job in jobs],
        )

    async def _insert_mixed(self, tx: Tx, stage: str, jobs: list[NewJob]) -> None:
        await tx.execute(
            SQL.insert_jobs,
            now=self._clock.now(),
            node_id=self._node.id if self._node is not None else None,
            stage=stage,
            ids=[job.id for job in jobs],
            run_ids=[job.run_id for job in jobs],
            turns=[job.turn for job in jobs],
            states=[job.state for job in jobs],
            priorities=[job.priority for job in jobs],
            request_ids=[job.request_id for job in jobs],
            payloads=[job.payload for job in jobs],
        )

    async def _insert_scheduled(self, tx: Tx, stage: str, jobs: list[NewJob]) -> None:
        await tx.execute(
            SQL.insert_scheduled_jobs,
            now=self._clock.now(),
            stage=stage,
            ids=[job.id for job in jobs],
            run_ids=[job.run_id for job in jobs],
            run_ats=[job.run_at for job in jobs],
            turns=[job.turn for job in jobs],
            priorities=[job.priority for job in jobs],
            request_ids=[job.request_id for job in jobs],
            payloads=[job.payload for job in jobs],
        )

    async def _insert_keyed(
        self, tx: Tx, stage: str, jobs: list[NewJob], delivery: Delivery
    ) -> None:
        waiting = [job for job in jobs if job.state == QUEUED]
        granted = self._reserve(stage, len(waiting))
        for job in waiting[:granted]:
            job.state = RUNNING
        reservation = _Reservation(self._channels[stage], granted, delivery) if granted else None
        rows = await tx.fetch(
            SQL.insert_keyed_jobs,
            now=self._clock.now(),
            node_id=self._node.id if self._node is not None else None,
            stage=stage,
            ids=[job.id for job in jobs],
            run_ids=[job.run_id for job in jobs],
            run_ats=[job.run_at for job in jobs],
            turns=[job.turn for job in jobs],
            states=[job.state for job in jobs],
            priorities=[job.priority for job in jobs],
            keys=[job.key for job in jobs],
            request_ids=[job.request_id for job in jobs],
            payloads=[job.payload for job in jobs],
        )
        inserted = {row[0] for row in rows}
        if reservation is not None:
            really = [job for job in waiting[:granted] if job.id in inserted]
            reservation.use(self._claimed(stage, really))
        real_ids = {row[1]: row[0] for row in rows}
        for job in jobs:
            job.id = real_ids[job.key]
        if any(row[2] == QUEUED for row in rows):
            delivery.record_queued(stage)
        if any(row[2] == SCHEDULED for row in rows):
            delivery.record_scheduled()

    def _claimed(self, stage: str, jobs: Iterable[NewJob]) -> list[Job]:
        now = self._clock.now()
        return [
            Job(
                job.event,
                job.id,
                1,
                job.run_id,
                0,
                now,
                stage,
                job.turn,
                job.priority,
                0,
                job.key,
                job.request_id,
            )
            for job in jobs
        ]


class _Reservation:
    """Slots held while it is not yet known which rows are really inserted."""

    def __init__(self, channel: Channel[Job], slots: int, delivery: Delivery) -> None:
        self._jobs: list[Job] = []
        delivery.push_after_commit(channel, self._jobs, slots)

    def use(self, jobs: list[Job]) -> None:
        """Name the jobs that were inserted; the other slots fall free at the push."""
        self._jobs.extend(jobs)


def _is_uniform(jobs: Sequence[NewJob]) -> bool:
    first = jobs[0]
    run_id, priority = first.run_id, first.priority
    return all(
        [  # noqa: C419 - a list is three times as fast as a generator here
            job.run_id == run_id and job.priority == priority and job.request_id is None
            for job in jobs
        ]
    )


def _join_equal_keys(jobs: Sequence[NewJob]) -> list[NewJob]:
    """Within one statement a key may stand once: the first stays, the earliest time wins."""
    by_key: dict[str | None, NewJob] = {}
    for job in jobs:
        first = by_key.setdefault(job.key, job)
        if first is not job and job.state == QUEUED:
            first.state, first.run_at = QUEUED, None
    return sorted(by_key.values(), key=lambda job: job.key or "")
