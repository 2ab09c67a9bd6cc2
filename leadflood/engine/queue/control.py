"""Switches: pause, providers, sending: rows of one table, for all nodes, with who and why."""

from collections.abc import Mapping

import msgspec

from leadflood.engine.clock import Clock
from leadflood.engine.db.pool import Database
from leadflood.engine.errors import NotFound
from leadflood.engine.queue import store
from leadflood.engine.queue.duties import repeat
from leadflood.engine.queue.line import Line
from leadflood.engine.queue.store import SQL

PAUSED = "paused"
LOOK_SECONDS = 0.5
STAGE = "stage:"
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

    def is_off(self, provider: str) -> bool:
        """Tell whether an operator has switched a provider off."""
        switch = self.switches.get(f"provider:{provider}")
        return switch is not None and switch.state == "off"


async def pause_stage(db: Database, clock: Clock, stage: str, by_whom: str, reason: str) -> None:
    """Stop a stage on all nodes; what is in hand is finished."""
    await store.write_switch(db, STAGE + stage, PAUSED, by_whom, reason, clock.now())
    await store.notify(db, CHANGED)


async def resume_stage(db: Database, stage: str) -> None:
    """Let a stage go on. Raises: NotFound when it was not paused."""
    if await db.fetch_value(SQL.drop_switch, name=STAGE + stage) is None:
        raise NotFound(f"stage {stage} is not paused", code="engine.stage.not_paused")
    await store.notify(db, CHANGED)
