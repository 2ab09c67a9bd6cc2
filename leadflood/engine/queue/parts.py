"""Parts that the queue's actors on one node share."""

import random
from collections.abc import Callable

import msgspec

from leadflood.engine.clock import Clock
from leadflood.engine.db.pool import Database
from leadflood.engine.queue.dispatcher import Dispatcher
from leadflood.engine.queue.node import Node
from leadflood.engine.queue.wakeups import Wakeups

CrashPoint = Callable[[str], None]


def no_crash(point: str) -> None:
    """Do nothing: tests put a hook here that ends the process at a named point."""
    del point


class QueueParts(msgspec.Struct, frozen=True, kw_only=True):
    """The parts of the queue.

    `db` holds the rows; `node` is this node's memory of its claims.
    `dispatcher` writes events and follow-ups; `wakeups` calls who has work.
    `clock` is the time of everything written; `rng` spreads retries.
    `crash_point` is called at the named points of each commit.
    """

    db: Database
    node: Node
    dispatcher: Dispatcher
    wakeups: Wakeups
    clock: Clock
    rng: random.Random
    crash_point: CrashPoint = no_crash
