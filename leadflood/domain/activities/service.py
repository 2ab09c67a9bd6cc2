"""Activities: record what was done, correct it, take it back, list it."""

from datetime import datetime
from uuid import UUID

import msgspec

from leadflood.domain.activities import repository
from leadflood.domain.activities.schemas import (
    Activity,
    ActivityEdit,
    ActivityFilter,
    ActivityKind,
    ActivityRecorded,
    NewActivity,
)
from leadflood.domain.auth.schemas.principals import Editor, Visibility
from leadflood.domain.leads.service.locking import lock_lead
from leadflood.engine.clock import Clock
from leadflood.engine.db.tx import Reader, Tx
from leadflood.engine.errors import Denied, NotFound, PreconditionFailed
from leadflood.engine.ids import Ids


class ActivityService:
    """The use cases of activities. Whoever recorded one may change it, nobody else."""

    def __init__(self, ids: Ids, clock: Clock) -> None:
        self._ids = ids
        self._clock = clock

    async def list(
        self,
        db: Reader,
        activities: ActivityFilter,
        visibility: Visibility,
        before: UUID | None,
        limit: int,
    ) -> list[Activity]:
        """List activities of visible leads, newest recorded first, behind a position."""
        return await repository.list_activities(db, activities, visibility, before, limit)

    async def record(
        self, tx: Tx, lead_id: UUID, new: NewActivity, editor: Editor
    ) -> tuple[Activity, ActivityRecorded]:
        """Record what was done, with the event to publish. Raises: NotFound."""
        lead = await lock_lead(tx, lead_id, editor)
        activity = self._make(lead.id, new, editor.by)
        await repository.insert_activity(tx, activity)
        return activity, ActivityRecorded(lead.id, activity.id, activity.kind, activity.by)

    async def change(
        self, tx: Tx, activity_id: UUID, edit: ActivityEdit, editor: Editor
    ) -> Activity:
        """Correct an activity. Raises: NotFound, Denied, PreconditionFailed."""
        activity = await self._lock_own(tx, activity_id, editor)
        changed = msgspec.structs.replace(
            activity,
            version=activity.version + 1,
            text=activity.text if edit.text is None else edit.text,
            happened_at=edit.happened_at or activity.happened_at,
            updated_at=self._clock.now(),
        )
        await repository.update_activity(tx, changed)
        return changed

    async def delete(self, tx: Tx, activity_id: UUID, editor: Editor) -> Activity:
        """Take an activity back. Raises: NotFound, Denied, PreconditionFailed."""
        activity = await self._lock_own(tx, activity_id, editor)
        await repository.delete_activity(tx, activity_id)
        return activity

    def _make(self, lead_id: UUID, new: NewActivity, by: str) -> Activity:
        now: datetime = self._clock.now()
        return Activity(
            id=self._ids.new(),
            version=1,
            lead_id=lead_id,
            kind=new.kind.value,
            text=new.text,
            by=by,
            happened_at=new.happened_at or now,
            recorded_at=now,
            updated_at=now,
        )

    async def _lock_own(self, tx: Tx, activity_id: UUID, editor: Editor) -> Activity:
        locked = await repository.lock_activity(tx, activity_id)
        if (
            locked is None
            or locked.is_lead_deleted
            or not editor.visibility.allows(locked.lead_owner)
        ):
            raise NotFound(f"there is no activity {activity_id}", code="leads.activity.not_found")
        activity = locked.activity
        if activity.by != editor.by or activity.kind not in set(ActivityKind):
            raise Denied(
                "only who recorded an activity may change it", code="leads.activity.not_yours"
            )
        if editor.if_match not in {None, activity.version}:
            raise PreconditionFailed(
                f"the activity has changed since: it is version {activity.version} now",
                code="leads.activity.version_conflict",
            )
        return activity
