"""Liveness: a node is alive when its heartbeat counter moves, by our own clock."""

from leadflood.engine.clock import REAL_TIME
from leadflood.engine.db.tx import Reader
from leadflood.engine.queue.repository import SQL

POLL_SECONDS = 0.25


class LivenessProbe:
    """Watches the nodes of one name from outside; a row alone proves nothing."""

    def __init__(self, db: Reader, name: str, patience_seconds: float) -> None:
        self._db = db
        self._name = name
        self._patience_seconds = patience_seconds
        self._seen: dict[int, tuple[int, float, bool]] = {}

    async def poll(self) -> bool:
        """Read the counters; False when no node is there, or all have stood still for too long."""
        now = REAL_TIME.monotonic()
        rows = await self._db.fetch(SQL.list_nodes)
        beats = {row["id"]: row["beat"] for row in rows if row["name"] == self._name}
        self._seen = {node: self._track(node, beat, now) for node, beat in beats.items()}
        return any(now - at <= self._patience_seconds for _, at, _ in self._seen.values())

    def _track(self, node: int, beat: int, now: float) -> tuple[int, float, bool]:
        before = self._seen.get(node)
        if before is None:
            return beat, now, False
        return before if before[0] == beat else (beat, now, True)

    async def has_live_node(self) -> bool:
        """Whether a node lives: waits until one is seen to move, or until patience ends."""
        while await self.poll():
            if any(has_moved for _, _, has_moved in self._seen.values()):
                return True
            await REAL_TIME.sleep(POLL_SECONDS)
        return False
