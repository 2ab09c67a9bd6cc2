"""Switches: pause, scale, providers, sending: rows of one table, for all nodes, who and why.

Each change may be part of a transaction that writes more; nodes are notified when that commits.
"""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import datetime

import msgspec

from leadflood.engine.clock import Clock
from leadflood.engine.db.pool import Database
from leadflood.engine.db.tx import Reader
from leadflood.engine.disk import DiskWatch
from leadflood.engine.errors import FieldProblem, Invalid, NotFound
from leadflood.engine.queue import repository
from leadflood.engine.queue.maintenance.loop import repeat
from leadflood.engine.queue.repository import SQL
from leadflood.engine.queue.stage_runner import StageRunner

PAUSED = "paused"
POLL_SECONDS = 0.5
STAGE = "stage:"
SCALE = "scale:"
PROVIDER = "provider:"
OFF = "off"
MAX_CONCURRENCY = 10_000
SWITCH_CHANGED = "switch"


class SwitchState(msgspec.Struct, frozen=True):
    """A switch as an operator sees it."""

    name: str
    state: str
    by_whom: str
    reason: str


class Switches:
    """Follows the switches and applies them to this node's stages. `states` are they by name."""

    def __init__(
        self, db: Database, clock: Clock, runners: Mapping[str, StageRunner], disk: DiskWatch
    ) -> None:
        self._db = db
        self._clock = clock
        self._runners = runners
        self._disk = disk
        self.states: dict[str, SwitchState] = {}
        self._followers: list[Callable[[], Awaitable[None]]] = []

    def follow(self, refresh: Callable[[], Awaitable[None]]) -> None:
        """Add a part that refreshes operators' changes as often as this one does."""
        self._followers.append(refresh)

    async def run(self) -> None:
        """Follow the switches for ever."""
        await repeat(POLL_SECONDS, self.refresh, "switches")

    async def refresh(self) -> None:
        """Read the switches and apply them."""
        self.states = {state.name: state for state in await list_states(self._db)}
        is_stopped = bool(self._disk.stop_reason())
        for name, runner in self._runners.items():
            switch = self.states.get(STAGE + name)
            is_paused = switch is not None and switch.state == PAUSED
            runner.apply_pause(is_paused=is_paused or is_stopped)
            runner.apply_scale(self._scale_of(name))
        for refresh in self._followers:
            await refresh()

    def _scale_of(self, stage: str) -> int | None:
        """Return the concurrency that is set for each node; None: that of the settings."""
        switch = self.states.get(SCALE + stage)
        if switch is None or not switch.state.isdigit():
            return None
        return min(max(int(switch.state), 1), MAX_CONCURRENCY)

    def is_off(self, provider: str) -> bool:
        """Whether an operator has switched a provider off."""
        switch = self.states.get(PROVIDER + provider)
        return switch is not None and switch.state == OFF


async def list_states(db: Reader) -> list[SwitchState]:
    """List what operators have switched."""
    rows = await repository.find_switches(db)
    return [
        SwitchState(name, row["state"], row["by_whom"], row["reason"]) for name, row in rows.items()
    ]


async def pause_stage(db: Reader, clock: Clock, stage: str, by_whom: str, reason: str) -> None:
    """Stop a stage on all nodes; what is in flight is finished."""
    await repository.write_switch(db, STAGE + stage, PAUSED, by_whom, reason, clock.now())
    await repository.notify(db, SWITCH_CHANGED)


async def resume_stage(db: Reader, stage: str) -> None:
    """Resume a stage. Raises: NotFound when it was not paused."""
    if await db.fetch_value(SQL.drop_switch, name=STAGE + stage) is None:
        raise NotFound(f"stage {stage} is not paused", code="engine.stage.not_paused")
    await repository.notify(db, SWITCH_CHANGED)


async def notify_nodes(db: Reader) -> None:
    """Notify all nodes of an operator's change, as soon as that is committed."""
    await repository.notify(db, SWITCH_CHANGED)


async def is_paused(db: Reader, stage: str) -> bool:
    """Whether an operator has paused a stage."""
    switch = (await repository.find_switches(db)).get(STAGE + stage)
    return switch is not None and switch["state"] == PAUSED


async def count_in_flight(db: Reader, stage: str) -> int:
    """Return how many jobs of a stage are in flight on all nodes."""
    return int(await db.fetch_value(SQL.count_in_flight, stage=stage))


async def release_postponed(
    db: Reader, codes: Sequence[str], now: datetime, limit: int
) -> Sequence[str]:
    """Queue jobs that are put off for one of these reasons; return the stage of each."""
    rows = await db.fetch(SQL.release_postponed, codes=list(codes), now=now, limit=limit)
    return [row["stage"] for row in rows]


def require_scalable(stage: str, *, in_batches: bool, code: str | None = None) -> None:
    """Refuse to scale a stage that computes whole batches at once. Raises: Invalid."""
    if in_batches:
        problem = "computes whole batches: it has no number of jobs at once to scale"
        raise Invalid.field("stage", problem, detail=f"{stage} {problem}", code=code)


async def scale_stage(
    db: Reader, clock: Clock, stage: str, concurrency: int, by_whom: str, reason: str
) -> None:
    """Set how many jobs of a stage each node has at work at once. Raises: Invalid."""
    if not 1 <= concurrency <= MAX_CONCURRENCY:
        problem = f"write a number from 1 to {MAX_CONCURRENCY}; to stop a stage, pause it"
        raise Invalid(
            f"concurrency: {concurrency} will not do: {problem}",
            (FieldProblem("concurrency", problem),),
        )
    await repository.write_switch(db, SCALE + stage, str(concurrency), by_whom, reason, clock.now())
    await repository.notify(db, SWITCH_CHANGED)


async def unscale_stage(db: Reader, stage: str) -> bool:
    """Go back to what each node's settings say; False: it was so."""
    dropped = await db.fetch_value(SQL.drop_switch, name=SCALE + stage)
    await repository.notify(db, SWITCH_CHANGED)
    return dropped is not None


async def switch_provider_off(
    db: Reader, clock: Clock, provider: str, by_whom: str, reason: str
) -> None:
    """Switch a provider off on all nodes."""
    await repository.write_switch(db, PROVIDER + provider, OFF, by_whom, reason, clock.now())
    await repository.notify(db, SWITCH_CHANGED)


async def switch_provider_on(db: Reader, provider: str) -> bool:
    """Switch a provider on again; False: it was not off."""
    dropped = await db.fetch_value(SQL.drop_switch, name=PROVIDER + provider)
    await repository.notify(db, SWITCH_CHANGED)
    return dropped is not None
