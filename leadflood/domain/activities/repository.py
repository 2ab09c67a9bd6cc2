"""Activities in the database."""

from uuid import UUID

import msgspec

from leadflood.domain.activities.schemas import Activity, ActivityFilter
from leadflood.domain.auth.schemas.principals import Visibility
from leadflood.engine.db.sql import load_queries
from leadflood.engine.db.tx import Reader, Row, Tx

SQL = load_queries(__file__)


class LockedActivity(msgspec.Struct, frozen=True, kw_only=True):
    """An activity before it is changed, with the owner of its lead; None: nobody's."""

    activity: Activity
    lead_owner: str | None
    is_lead_deleted: bool


async def list_activities(
    db: Reader,
    activities: ActivityFilter,
    visibility: Visibility,
    before: UUID | None,
    limit: int,
) -> list[Activity]:
    """List activities of visible leads, newest recorded first, behind a position."""
    params: dict[str, object] = {
        "kind": activities.kind,
        "actor": activities.actor,
        "since": activities.since,
        "owner": visibility.owner,
        "before": before,
        "limit": limit,
    }
    if activities.lead_id is None:
        rows = await db.fetch(SQL.list_activities, **params)
    else:
        rows = await db.fetch(SQL.list_lead_activities, **params, lead_id=activities.lead_id)
    return [_activity(row) for row in rows]


async def insert_activity(tx: Tx, activity: Activity) -> None:
    """Insert an activity."""
    await tx.execute(
        SQL.record_activity,
        id=activity.id,
        lead_id=activity.lead_id,
        kind=activity.kind,
        detail=activity.text,
        actor=activity.by,
        happened_at=activity.happened_at,
        now=activity.recorded_at,
    )


async def lock_activity(tx: Tx, activity_id: UUID) -> LockedActivity | None:
    """Lock an activity."""
    row = await tx.fetch_one(SQL.lock_activity, id=activity_id)
    if row is None:
        return None
    return LockedActivity(
        activity=_activity(row),
        lead_owner=row["owner"],
        is_lead_deleted=row["deleted_at"] is not None,
    )


async def update_activity(tx: Tx, activity: Activity) -> None:
    """Write the text and the time of an activity; its version rises by one."""
    await tx.execute(
        SQL.change_activity,
        id=activity.id,
        detail=activity.text,
        happened_at=activity.happened_at,
        now=activity.updated_at,
    )


async def delete_activity(tx: Tx, activity_id: UUID) -> None:
    """Delete an activity."""
    await tx.execute(SQL.delete_activity, id=activity_id)


def _activity(row: Row) -> Activity:
    recorded_at = row["recorded_at"] or row["happened_at"]
    return Activity(
        id=row["id"],
        version=row["version"],
        lead_id=row["lead_id"],
        kind=row["kind"],
        text=row["detail"],
        by=row["actor"],
        happened_at=row["happened_at"],
        recorded_at=recorded_at,
        updated_at=row["updated_at"] or recorded_at,
    )
