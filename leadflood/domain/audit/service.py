"""Audit trail: events are written in the transaction of the act, and never changed."""

from collections.abc import Sequence
from uuid import UUID

from leadflood.domain.audit import repository
from leadflood.domain.audit.schemas import AuditActor, AuditEntry, AuditEvent, AuditFilter
from leadflood.engine.clock import Clock
from leadflood.engine.db.tx import Reader, Tx
from leadflood.engine.ids import Ids


class AuditTrail:
    """Records and lists privileged acts."""

    def __init__(self, ids: Ids, clock: Clock) -> None:
        self._ids = ids
        self._clock = clock

    async def record(self, tx: Tx, actor: AuditActor, entries: Sequence[AuditEntry]) -> None:
        """Record acts in the transaction that does them."""
        ids = self._ids.take(len(entries))
        await repository.add_events(tx, ids, actor, entries, self._clock.now())

    async def list(
        self, db: Reader, filters: AuditFilter, before: UUID | None, limit: int
    ) -> list[AuditEvent]:
        """List events, newest first, from before an event's id."""
        return await repository.list_events(db, filters, before, limit)
