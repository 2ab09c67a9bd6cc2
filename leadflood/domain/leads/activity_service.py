"""Use cases of activities: tell what was done, correct it, take it back, list it."""

from datetime import datetime
from uuid import UUID

import msgspec

from leadflood.domain.leads.activity_schemas import (
    Activity,
    ActivityFilter,
    ActivityKind,
    ActivityRecorded,
)
from leadflood.domain.leads.reading import survivors
from leadflood.domain.leads.schemas import Editor
from leadflood.domain.leads.states import lock_states
from leadflood.engine.clock import Clock
from leadflood.engine.db.sql import load_queries
from leadflood.engine.db.tx import Reader, Row, Tx
from leadflood.engine.errors import Denied, NotFound, PreconditionFailed
from leadflood.engine.ids import Ids

SQL = load_queries(__file__)


class ActivityService:
    """Activities of leads. Whoever recorded one may change it, nobody else."""

    def __init__(self, ids: Ids, clock: Clock) -> None:
        self._ids = ids
        self._clock = clock

    async def list(
        self, db: Reader, wanted: ActivityFilter, before: UUID | None, limit: int
    ) -> list[Activity]:
        """List activities, newest recorded first, behind a place."""
        given = {**msgspec.structs.asdict(wanted), "before": before, "limit": limit}
        if wanted.lead_id is None:
            del given["lead_id"]
            rows = await db.fetch(SQL.list_activities, **given)
        else:
            rows = await db.fetch(SQL.list_lead_activities, **given)
        return [_activity(row) for row in rows]

    async def record(
        self,
        tx: Tx,
        lead_id: UUID,
        kind: ActivityKind,
        text: str,
        happened_at: datetime | None,
        editor: Editor,
    ) -> tuple[Activity, ActivityRecorded]:
        """Tell what was done; `happened_at` None: just now. Raises: NotFound."""
        survivor = (await survivors(tx, [lead_id])).get(lead_id, lead_id)
        state = (await lock_states(tx, [survivor])).get(survivor)
        if state is None or state.deleted_at is not None or not _may_see(state.owner, editor):
            raise NotFound(f"there is no lead {lead_id}", code="leads.not_found")
        now = self._clock.now()
        made = Activity(
            id=self._ids.new(), version=1, lead_id=survivor, kind=kind.value, text=text,
            by=editor.by, happened_at=happened_at or now, recorded_at=now, updated_at=now,
        )  # fmt: skip
        await tx.execute(
            SQL.record_activity,
            id=made.id,
            lead_id=survivor,
            kind=made.kind,
            detail=text,
            actor=made.by,
            happened_at=made.happened_at,
            now=now,
        )
        return made, ActivityRecorded(survivor, made.id, made.kind, made.by)

    async def change(
        self,
        tx: Tx,
        activity_id: UUID,
        text: str | None,
        happened_at: datetime | None,
        editor: Editor,
    ) -> Activity:
        """Correct what one told; None leaves it. Raises: NotFound, Denied, PreconditionFailed."""
        known = await self._lock_own(tx, activity_id, editor)
        changed = msgspec.structs.replace(
            known,
            version=known.version + 1,
            text=known.text if text is None else text,
            happened_at=happened_at or known.happened_at,
            updated_at=self._clock.now(),
        )
        await tx.execute(
            SQL.change_activity,
            id=activity_id,
            detail=changed.text,
            happened_at=changed.happened_at,
            now=changed.updated_at,
        )
        return changed

    async def delete(self, tx: Tx, activity_id: UUID, editor: Editor) -> Activity:
        """Take back what one told. Raises: NotFound, Denied, PreconditionFailed."""
        known = await self._lock_own(tx, activity_id, editor)
        await tx.execute(SQL.delete_activity, id=activity_id)
        return known

    async def _lock_own(self, tx: Tx, activity_id: UUID, editor: Editor) -> Activity:
        row = await tx.fetch_one(SQL.lock_activity, id=activity_id)
        if row is None or row["deleted_at"] is not None or not _may_see(row["owner"], editor):
            raise NotFound(f"there is no activity {activity_id}", code="leads.activity.not_found")
        if row["actor"] != editor.by or row["kind"] not in set(ActivityKind):
            raise Denied(
                "only who recorded an activity may change it", code="leads.activity.not_yours"
            )
        if editor.if_match not in {None, row["version"]}:
            raise PreconditionFailed(
                f"the activity has changed since: it is version {row['version']} now",
                code="leads.activity.changed",
            )
        return _activity(row)


def _may_see(owner: str | None, editor: Editor) -> bool:
    return editor.mine is None or owner == editor.mine


def _activity(row: Row) -> Activity:
    recorded_at = row["recorded_at"] or row["happened_at"]
    return Activity(
        id=row["id"], version=row["version"], lead_id=row["lead_id"], kind=row["kind"],
        text=row["detail"], by=row["actor"], happened_at=row["happened_at"],
        recorded_at=recorded_at, updated_at=row["updated_at"] or recorded_at,
    )  # fmt: skip
