"""Audit events: one function per query."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

import msgspec

from leadflood.domain.audit.schemas import AuditActor, AuditEntry, AuditEvent, AuditFilter
from leadflood.domain.auth.schemas.principals import PrincipalKind
from leadflood.engine.db.sql import Query, load_queries
from leadflood.engine.db.tx import Reader, Row, Tx
from leadflood.engine.ids import id_at

SQL = load_queries(__file__)
OLDEST = UUID(int=0)
NEWEST = UUID(int=2**128 - 1)


async def add_events(
    tx: Tx, ids: Sequence[UUID], actor: AuditActor, entries: Sequence[AuditEntry], now: datetime
) -> None:
    """Insert one event for each entry."""
    await tx.execute(
        SQL.add_audit_events,
        ids=ids,
        actor_kind=actor.principal.kind.value,
        actor_id=actor.principal.id,
        actor=actor.principal.name,
        address=actor.address,
        request_id=actor.request_id,
        actions=[entry.action for entry in entries],
        subject_kinds=[entry.subject_kind for entry in entries],
        subject_ids=[entry.subject_id for entry in entries],
        details=[msgspec.json.encode(entry.detail).decode() for entry in entries],
        now=now,
    )


async def list_events(
    db: Reader, filters: AuditFilter, before: UUID | None, limit: int
) -> list[AuditEvent]:
    """List events, newest first; `before` is an event's id: ids are in the order of time."""
    newest = NEWEST if filters.until is None else id_at(filters.until)
    query, parameters = _query_for(filters)
    rows = await db.fetch(
        query,
        **parameters,
        before=newest if before is None else min(before, newest),
        since=OLDEST if filters.since is None else id_at(filters.since),
        limit=limit,
    )
    return [_event_of(row) for row in rows]


def _query_for(filters: AuditFilter) -> tuple[Query, dict[str, object]]:
    """Choose the query whose index finds these events among millions."""
    parameters: dict[str, object] = {
        "action": filters.action,
        "subject_kind": filters.subject_kind,
    }
    if filters.actor_kind is not None:
        parameters["subject_id"] = filters.subject_id
        if filters.actor_id is None:
            parameters["actor_kind"] = filters.actor_kind
            return SQL.list_audit_events_of_operator, parameters
        return SQL.list_audit_events_of_actor, {**parameters, "actor_id": filters.actor_id}
    if filters.subject_id is not None:
        return SQL.list_audit_events_of_subject, {**parameters, "subject_id": filters.subject_id}
    if filters.action is not None:
        return SQL.list_audit_events_of_action, parameters
    return SQL.list_audit_events, {"subject_kind": filters.subject_kind}


def _event_of(row: Row) -> AuditEvent:
    values = dict(row.items())
    detail = msgspec.json.decode(values.pop("detail"), type=dict[str, Any])
    kind = PrincipalKind(values.pop("actor_kind"))
    return AuditEvent(**values, actor_kind=kind, detail=detail)
