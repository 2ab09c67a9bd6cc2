"""The record of privileged acts: written in the transaction of the act, never changed."""

from collections.abc import Sequence

import msgspec

from leadflood.domain.accounts.schemas import AuditEntry, Principal
from leadflood.domain.accounts.sql import SQL
from leadflood.engine.clock import Clock
from leadflood.engine.db.tx import Tx
from leadflood.engine.ids import Ids


class Actor(msgspec.Struct, frozen=True, kw_only=True):
    """Who does it, from where, by which request."""

    principal: Principal
    address: str
    request_id: str


class Audit:
    """Writes and reads the record."""

    def __init__(self, ids: Ids, clock: Clock) -> None:
        self._ids = ids
        self._clock = clock

    async def record(self, tx: Tx, actor: Actor, entries: Sequence[AuditEntry]) -> None:
        """Write acts down, in the transaction that does them."""
        principal = actor.principal
        await tx.execute(
            SQL.add_audit_events,
            ids=self._ids.take(len(entries)),
            actor_kind=principal.kind.value,
            actor_id=principal.id,
            actor=principal.name,
            address=actor.address,
            request_id=actor.request_id,
            actions=[entry.action for entry in entries],
            subject_kinds=[entry.subject_kind for entry in entries],
            subject_ids=[entry.subject_id for entry in entries],
            details=[msgspec.json.encode(entry.detail).decode() for entry in entries],
            now=self._clock.now(),
        )
