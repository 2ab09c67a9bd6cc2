"""From events to rows: the event log, the follow-ups, and their hand-off through memory.

Follow-ups for which the next channel has a free slot are inserted already claimed by this node
and pushed after COMMIT; the rest are inserted `queued` and claimed later.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from uuid import UUID

import msgspec

from leadflood.engine.actors.channel import JobChannel
from leadflood.engine.clock import Clock
from leadflood.engine.db.tx import Tx
from leadflood.engine.ids import Ids
from leadflood.engine.queue import runs
from leadflood.engine.queue.entry_turns import Entries, EntryTurns
from leadflood.engine.queue.event import Event
from leadflood.engine.queue.event_routes import EventRoute, EventRoutes
from leadflood.engine.queue.job import QUEUED, RUNNING, SCHEDULED, Job
from leadflood.engine.queue.node import Node
from leadflood.engine.queue.repository import SQL
from leadflood.engine.queue.stage import FollowUp
from leadflood.engine.queue.wakeups import Wakeups

_encode = msgspec.json.Encoder().encode


class NewJob:
    """A row to be: one follow-up for one stage. `id` is given when it is inserted."""

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
        "trace_parent",
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
        trace_parent: str | None,
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
        self.trace_parent = trace_parent
        self.state = QUEUED if run_at is None else SCHEDULED

    def claimed(self, stage: str, now: datetime) -> Job:
        """Return it as a job that this node holds by its first claim."""
        return Job(
            self.event,
            stage,
            self.id,
            1,
            self.run_id,
            self.turn,
            self.priority,
            0,
            0,
            self.key,
            self.request_id,
            self.trace_parent,
            now,
        )


def _columns(jobs: Sequence[NewJob]) -> dict[str, object]:
    """Turn new jobs into the arrays of an insert."""
    return {
        "ids": [job.id for job in jobs],
        "run_ids": [job.run_id for job in jobs],
        "run_ats": [job.run_at for job in jobs],
        "turns": [job.turn for job in jobs],
        "states": [job.state for job in jobs],
        "priorities": [job.priority for job in jobs],
        "request_ids": [job.request_id for job in jobs],
        "trace_parents": [job.trace_parent for job in jobs],
        "payloads": [job.payload for job in jobs],
    }


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


class HandOff:
    """Jobs that a transaction hands off in memory: pushed after COMMIT, released on rollback.

    `job_ids` are all that it inserts, `run_ids` the runs that they are of.
    """

    def __init__(self, node: Node | None, wakeups: Wakeups) -> None:
        self._node = node
        self._wakeups = wakeups
        self._handed: list[tuple[JobChannel[Job], list[Job], int]] = []
        self._queued: set[str] = set()
        self._has_scheduled = False
        self.job_ids: list[UUID] = []
        self.run_ids: set[UUID | None] = set()

    def push_after_commit(self, channel: JobChannel[Job], jobs: list[Job], reserved: int) -> None:
        """Push claimed jobs after COMMIT into a channel in which `reserved` slots are held."""
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
        """List what to notify the nodes of: stages that got work; the empty text wakes all."""
        return [""] if self._has_scheduled or not self._queued else sorted(self._queued)


class Dispatcher:
    """Writes events and follow-ups. `node` None: a producer that claims nothing itself."""

    def __init__(
        self,
        routes: EventRoutes,
        channels: Mapping[str, JobChannel[Job]],
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
        self._turns = EntryTurns()

    async def dispatch(
        self, tx: Tx, follow_ups: Sequence[FollowUp], causes: Mapping[UUID, Job], delivery: HandOff
    ) -> None:
        """Write the log rows and the follow-up jobs of a batch of events."""
        if not follow_ups:
            return
        events = EventRows()
        by_stage = await self._sort(tx, follow_ups, causes, events)
        if events.types:
            await self._log(tx, events)
        for stage, jobs in sorted(by_stage.items()):  # one order for all: keys are locked
            await self.insert(tx, stage, jobs, delivery)

    async def _sort(
        self,
        tx: Tx,
        follow_ups: Sequence[FollowUp],
        causes: Mapping[UUID, Job],
        events: EventRows,
    ) -> dict[str, list[NewJob]]:
        """Turn events into log rows and, by stage, into new jobs."""
        by_stage: dict[str, list[NewJob]] = {}
        positions: dict[UUID, int] = {}
        entries = await self._enter(tx, follow_ups, causes)
        for follow_up in follow_ups:
            route = self._routes.find(type(follow_up.event))
            payload = _encode(follow_up.event).decode()
            cause = causes.get(follow_up.cause) if follow_up.cause is not None else None
            run_id = follow_up.run_id or (cause.run_id if cause is not None else None)
            if not route.internal:
                events.add(route, follow_up.event, run_id, payload)
            if not route.stages:
                continue
            turn = _next_turn(cause, positions) if cause is not None else entries.take(run_id)
            for stage in route.stages:
                key = _key_of(route, follow_up.event, stage, run_id)
                job = _new_job(follow_up, cause or follow_up, run_id, turn, key, payload)
                by_stage.setdefault(stage, []).append(job)
        return by_stage

    async def _enter(
        self, tx: Tx, follow_ups: Sequence[FollowUp], causes: Mapping[UUID, Job]
    ) -> Entries:
        """Open the runs that get work from outside, and find where it enters the queue."""
        entering = [
            follow_up
            for follow_up in follow_ups
            if follow_up.cause not in causes and self._routes.find(type(follow_up.event)).stages
        ]
        if not entering:
            return Entries(self._turns, 0, {})
        run_ids = {follow_up.run_id for follow_up in entering if follow_up.run_id is not None}
        sources = await runs.hold_open(tx, run_ids)
        smallest = await tx.fetch_value(SQL.smallest_turn, stages=list(self._channels))
        return Entries(self._turns, smallest, sources)

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

    async def insert(self, tx: Tx, stage: str, jobs: list[NewJob], delivery: HandOff) -> None:
        """Insert new jobs of one stage, claimed as far as its channel has room."""
        for job, new_id in zip(jobs, self._ids.take(len(jobs)), strict=True):
            job.id = new_id
        keyed = [job for job in jobs if job.key is not None]
        unkeyed = [job for job in jobs if job.key is None] if keyed else jobs
        if unkeyed:
            await self._insert_unkeyed(tx, stage, unkeyed, delivery)
        if keyed:
            await self._insert_keyed(tx, stage, keyed, delivery)
        delivery.job_ids.extend([job.id for job in jobs])
        delivery.run_ids.update([job.run_id for job in jobs])

    def _reserve(self, stage: str, jobs: Sequence[NewJob]) -> list[NewJob]:
        """Mark as many jobs claimed as the stage's channel has room for, and return those."""
        channel = self._channels.get(stage)
        if self._node is None or self._node.evicted.is_set() or channel is None:
            return []
        granted = list(jobs[: channel.reserve_for_handoff(len(jobs))])
        for job in granted:
            job.state = RUNNING
        return granted

    async def _insert_unkeyed(
        self, tx: Tx, stage: str, jobs: list[NewJob], delivery: HandOff
    ) -> None:
        waiting = [job for job in jobs if job.state == QUEUED]
        claimed = self._reserve(stage, waiting)
        if claimed:
            handed_off = self._claimed(stage, claimed)
            delivery.push_after_commit(self._channels[stage], handed_off, len(claimed))
        if len(claimed) < len(waiting):
            delivery.record_queued(stage)
        if len(waiting) < len(jobs):
            delivery.record_scheduled()
            await self._insert_mixed(tx, stage, jobs)
        elif _is_uniform(jobs):
            for part, state in ((claimed, RUNNING), (waiting[len(claimed) :], QUEUED)):
                if part:
                    await self._insert_plain(tx, stage, part, state)
        else:
            await self._insert_mixed(tx, stage, jobs)

    async def _insert_plain(self, tx: Tx, stage: str, jobs: list[NewJob], state: int) -> None:
        """Insert jobs that differ in little: the common case, with the fewest arrays."""
        await tx.execute(
            SQL.insert_plain_jobs,
            run_id=jobs[0].run_id,
            now=self._clock.now(),
            state=state,
            node_id=self._node_id,
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
            node_id=self._node_id,
            stage=stage,
            **_columns(jobs),
        )

    async def _insert_keyed(
        self, tx: Tx, stage: str, jobs: list[NewJob], delivery: HandOff
    ) -> None:
        """Insert jobs with a key. One whose key is alive joins that job, and gets its id."""
        first_by_key = _join_equal_keys(jobs)
        fresh = list(first_by_key.values())
        claimed = self._reserve(stage, [job for job in fresh if job.state == QUEUED])
        handed_off: list[Job] = []
        if claimed:  # slots are held while it is not known which rows are really inserted
            delivery.push_after_commit(self._channels[stage], handed_off, len(claimed))
        rows = await tx.fetch(
            SQL.insert_keyed_jobs,
            now=self._clock.now(),
            node_id=self._node_id,
            stage=stage,
            keys=[job.key for job in fresh],
            **_columns(fresh),
        )
        inserted = {row[0] for row in rows}
        handed_off += self._claimed(stage, [job for job in claimed if job.id in inserted])
        ids = {row[1]: row[0] for row in rows}
        for job in jobs:
            job.id = ids[job.key]
        if any(row[2] == QUEUED for row in rows):
            delivery.record_queued(stage)
        if any(row[2] == SCHEDULED for row in rows):
            delivery.record_scheduled()

    @property
    def _node_id(self) -> int | None:
        return self._node.id if self._node is not None else None

    def _claimed(self, stage: str, jobs: Sequence[NewJob]) -> list[Job]:
        now = self._clock.now()
        return [job.claimed(stage, now) for job in jobs]


