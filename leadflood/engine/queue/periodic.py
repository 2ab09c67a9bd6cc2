"""Periodic jobs: a tick is claimed once among all nodes, in the transaction of what it starts.

Ticks stand on whole multiples of their interval since 1970, so all nodes mean the same ones.
Ticks that were missed are made up by one.
"""

from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta

import msgspec

from leadflood.engine.clock import Clock
from leadflood.engine.db.pool import Database
from leadflood.engine.db.tx import sqlstate_of
from leadflood.engine.obs.log import log
from leadflood.engine.queue.event import Event, name_of
from leadflood.engine.queue.publisher import Publisher
from leadflood.engine.queue.repository import SQL

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
BUSY_SECONDS = 1.0


class SystemHeartbeat(Event, frozen=True, tag="system.heartbeat"):
    """The installation lives: once a minute, by whichever node is first. `tick_at` names it."""

    tick_at: datetime


class Periodic(msgspec.Struct, frozen=True):
    """A periodic job: for every tick the event it makes is published."""

    name: str
    every_seconds: int
    make_event: Callable[[datetime], Event]

    def tick_at(self, now: datetime) -> datetime:
        """Return the newest tick that is due."""
        every = timedelta(seconds=self.every_seconds)
        return _EPOCH + (now - _EPOCH) // every * every


SYSTEM_HEARTBEAT = Periodic(
    "system.heartbeat", 60, lambda tick_at: SystemHeartbeat(tick_at=tick_at)
)


class Scheduler:
    """Claims the ticks of its periodic jobs when they are due."""

    def __init__(
        self, db: Database, clock: Clock, publisher: Publisher, jobs: Sequence[Periodic]
    ) -> None:
        self._db = db
        self._clock = clock
        self._publisher = publisher
        self._jobs = tuple(jobs)

    async def run(self) -> None:
        """Claim ticks for ever; a database that is away is waited for."""
        is_registered = False
        while True:
            try:
                if not is_registered:
                    await self.register()
                    is_registered = True
                for duty in self._jobs:
                    await self.claim_tick(duty)
                left = self._seconds_to_next()
            except Exception as error:
                if sqlstate_of(error) is None and not isinstance(error, TimeoutError):
                    raise
                log.warning("engine.maintenance.delayed", duty="schedule", error=str(error)[:200])
                left = BUSY_SECONDS
            await self._clock.sleep(left)

    async def register(self) -> None:
        """Insert the row of each periodic job; a new one is due at its next tick."""
        for duty in self._jobs:
            tick_at = duty.tick_at(self._clock.now())
            await self._db.execute(SQL.register_periodic, name=duty.name, now=tick_at)

    async def claim_tick(self, duty: Periodic) -> bool:
        """Claim the newest due tick and publish its event; False: it is claimed already."""
        tick_at = duty.tick_at(self._clock.now())
        event = duty.make_event(tick_at)
        async with self._publisher.transaction() as publication:
            taken = await publication.tx.fetch_value(
                SQL.claim_tick,
                name=duty.name,
                tick=tick_at,
                latest=tick_at + timedelta(seconds=duty.every_seconds),
            )
            if taken is None:
                return False
            await publication.publish([event])
        log.info(name_of(event), tickAt=tick_at.isoformat())
        return True

    def _seconds_to_next(self) -> float:
        now = self._clock.now()
        return min(
            duty.every_seconds - (now - duty.tick_at(now)).total_seconds() for duty in self._jobs
        )
