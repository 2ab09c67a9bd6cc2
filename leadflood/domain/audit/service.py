"""The record of privileged acts: written in the transaction of the act, never changed."""

from collections.abc import Sequence
from typing import Any
from uuid import UUID

import msgspec

from leadflood.domain.audit.repository import SQL
from leadflood.domain.audit.schemas import Actor, AuditEntry, AuditEvent, AuditFilter
from leadflood.domain.auth.schemas import PrincipalKind
from leadflood.engine.clock import Clock
from leadflood.engine.db.sql import Query
from leadflood.engine.db.tx import Reader, Row, Tx
from leadflood.engine.ids import Ids, id_at

OLDEST = UUID(int=0)
NEWEST = UUID(int=2**128 - 1)


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

    async def list(
        self, db: Reader, wanted: AuditFilter, before: UUID | None, limit: int
    ) -> list[AuditEvent]:
        """List acts, newest first, behind a place. Ids are made in the order of time."""
        end = NEWEST if wanted.until is None else id_at(wanted.until)
        query, given = _query_for(wanted)
        rows = await db.fetch(
            query,
            **given,
            before=end if before is None else min(before, end),
            since=OLDEST if wanted.since is None else id_at(wanted.since),
            limit=limit,
        )
        return [_event(row) for row in rows]


def _query_for(wanted: AuditFilter) -> tuple[Query, dict[str, object]]:
    """Choose the query whose index finds these acts among millions."""
    named: dict[str, object] = {"action": wanted.action, "subject_kind": wanted.subject_kind}
    if wanted.actor_kind is not None:
        named["subject_id"] = wanted.subject_id
        if wanted.actor_id is None:
            return SQL.list_audit_events_of_operator, {**named, "actor_kind": wanted.actor_kind}
        return SQL.list_audit_events_of_actor, {**named, "actor_id": wanted.actor_id}
    if wanted.subject_id is not None:
        return SQL.list_audit_events_of_subject, {**named, "subject_id": wanted.subject_id}
    if wanted.action is not None:
        return SQL.list_audit_events_of_action, named
    return SQL.list_audit_events, {"subject_kind": wanted.subject_kind}


def _event(row: Row) -> AuditEvent:
    told = dict(row.items())
    detail = msgspec.json.decode(told.pop("detail"), type=dict[str, Any])
    return AuditEvent(**{**told, "actor_kind": PrincipalKind(told["actor_kind"])}, detail=detail)
