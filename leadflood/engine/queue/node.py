"""A process as a node: its id, the claims it holds, its living peers."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from uuid import UUID


class Node:
    """The memory of a node. The rows are the truth; this is a cache of the claims.

    `has_peers` is whether another node lives; `cancelled_runs` whose jobs are discarded;
    `era` rises when a restore is detected and orders the event log. `evicted` is set where the
    node learns that its row is gone: it commits and hands off nothing from then on.
    """

    def __init__(self, node_id: int, era: int = 1) -> None:
        self.id = node_id
        self.era = era
        self.has_peers = False
        self.cancelled_runs: frozenset[UUID] = frozenset()
        self.held: dict[UUID, int] = {}
        self.wants_reconcile = asyncio.Event()
        self.evicted = asyncio.Event()
        self._claiming: set[object] = set()
        self._claiming_ended = asyncio.Event()

    @contextmanager
    def claiming(self) -> Iterator[None]:
        """Mark a transaction that may claim: what it claims is not yet in memory."""
        mark = object()
        self._claiming.add(mark)
        try:
            yield
        finally:
            self._claiming.discard(mark)
            self._claiming_ended.set()

    async def wait_for_claiming(self) -> None:
        """Wait until the claims of every transaction that runs now are in memory."""
        running = set(self._claiming)
        while running & self._claiming:
            self._claiming_ended.clear()
            await self._claiming_ended.wait()
