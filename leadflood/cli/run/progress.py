"""Live progress of a run: how many leads are where, how fast, what it cost, how long yet."""

import time
from typing import Self
from uuid import UUID

import anyio
import msgspec
from rich.live import Live
from rich.table import Table
from rich.text import Text

from leadflood.app import Node
from leadflood.cli.console import money, say, talk
from leadflood.domain.overview import store as overview
from leadflood.domain.overview.schemas import Funnel
from leadflood.engine.clock import REAL_TIME
from leadflood.engine.queue import runs

LOOK_SECONDS = 0.2


class Watched(msgspec.Struct, frozen=True):
    """When things happened, in seconds since the command began; None: never."""

    first_score_seconds: float | None
    total_seconds: float


async def watch_run(node: Node, run_id: UUID, wanted: int, began: float) -> Watched:
    """Show a run until no live job carries it."""
    first_score: float | None = None
    started = time.perf_counter()
    with Live(console=talk, refresh_per_second=5, transient=True) as live:
        while True:
            funnel = await overview.count_funnel(node.storage.db, run_id)
            if funnel.scored and first_score is None:
                first_score = time.perf_counter() - began
            live.update(_table(funnel, wanted, time.perf_counter() - started))
            if (await runs.get(node.storage.db, run_id)).state != "running":
                return Watched(first_score, time.perf_counter() - began)
            with anyio.move_on_after(LOOK_SECONDS):
                node.engine.run_watcher.ended.clear()
                await node.engine.run_watcher.ended.wait()
            await REAL_TIME.sleep(0)


def _table(funnel: Funnel, wanted: int, seconds: float) -> Table:
    table = Table.grid(padding=(0, 2))
    rate = funnel.scored / seconds if seconds > 0 else 0.0
    left = (wanted - funnel.scored - funnel.failed) / rate if rate > 0 else 0.0
    table.add_row("found", str(funnel.found), "enriched", str(funnel.enriched),
                  "scored", str(funnel.scored), "HIGH", str(funnel.high))  # fmt: skip
    table.add_row("sent", str(funnel.accepted), "spent", money(funnel.spent_micros),
                  "rate", f"{rate:.0f}/s", "left", f"{max(left, 0):.0f} s")  # fmt: skip
    return table


class Glimpse(msgspec.Struct, frozen=True, kw_only=True):
    """A run at one moment: rows read of those wanted, leads done."""

    funnel: Funnel
    read: int
    wanted: int
    done: int
    per_second: float
    seconds: float
    currency: str

    def line(self) -> str:
        """Write it on a line."""
        rows_left = max(self.wanted - self.done, 0)
        left = f"{rows_left / self.per_second:.0f} s left" if self.per_second > 0 else "…"
        return (
            f"read {self.read}/{self.wanted}  done {self.done}  HIGH {self.funnel.high}  "
            f"failed {self.funnel.failed}  {self.per_second:.0f}/s  {left}  "
            f"spent {money(self.funnel.spent_micros)} {self.currency}"
        )


class Show:
    """Shows glimpses: on a terminal one line that changes, else a line every few seconds."""

    EVERY_SECONDS = 5.0

    def __init__(self) -> None:
        self._live = Live(console=talk, refresh_per_second=5, transient=True)
        self._told_at = 0.0

    def __enter__(self) -> Self:
        if talk.is_terminal:
            self._live.start()
        return self

    def __exit__(self, *exc_info: object) -> None:
        self._live.stop()

    def __call__(self, glimpse: Glimpse) -> None:
        """Show one."""
        if talk.is_terminal:
            self._live.update(Text(glimpse.line()))
        elif glimpse.seconds - self._told_at >= self.EVERY_SECONDS:
            self._told_at = glimpse.seconds
            say(glimpse.line())