def _next_turn(cause: Job, positions: dict[UUID, int]) -> int:
    """Return the turn of a follow-up: its cause's, plus its position among that task's."""
    position = positions.get(cause.job_id, 0)
    positions[cause.job_id] = position + 1
    return cause.turn + position


def _key_of(route: EventRoute, event: Event, stage: str, run_id: UUID | None) -> str | None:
    """Return what makes a follow-up unique, within its stage and run; None: nothing."""
    own_key = event.job_key() if route.is_keyed else None
    return None if own_key is None else f"{stage}:{run_id}:{own_key}"


def _new_job(
    follow_up: FollowUp,
    origin: Job | FollowUp,
    run_id: UUID | None,
    turn: int,
    key: str | None,
    payload: str,
) -> NewJob:
    return NewJob(
        follow_up.event,
        payload,
        run_id,
        turn,
        origin.priority,
        follow_up.run_at,
        key,
        origin.request_id,
        origin.trace_parent,
    )


def _is_uniform(jobs: Sequence[NewJob]) -> bool:
    """Whether all jobs have one run and priority, and none a request."""
    first = jobs[0]
    run_id, priority = first.run_id, first.priority
    return all(
        [  # noqa: C419 - a list is three times as fast as a generator here
            job.run_id == run_id
            and job.priority == priority
            and job.request_id is None
            and job.trace_parent is None
            for job in jobs
        ]
    )


def _join_equal_keys(jobs: Sequence[NewJob]) -> dict[str | None, NewJob]:
    """Within one statement a key may stand once: the first stays, the earliest time wins.

    In the order of the keys, as they are locked so.
    """
    by_key: dict[str | None, NewJob] = {}
    for job in jobs:
        first = by_key.setdefault(job.key, job)
        if first is not job:
            _take_earlier(first, job)
    return dict(sorted(by_key.items(), key=lambda entry: entry[0] or ""))


def _take_earlier(job: NewJob, other: NewJob) -> None:
    """Give a job the earlier time and the higher priority of itself and another of its key."""
    job.priority = min(job.priority, other.priority)
    if QUEUED in {job.state, other.state}:
        job.state, job.run_at = QUEUED, None
    elif other.run_at is not None and (job.run_at is None or other.run_at < job.run_at):
        job.run_at = other.run_at
