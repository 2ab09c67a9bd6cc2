"""Switches: pause, scale, providers, sending: rows of one table, for all nodes, who and why.

Each change may be part of a transaction that writes more; nodes are told when that commits.
"""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import datetime

import msgspec

from leadflood.engine.clock import Clock
from leadflood.engine.db.pool import Database
from leadflood.engine.db.tx import Reader
from leadflood.engine.errors import FieldProblem, Invalid, NotFound
from leadflood.engine.queue import store
from leadflood.engine.queue.duties import repeat
from leadflood.engine.queue.line import Line
from leadflood.engine.queue.store import SQL

PAUSED = "paused"
LOOK_SECONDS = 0.5
STAGE = "stage:"
SCALE = "scale:"
PROVIDER = "provider:"
OFF = "off"
MOST_CONCURRENCY = 10_000
CHANGED = "switch"


class SwitchState(msgspec.Struct, frozen=True):
    """A switch as an operator sees it."""

    name: str
    state: str
    by_whom: str
    reason: str


class Control:
    """Follows the switches and applies pauses to this node's lines."""

    def __init__(self, db: Database, clock: Clock, lines: Mapping[str, Line]) -> None:
        self._db = db
        self._clock = clock
        self._lines = lines
        self.switches: dict[str, SwitchState] = {}
        self._followers: list[Callable[[], Awaitable[None]]] = []

    def follow(self, look: Callable[[], Awaitable[None]]) -> None:
        """Let another part look at what operators changed as often as this one does."""
        self._followers.append(look)

    async def run(self) -> None:
        """Look for ever."""
        await repeat(LOOK_SECONDS, self.look, "control")

    async def look(self) -> None:
        """Read the switches and apply them."""
        rows = await store.find_switches(self._db)
        self.switches = {
            name: SwitchState(name, row["state"], row["by_whom"], row["reason"])
            for name, row in rows.items()
        }
        for name, line in self._lines.items():
            switch = self.switches.get(STAGE + name)
            line.apply_pause(is_paused=switch is not None and switch.state == PAUSED)
            line.apply_scale(self._scale_of(name))
        for look in self._followers:
            await look()

    def _scale_of(self, stage: str) -> int | None:
        """Tell how many jobs each node is to have at work; None: what the settings say."""
        switch = self.switches.get(SCALE + stage)
        if switch is None or not switch.state.isdigit():
            return None
        return min(max(int(switch.state), 1), MOST_CONCURRENCY)

    def is_off(self, provider: str) -> bool:
        """Tell whether an operator has switched a provider off."""
        switch = self.switches.get(PROVIDER + provider)
        return switch is not None and switch.state == OFF


async def pause_stage(db: Reader, clock: Clock, stage: str, by_whom: str, reason: str) -> None:
    """Stop a stage on all nodes; what is in hand is finished."""
    await store.write_switch(db, STAGE + stage, PAUSED, by_whom, reason, clock.now())
    await store.notify(db, CHANGED)


async def resume_stage(db: Reader, stage: str) -> None:
    """Let a stage go on. Raises: NotFound when it was not paused."""
    if await db.fetch_value(SQL.drop_switch, name=STAGE + stage) is None:
        raise NotFound(f"stage {stage} is not paused", code="engine.stage.not_paused")
    await store.notify(db, CHANGED)


async def tell_nodes(db: Reader) -> None:
    """Let all nodes look at what operators changed, as soon as that is committed."""
    await store.notify(db, CHANGED)


async def is_paused(db: Reader, stage: str) -> bool:
    """Tell whether an operator has paused a stage."""
    switch = (await store.find_switches(db)).get(STAGE + stage)
    return switch is not None and switch["state"] == PAUSED


async def count_in_hand(db: Reader, stage: str) -> int:
    """Tell how many jobs of a stage are in hand on all nodes."""
    return int(await db.fetch_value(SQL.count_in_hand, stage=stage))


async def bring_forward(
    db: Reader, codes: Sequence[str], now: datetime, limit: int
) -> Sequence[str]:
    """Queue jobs that are put off for one of these reasons; tell the stage of each."""
    rows = await db.fetch(SQL.bring_forward, codes=list(codes), now=now, limit=limit)
    return [row["stage"] for row in rows]


async def scale_stage(
    db: Reader, clock: Clock, stage: str, concurrency: int, by_whom: str, reason: str
) -> None:
    """Set how many jobs of a stage each node has at work at once. Raises: Invalid."""
    if not 1 <= concurrency <= MOST_CONCURRENCY:
        problem = f"write a number from 1 to {MOST_CONCURRENCY}; to stop a stage, pause it"
        raise Invalid(
            f"concurrency: {concurrency} will not do: {problem}",
            (FieldProblem("concurrency", problem),),
        )
    await store.write_switch(db, SCALE + stage, str(concurrency), by_whom, reason, clock.now())
    await store.notify(db, CHANGED)


async def unscale_stage(db: Reader, stage: str) -> bool:
    """Go back to what each node's settings say; False: it was so."""
    dropped = await db.fetch_value(SQL.drop_switch, name=SCALE + stage)
    await store.notify(db, CHANGED)
    return dropped is not None


async def switch_provider_off(
    db: Reader, clock: Clock, provider: str, by_whom: str, reason: str
) -> None:
    """Ask a provider nothing any more, on all nodes."""
    await store.write_switch(db, PROVIDER + provider, OFF, by_whom, reason, clock.now())
    await store.notify(db, CHANGED)


async def switch_provider_on(db: Reader, provider: str) -> bool:
    """Let a provider be asked again; False: it was not switched off."""
    dropped = await db.fetch_value(SQL.drop_switch, name=PROVIDER + provider)
    await store.notify(db, CHANGED)
    return dropped is not None
