"""Publishing from outside a stage: what a service writes and the jobs it starts commit together."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import datetime
from typing import Protocol
from uuid import UUID

from leadflood.engine.db.pool import Database
from leadflood.engine.db.tx import Tx
from leadflood.engine.obs.log import log
from leadflood.engine.queue import repository
from leadflood.engine.queue.dispatcher import Dispatcher, HandOff
from leadflood.engine.queue.error_classes import is_temporary
from leadflood.engine.queue.event import Event
from leadflood.engine.queue.node import Node
from leadflood.engine.queue.stage import FollowUp
from leadflood.engine.queue.wakeups import Wakeups


class PublishingTransaction(Protocol):
    """An open transaction that may publish: a `Publication`, or a unit of work around one."""

    @property
    def tx(self) -> Tx:
        """The transaction."""

    async def publish(
        self, events: Sequence[Event], *, run_id: UUID | None = None
    ) -> Sequence[UUID]:
        """Write events and their follow-up jobs, and return the jobs' ids."""


class Publication:
    """An open transaction that may publish events."""

    def __init__(self, tx: Tx, dispatcher: Dispatcher, delivery: HandOff) -> None:
        self.tx = tx
        self._dispatcher = dispatcher
        self._delivery = delivery

    async def publish(
        self,
        events: Sequence[Event],
        *,
        run_id: UUID | None = None,
        priority: int = 0,
        run_at: datetime | None = None,
        request_id: str | None = None,
        trace_parent: str | None = None,
    ) -> list[UUID]:
        """Write events and their follow-up jobs, and return the jobs' ids.

        Of two jobs the one with the lower `priority` goes first.
        """
        return await self.publish_each(
            [
                FollowUp(None, event, run_at, run_id, priority, request_id, trace_parent)
                for event in events
            ]
        )

    async def publish_each(self, follow_ups: Sequence[FollowUp]) -> list[UUID]:
        """Write events that are of different runs, and their jobs, and return the jobs' ids."""
        before = len(self._delivery.job_ids)
        await self._dispatcher.dispatch(self.tx, follow_ups, {}, self._delivery)
        return self._delivery.job_ids[before:]


class Publisher:
    """Opens publishing transactions. On a node the jobs are handed over through memory."""

    def __init__(
        self, db: Database, dispatcher: Dispatcher, node: Node | None, wakeups: Wakeups
    ) -> None:
        self._db = db
        self._dispatcher = dispatcher
        self._node = node
        self._wakeups = wakeups

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[Publication]:
        """Open a transaction; after COMMIT its jobs start, on rollback nothing happened."""
        delivery = HandOff(self._node, self._wakeups)
        try:
            if self._node is None:
                async with self._db.transaction() as tx:
                    yield Publication(tx, self._dispatcher, delivery)
            else:
                with self._node.claiming():
                    async with self._db.transaction() as tx:
                        yield Publication(tx, self._dispatcher, delivery)
                    delivery.complete()
        except BaseException:
            delivery.abandon()
            if self._node is not None:
                self._node.wants_reconcile.set()
            raise
        if self._node is None:
            await self._notify_nodes(delivery)

    async def _notify_nodes(self, delivery: HandOff) -> None:
        """Wake the nodes; what is committed stays so when that fails: they look by themselves."""
        try:
            for payload in delivery.wakeup_payloads():
                await repository.notify(self._db, payload)
        except Exception as error:
            if not is_temporary(error):
                raise
            log.warning("engine.notify.failed", error=str(error)[:200])
