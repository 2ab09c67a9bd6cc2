"""Small duties of a node, each a loop of its own: timers, rescue, runs, sweeping, pruning."""

import asyncio
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import anyio
import msgspec
from typing_extensions import override

from leadflood.engine.clock import REAL_TIME, Clock
from leadflood.engine.db.pool import Database
from leadflood.engine.db.tx import sqlstate_of
from leadflood.engine.ids import id_at
from leadflood.engine.obs.log import log
from leadflood.engine.queue.committer import Committer
from leadflood.engine.queue.event import Event
from leadflood.engine.queue.feeder import job_of
from leadflood.engine.queue.node import Node
from leadflood.engine.queue.outcome import Cancelled
from leadflood.engine.queue.publisher import Publisher
from leadflood.engine.queue.store import SQL
from leadflood.engine.queue.wakes import Wakes

MOST_SWEPT = 1_000
SWEEP_PAUSE_SECONDS = 0.02
PAUSE_SECONDS = 0.5
"""Between two tries while the database is away."""


class Settings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How often the duties look, in seconds, and how long settled things are kept, in days."""

    timer_poll_seconds: float = 5.0
    rescue_seconds: float = 2.0
    reconcile_seconds: float = 60.0
    runs_seconds: float = 1.0
    prune_seconds: float = 60.0
    history_days: float = 7.0
    event_days: float = 30.0
    loss_patience: int = 5
    loss_backoff_seconds: float = 1.0


class RunCompleted(Event, frozen=True, tag="run.completed"):
    """No live job carries the run any more; written once."""

    run_id: UUID

    @override
    def subject(self) -> UUID:
        """The run."""
        return self.run_id


async def repeat(every_seconds: float, duty: Callable[[], Any], name: str) -> None:
    """Do a duty again and again in real time; a database that is away is waited for."""
    while True:
        is_done = await attempt(duty, name)
        await REAL_TIME.sleep(every_seconds if is_done else max(every_seconds, PAUSE_SECONDS))


async def attempt(duty: Callable[[], Any], name: str) -> bool:
    """Do a duty once; False when the database was away."""
    try:
        await duty()
    except Exception as error:
        if sqlstate_of(error) is None and not isinstance(error, TimeoutError):
            raise
        log.warning("engine.duty.delayed", duty=name, error=str(error)[:200])
        return False
    return True


class Timer:
    """Makes due jobs queued. Sleeps until the next due time or a wake-up; polls as a safety net."""

    def __init__(self, db: Database, clock: Clock, wakes: Wakes, settings: Settings) -> None:
        self._db = db
        self._clock = clock
        self._wakes = wakes
        self._settings = settings
        self._woken = asyncio.Event()
        wakes.register_timer(self._woken.set)

    async def run(self) -> None:
        """Feed for ever."""
        await repeat(0.0, self._turn, "timer")

    async def _turn(self) -> None:
        self._woken.clear()
        rows = await self._db.fetch(SQL.wake_scheduled, now=self._clock.now(), limit=1_000)
        for stage in {row["stage"] for row in rows}:
            self._wakes.wake(stage)
        if rows:
            return
        due_at = await self._db.fetch_value(SQL.next_scheduled_at)
        await self._wait_until(due_at)

    async def _wait_until(self, due_at: datetime | None) -> None:
        poll = self._settings.timer_poll_seconds
        with anyio.move_on_after(poll):
            if due_at is None:
                await self._woken.wait()
                return
            left = (due_at - self._clock.now()).total_seconds()
            async with anyio.create_task_group() as group:
                group.start_soon(self._sleep_then_cancel, max(left, 0.001), group.cancel_scope)
                await self._woken.wait()
                group.cancel_scope.cancel()

    async def _sleep_then_cancel(self, seconds: float, scope: anyio.CancelScope) -> None:
        await self._clock.sleep(seconds)
        scope.cancel()


class Rescuer:
    """Takes back every claim whose node is not a row, whenever it was made."""

    def __init__(self, db: Database, clock: Clock, wakes: Wakes, settings: Settings) -> None:
        self._db = db
        self._clock = clock
        self._wakes = wakes
        self._settings = settings

    async def run(self) -> None:
        """Rescue for ever."""
        await repeat(self._settings.rescue_seconds, self.rescue, "rescuer")

    async def rescue(self) -> int:
        """Take back what dead nodes held; tell how many."""
        total = 0
        while True:
            rows = await self._db.fetch(
                SQL.rescue_claims,
                now=self._clock.now(),
                patience=self._settings.loss_patience,
                backoff_seconds=self._settings.loss_backoff_seconds,
                limit=5_000,
            )
            for stage in {row["stage"] for row in rows}:
                self._wakes.wake(stage)
            total += len(rows)
            if len(rows) < 5_000:  # noqa: PLR2004 - the limit above
                break
        if total:
            self._wakes.wake_timer()
            log.info("engine.claims.rescued", count=total)
        return total


class Reconciler:
    """Compares the claims the database holds in the node's name with those in memory.

    Unknown ones go back uncounted: left by a lost COMMIT reply, a cancelled transaction or a
    restarted actor. A claim of a transaction under way is not unknown, so those are awaited.
    """

    def __init__(self, db: Database, node: Node, wakes: Wakes, settings: Settings) -> None:
        self._db = db
        self._node = node
        self._wakes = wakes
        self._settings = settings

    async def run(self) -> None:
        """Compare every minute, and soon after something was lost."""
        while True:
            with anyio.move_on_after(self._settings.reconcile_seconds):
                await self._node.wants_reconcile.wait()
                await REAL_TIME.sleep(0.2)
            self._node.wants_reconcile.clear()
            try:
                await self.reconcile()
            except Exception as error:
                if sqlstate_of(error) is None and not isinstance(error, TimeoutError):
                    raise
                self._node.wants_reconcile.set()

    async def reconcile(self) -> int:
        """Give unknown claims back; tell how many."""
        rows = await self._db.fetch(SQL.list_claims, node_id=self._node.id)
        await self._node.wait_for_claiming()
        held = self._node.held
        unknown = [(row[0], row[1]) for row in rows if held.get(row[0]) != row[1]]
        if not unknown:
            return 0
        count = await self._db.execute(
            SQL.give_back,
            ids=[job_id for job_id, _ in unknown],
            claims=[claim for _, claim in unknown],
            node_id=self._node.id,
        )
        log.info("engine.claims.given_back", count=count)
        self._wakes.wake_all()
        return count


class RunWatcher:
    """Ends runs that no live job carries, once, and sweeps the jobs of cancelled ones."""

    def __init__(  # noqa: PLR0913, PLR0917 - its parts
        self,
        db: Database,
        clock: Clock,
        node: Node,
        wakes: Wakes,
        publisher: Publisher,
        committers: Mapping[str, Committer],
        decoders: Mapping[str, Callable[[str], Any]],
        settings: Settings,
    ) -> None:
        self._db = db
        self._clock = clock
        self._node = node
        self._wakes = wakes
        self._publisher = publisher
        self._committers = committers
        self._decoders = decoders
        self._settings = settings
        self.ended = asyncio.Event()

    async def run(self) -> None:
        """Watch for ever."""
        await repeat(self._settings.runs_seconds, self.look, "runs")

    async def look(self) -> None:
        """Look once."""
        await self._sweep()
        async with self._publisher.transaction() as publication:
            rows = await publication.tx.fetch(SQL.complete_runs, now=self._clock.now())
            for row in rows:
                await publication.publish([RunCompleted(run_id=row["id"])], run_id=row["id"])
        if rows:
            self.ended.set()

    async def _sweep(self) -> None:
        rows = await self._db.fetch(SQL.list_cancelled_runs)
        self._node.cancelled_runs = frozenset(row["id"] for row in rows)
        while rows and await self._sweep_jobs() == MOST_SWEPT:
            while any(one.unsettled() > MOST_SWEPT for one in self._committers.values()):
                await REAL_TIME.sleep(SWEEP_PAUSE_SECONDS)

    async def _sweep_jobs(self) -> int:
        """Claim what waits and hand it to its stages' commits; tell how many."""
        with self._node.claiming():
            rows = await self._db.fetch(
                SQL.claim_cancelled_jobs,
                node_id=self._node.id,
                run_ids=list(self._node.cancelled_runs),
                stages=list(self._committers),
                limit=MOST_SWEPT,
            )
            for row in rows:
                stage = row["stage"]
                job = job_of(row, stage, self._decoders[stage])
                self._node.held[job.job_id] = job.claim
                self._committers[stage].discard(job, Cancelled("its run was cancelled"))
        return len(rows)


class Pruner:
    """Deletes settled jobs and events past their retention, a few thousand a transaction."""

    def __init__(self, db: Database, clock: Clock, settings: Settings) -> None:
        self._db = db
        self._clock = clock
        self._settings = settings

    async def run(self) -> None:
        """Prune for ever."""
        await repeat(self._settings.prune_seconds, self.prune, "pruner")

    async def prune(self) -> int:
        """Delete what is old; tell how many rows."""
        now = self._clock.now()
        before_history = id_at(now - timedelta(days=self._settings.history_days))
        before_events = now - timedelta(days=self._settings.event_days)
        total = 0
        while count := await self._db.execute(
            SQL.prune_history, before=before_history, limit=5_000
        ):
            total += count
        while count := await self._db.execute(SQL.prune_events, before=before_events, limit=5_000):
            total += count
        return total
