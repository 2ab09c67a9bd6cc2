"""Heartbeat: a node's row and counter, and the eviction of dead nodes.

The guard looks at each beat. A node is dead when another has seen its counter stand still for
`dead_after_seconds` of its own monotonic time, or at once when a process gets the dead one's lock
file. A lost connection alone changes nothing.
"""

import asyncio
import os
import secrets
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

from leadflood.engine.clock import REAL_TIME, Clock
from leadflood.engine.db.filelock import FileLock
from leadflood.engine.db.pool import Settings as DatabaseSettings, own_connection
from leadflood.engine.db.tx import Row, Tx, sqlstate_of
from leadflood.engine.obs.log import log
from leadflood.engine.queue.guard import Guard
from leadflood.engine.queue.node import Node
from leadflood.engine.queue.repository import SQL


class NodeEvicted(Exception):
    """This node's claims are no longer ours: it was taken for dead, or its database is another."""


class LockFile:
    """A file that is locked as long as this process lives.

    It gets its name once it is locked: who looks for dead ones never sees a living one unlocked.
    """

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.path = folder / f"{os.getpid()}-{secrets.token_hex(4)}.lock"
        unnamed = self.path.with_suffix(".new")
        self._lock = FileLock(unnamed)
        self._lock.try_alone()
        unnamed.rename(self.path)

    def close(self) -> None:
        """Unlock and remove."""
        self.path.unlink(missing_ok=True)
        self._lock.close()


def list_dead_locks(folder: Path) -> list[str]:
    """Find lock files that no living process holds, and remove them."""
    dead = []
    for path in sorted(folder.glob("*.lock")) if folder.is_dir() else ():
        lock = FileLock(path)
        if lock.try_alone():
            dead.append(str(path))
            path.unlink(missing_ok=True)
        lock.close()
    return dead


class Heartbeat:
    """Keeps the node's row alive on a connection of its own, outside the pool."""

    def __init__(
        self,
        database: DatabaseSettings,
        clock: Clock,
        guard: Guard,
        name: str,
        lock_folder: Path | None,
        on_death: Callable[[], None],
    ) -> None:
        self._database = database
        self._clock = clock
        self._settings = guard.settings
        self._guard = guard
        self._name = name
        self._lock_folder = lock_folder
        self._on_death = on_death
        self._seen: dict[int, tuple[int, float]] = {}

    @asynccontextmanager
    async def enter(self) -> AsyncIterator[Node]:
        """Enter as a new node; leave cleanly at the end. Raises: ClockWrong."""
        dead = (
            await asyncio.to_thread(list_dead_locks, self._lock_folder) if self._lock_folder else []
        )
        lock = await asyncio.to_thread(LockFile, self._lock_folder) if self._lock_folder else None
        try:
            async with own_connection(self._database) as connection:
                session = Tx(connection)
                era = await self._guard.look(session)
                await self._evict_locked(session, dead)
                node_id = await session.fetch_value(
                    SQL.insert_node,
                    name=self._name,
                    lock_path=str(lock.path) if lock else None,
                    now=self._clock.now(),
                )
                await self._guard.beat(session, node_id)
            node = Node(node_id, era)
            log.info("engine.node.entered", node=node_id)
            yield node
            await self._leave(node)
        finally:
            if lock is not None:
                await asyncio.to_thread(lock.close)

    async def _leave(self, node: Node) -> None:
        async with own_connection(self._database) as connection:
            await Tx(connection).fetch_one(SQL.leave_node, id=node.id)
        log.info("engine.node.left", node=node.id)

    async def _evict_locked(self, session: Tx, dead_paths: list[str]) -> None:
        if not dead_paths:
            return
        for row in await session.fetch(SQL.list_nodes):
            if row["lock_path"] in dead_paths:
                await self._evict(session, row)

    async def _evict(self, session: Tx, row: Row) -> None:
        if await session.fetch_one(SQL.evict_node, id=row["id"], beat=row["beat"]):
            log.warning("engine.node.evicted", node=row["id"])
            self._on_death()

    async def run(self, node: Node) -> None:
        """Raise the counter until cancelled; a lost connection is made anew.

        Raises: NodeEvicted.
        """
        while True:
            try:
                async with own_connection(self._database) as connection:
                    await self._raise_counter(Tx(connection), node)
            except Exception as error:
                if sqlstate_of(error) is None and not isinstance(error, TimeoutError):
                    raise
                log.warning("engine.heartbeat.missed", error=str(error)[:200])
            await REAL_TIME.sleep(min(1.0, self._settings.beat_seconds))

    async def _raise_counter(self, session: Tx, node: Node) -> None:
        while True:
            if await self._guard.look(session, node.era) != node.era:
                node.evicted.set()
                raise NodeEvicted(f"the database of node {node.id} was restored or failed over")
            if not await self._guard.beat(session, node.id):
                node.evicted.set()
                raise NodeEvicted(f"node {node.id} was taken for dead")
            await self._watch_peers(session, node)
            await REAL_TIME.sleep(self._settings.beat_seconds)

    async def _watch_peers(self, session: Tx, node: Node) -> None:
        now = REAL_TIME.monotonic()
        peers = [row for row in await session.fetch(SQL.list_nodes) if row["id"] != node.id]
        self._seen = {
            row["id"]: self._seen[row["id"]]
            if self._seen.get(row["id"], (None,))[0] == row["beat"]
            else (row["beat"], now)
            for row in peers
        }
        for row in peers:
            if now - self._seen[row["id"]][1] > self._settings.dead_after_seconds:
                await self._evict(session, row)
        node.has_peers = bool(peers)
