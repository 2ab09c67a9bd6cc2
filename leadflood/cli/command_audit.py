"""Audit of commands: what somebody at the terminal changed is on record as it is over HTTP."""

from uuid import UUID

from leadflood.cli.database_command import terminal_user
from leadflood.domain.audit.schemas import AuditActor, AuditEntry
from leadflood.domain.auth.schemas.principals import Principal, PrincipalKind
from leadflood.domain.auth.schemas.roles import ALL
from leadflood.engine.db.tx import Tx
from leadflood.wiring.storage import Storage


async def record(
    storage: Storage,
    tx: Tx,
    action: str,
    subject_id: UUID | str = "",
    subject_kind: str = "",
    **detail: object,
) -> None:
    """Record an act in the transaction of its change; the subject's kind is the action's area."""
    entry = AuditEntry(
        action=action,
        subject_kind=subject_kind or action.partition(".")[0],
        subject_id=str(subject_id),
        detail=detail,
    )
    await record_entry(storage, tx, entry)


async def record_entry(storage: Storage, tx: Tx, entry: AuditEntry) -> None:
    """Record an act of the user at the terminal."""
    await storage.audit.record(tx, terminal_actor(), [entry])


def terminal_actor() -> AuditActor:
    """Return the user at the terminal as acts are recorded."""
    operator = Principal(kind=PrincipalKind.OPERATOR, name=terminal_user(), permissions=ALL)
    return AuditActor(principal=operator, address="", request_id="command line")
