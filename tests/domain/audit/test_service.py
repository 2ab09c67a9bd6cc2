import asyncpg
import pytest
from leadflood.domain.audit.schemas import AuditActor, AuditEntry
from leadflood.domain.audit.service import AuditTrail
from leadflood.domain.auth.schemas.principals import Principal, PrincipalKind
from leadflood.domain.auth.schemas.roles import ALL
from leadflood.engine.clock import SystemClock
from leadflood.engine.db.pool import Database, Settings
from leadflood.engine.ids import Ids

ACTOR = AuditActor(
    principal=Principal(kind=PrincipalKind.OPERATOR, name="operator", permissions=ALL),
    address="203.0.113.7",
    request_id="r-1",
)


@pytest.mark.parametrize(
    "attack",
    [
        "UPDATE audit_event SET actor = 'somebody else'",
        "DELETE FROM audit_event",
        "TRUNCATE audit_event",
    ],
)
async def test_an_audit_event_cannot_be_changed_or_deleted(
    database: Database, database_settings: Settings, attack: str
) -> None:
    trail = AuditTrail(Ids(SystemClock()), SystemClock())
    async with database.transaction() as tx:
        await trail.record(tx, ACTOR, [AuditEntry(action="user.deleted", subject_kind="user")])
    connection = await asyncpg.connect(database_settings.url)

    try:
        with pytest.raises(asyncpg.RaiseError, match="kept as it was written"):
            await connection.execute(attack)
        stored = await connection.fetchval("SELECT actor FROM audit_event")
    finally:
        await connection.close()

    assert stored == "operator"
