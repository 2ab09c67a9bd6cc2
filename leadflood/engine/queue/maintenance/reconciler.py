"""The reconciler: gives back claims that the database holds for this node and memory does not."""

import anyio

from leadflood.engine.clock import REAL_TIME
from leadflood.engine.db.pool import Database
from leadflood.engine.db.tx import sqlstate_of
from leadflood.engine.obs.log import log
from leadflood.engine.queue.maintenance.settings import Settings
from leadflood.engine.queue.node import Node
from leadflood.engine.queue.repository import SQL
from leadflood.engine.queue.wakeups import Wakeups


class Reconciler:
    """Compares the claims the database holds in the node's name with those in memory.

    Unknown ones go back uncounted: left by a lost COMMIT reply, a cancelled transaction or a
    restarted actor. A claim of a transaction under way is not unknown, so those are awaited.
    """

    def __init__(self, db: Database, node: Node, wakeups: Wakeups, settings: Settings) -> None:
        self._db = db
        self._node = node
        self._wakeups = wakeups
        self._settings = settings

    async def run(self) -> None:
        """Compare every minute, and soon after something was lost."""
        while True:
            with anyio.move_on_after(self._settings.reconcile_seconds):
                await self._node.wants_reconcile.wait()
                await REAL_TIME.sleep(0.2)
            self._node.wants_reconcile.clear()
            try:
                await self.reconcile()
            except Exception as error:
                if sqlstate_of(error) is None and not isinstance(error, TimeoutError):
                    raise
                self._node.wants_reconcile.set()

    async def reconcile(self) -> int:
        """Release unknown claims; return how many."""
        rows = await self._db.fetch(SQL.list_claims, node_id=self._node.id)
        await self._node.wait_for_claiming()
        held = self._node.held
        unknown = [(row[0], row[1]) for row in rows if held.get(row[0]) != row[1]]
        if not unknown:
            return 0
        count = await self._db.execute(
            SQL.release_claims,
            ids=[job_id for job_id, _ in unknown],
            claims=[claim for _, claim in unknown],
            node_id=self._node.id,
        )
        log.info("engine.claims.given_back", count=count)
        self._wakeups.wake_all()
        return count
