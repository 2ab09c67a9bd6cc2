"""Audit trail: who did which privileged act, from where, to what."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any
from uuid import UUID

import msgspec

from leadflood.domain.auth.schemas.principals import Principal, PrincipalKind


class AuditActor(msgspec.Struct, frozen=True, kw_only=True):
    """The actor of an act, their address and request."""

    principal: Principal
    address: str
    request_id: str


class AuditEntry(msgspec.Struct, frozen=True, kw_only=True):
    """A privileged act: `action` is `noun.past_verb` (`user.role_changed`), `detail` small JSON.

    `subject_id` None: the act is about the whole kind.
    """

    action: str
    subject_kind: str
    subject_id: str | None = None
    detail: Mapping[str, object] = msgspec.field(default_factory=dict)


class AuditEvent(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """A privileged act as it is kept: who, from where, by which request, what, to what.

    `actorId` null: the operator; `subjectId` null: the whole kind.
    """

    id: UUID
    at: datetime
    actor_kind: PrincipalKind
    actor_id: UUID | None
    actor: str
    address: str
    request_id: str
    action: str
    subject_kind: str
    subject_id: str | None
    detail: dict[str, Any]


class AuditFilter(msgspec.Struct, frozen=True, kw_only=True):
    """A filter of acts; None is no condition.

    `actor_kind`, `actor_id`: by whom; a kind without an id means the operator or nobody.
    `action`, `subject_kind`, `subject_id`: what was done to what.
    `since`, `until`: when; `since` is included, `until` is not.
    """

    actor_kind: PrincipalKind | None = None
    actor_id: UUID | None = None
    action: str | None = None
    subject_kind: str | None = None
    subject_id: str | None = None
    since: datetime | None = None
    until: datetime | None = None
