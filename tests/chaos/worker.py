"""A whole node in a process of its own, to be killed.

    python -m tests.chaos.worker ORDERS.json

Prints `ready`, works, and prints `ended` with the crash points it passed once its runs are done
and its sends are settled. Without runs it works until it is killed.
"""

import os
import signal
import sys
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from uuid import UUID

import anyio
import msgspec
from leadflood.app import Node, Storage, open_node, open_storage
from leadflood.contracts.values import Channel
from leadflood.engine.clock import REAL_TIME
from leadflood.engine.db.tx import sqlstate_of
from leadflood.engine.obs import log as logs
from leadflood.engine.queue import runs
from leadflood.sandbox.main import Announcement
from leadflood.settings import Settings

from tests.support.pretend import Plan, settings_for

POLL_SECONDS = 0.05
LOOK_UP_SECONDS = 0.5


class WorkerOrders(msgspec.Struct, frozen=True, kw_only=True):
    """The orders of a worker: where, on which world, for which runs, and where to crash."""

    database_url: str
    data: str
    world: Announcement
    plan: Plan = Plan()
    run_ids: tuple[UUID, ...] = ()
    crash_at: str = ""
    pool_size: int = 8

    def settings(self) -> Settings:
        return settings_for(
            self.world, self.plan, Path(self.data), self.database_url, self.pool_size
        )


class WorkerResult(msgspec.Struct, frozen=True):
    """The result of a worker that was not killed: how often it passed each crash point."""

    points: dict[str, int]


def print_line(line: str) -> None:
    os.write(1, line.encode() + b"\n")


class CrashPoints:
    """Counts the crash points, and kills the process at the ordered one."""

    def __init__(self, crash_at: str) -> None:
        self._crash_at = crash_at
        self.passed: Counter[str] = Counter()

    def __call__(self, point: str) -> None:
        self.passed[point] += 1
        if point == self._crash_at:
            os.kill(os.getpid(), signal.SIGKILL)


async def work(orders: WorkerOrders, print_event: Callable[[str], None] = print_line) -> None:
    """Run a node until the runs are done."""
    points = CrashPoints(orders.crash_at)
    async with (
        open_storage(orders.settings()) as storage,
        open_node(storage, crash_point=points) as node,
    ):
        print_event("ready")
        if not orders.run_ids:
            await anyio.sleep_forever()
        await _wait_until_done(node, storage, orders.run_ids)
    print_event("ended " + msgspec.json.encode(WorkerResult(dict(points.passed))).decode())


async def _wait_until_done(node: Node, storage: Storage, run_ids: tuple[UUID, ...]) -> None:
    """Poll until the runs are done; wait for a database that is away."""
    while True:
        try:
            if await _is_done(node, storage, run_ids):
                return
        except Exception as error:
            if sqlstate_of(error) is None and not isinstance(error, TimeoutError):
                raise
        await REAL_TIME.sleep(POLL_SECONDS)


async def _is_done(node: Node, storage: Storage, run_ids: tuple[UUID, ...]) -> bool:
    """Whether the runs are over and Trengo has answered the look-ups, which may restart a run."""
    runs_by_id = await runs.find(storage.db, run_ids)
    if any(run.state == "running" for run in runs_by_id.values()) or not await _is_settled(node):
        return False
    return not any([await runs.count_live(storage.db, run_id) for run_id in run_ids])


async def _is_settled(node: Node) -> bool:
    await node.messaging.unknown_sends.settle_lost()
    if (await node.messaging.sending.status()).sending:
        return False
    unknown = await node.messaging.unknown_sends.list(limit=1_000)
    if not any(view.channel is Channel.WHATSAPP for view in unknown):
        return True
    await node.messaging.unknown_sends.settle_by_lookup(limit=1_000)
    await REAL_TIME.sleep(LOOK_UP_SECONDS)
    return False


def run(orders: WorkerOrders) -> None:
    """Run a worker in this process."""
    logs.configure(logs.Settings(level="info", format="text"))
    anyio.run(work, orders, backend_options={"use_uvloop": True})


if __name__ == "__main__":
    run(msgspec.json.decode(Path(sys.argv[1]).read_bytes(), type=WorkerOrders))
