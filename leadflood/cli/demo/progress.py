"""Progress of the demo on the terminal, until its run has ended."""

import time
from uuid import UUID

import anyio
import msgspec
from rich.live import Live
from rich.table import Table

from leadflood.app import Node
from leadflood.cli.console import format_money, stderr_console
from leadflood.domain.runs.schemas import Funnel
from leadflood.domain.runs.service.reports import RunReports
from leadflood.engine.clock import REAL_TIME

POLL_SECONDS = 0.2


class RunTimes(msgspec.Struct, frozen=True):
    """When things happened, in seconds since the command began; None: never."""

    first_score_seconds: float | None
    total_seconds: float


async def watch_run(node: Node, run_id: UUID, lead_count: int, started_at: float) -> RunTimes:
    """Show a run until no live job carries it."""
    first_score: float | None = None
    shown_at = time.perf_counter()
    reports = RunReports(node.storage.db)
    with Live(console=stderr_console, refresh_per_second=5, transient=True) as live:
        while True:
            funnel = await reports.count_funnel(run_id)
            if funnel.scored and first_score is None:
                first_score = time.perf_counter() - started_at
            live.update(_table(funnel, lead_count, time.perf_counter() - shown_at))
            if (await node.storage.runs.get(run_id)).state != "running":
                return RunTimes(first_score, time.perf_counter() - started_at)
            await _wait_for_end(node)


async def _wait_for_end(node: Node) -> None:
    """Wait for a moment, or until some run has ended."""
    with anyio.move_on_after(POLL_SECONDS):
        node.engine.run_watcher.ended.clear()
        await node.engine.run_watcher.ended.wait()
    await REAL_TIME.sleep(0)


def _table(funnel: Funnel, lead_count: int, seconds: float) -> Table:
    rate = funnel.scored / seconds if seconds > 0 else 0.0
    remaining = lead_count - funnel.scored - funnel.failed
    seconds_left = max(remaining / rate, 0) if rate > 0 else 0.0
    cells = {
        "found": str(funnel.found),
        "enriched": str(funnel.enriched),
        "scored": str(funnel.scored),
        "HIGH": str(funnel.high),
        "sent": str(funnel.accepted),
        "spent": format_money(funnel.spent_micros),
        "rate": f"{rate:.0f}/s",
        "left": f"{seconds_left:.0f} s",
    }
    texts = [text for pair in cells.items() for text in pair]
    table = Table.grid(padding=(0, 2))
    table.add_row(*texts[:8])
    table.add_row(*texts[8:])
    return table
