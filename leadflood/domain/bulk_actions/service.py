"""Bulk actions: preview, start, watch, cancel and undo one action on many leads."""

from collections import Counter
from collections.abc import Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

import msgspec

from leadflood.domain.auth.schemas.principals import Principal
from leadflood.domain.auth.schemas.roles import Permission
from leadflood.domain.bulk_actions import repository
from leadflood.domain.bulk_actions.repository import ItemCounts
from leadflood.domain.bulk_actions.rules import find_problems, plan_change
from leadflood.domain.bulk_actions.schemas import (
    CHUNK,
    MOST_LEADS,
    UNDOABLE,
    BulkAction,
    BulkPreview,
    BulkRequest,
    BulkView,
    ChunkWanted,
    CodeCount,
    ItemState,
    NewBulkAction,
    StartedAction,
    StoredAction,
)
from leadflood.domain.lead_views.schemas import LeadFilter
from leadflood.domain.lead_views.service.lists import LeadLists
from leadflood.domain.leads.service import kernel as leads
from leadflood.domain.runs.schemas import NO_SPENDING, RunLimits, opener_of
from leadflood.domain.runs.service.runs import RunService
from leadflood.engine.clock import Clock
from leadflood.engine.db.tx import Reader, Tx
from leadflood.engine.errors import Conflict, Denied, Invalid, NotFound
from leadflood.engine.queue import runs
from leadflood.engine.queue.publisher import PublishingTransaction

KIND = "bulk"
SAMPLE = 20
MOST_PROBLEMS = 100
_DELETING = frozenset({BulkAction.DELETE, BulkAction.RESTORE})


class BulkActionService:
    """The use cases of bulk actions."""

    def __init__(self, db: Reader, clock: Clock, runs: RunService, lead_lists: LeadLists) -> None:
        self._db = db
        self._clock = clock
        self._runs = runs
        self._lead_lists = lead_lists

    def require_may_start(self, request: BulkRequest, principal: Principal) -> None:
        """Refuse what the principal may not start, and what does not go together.

        Raises: Denied; Invalid with the fields.
        """
        _require_permission(request.action, principal)
        if request.action is BulkAction.ASSIGN and principal.visibility.is_limited:
            raise Denied(
                "who sees only their own leads cannot give them away: ask a manager",
                code="leads.owner.denied",
            )
        if problems := find_problems(request):
            raise Invalid.of(problems, code="bulk.invalid")

    async def select_leads(self, lead_filter: LeadFilter) -> Sequence[UUID]:
        """Return the leads that fit a filter; one more than an action takes is enough."""
        async with self._lead_lists.snapshot(lead_filter) as snapshot:
            return await snapshot.ids(MOST_LEADS)

    async def preview(self, new: NewBulkAction) -> BulkPreview:
        """Return what an action would do now; it changes nothing."""
        now = self._clock.now()
        action = _unstored(new, now)
        states = await leads.find_states(self._db, new.lead_ids)
        changes = [plan_change(action, states.get(lead_id), now) for lead_id in new.lead_ids]
        counts = Counter(change.state for change in changes)
        codes = Counter(change.code for change in changes if change.code is not None)
        return BulkPreview(
            count=len(changes),
            change_count=counts[ItemState.DONE],
            unchanged_count=counts[ItemState.UNCHANGED],
            refused=tuple(CodeCount(code=code, count=codes[code]) for code in sorted(codes)),
            sample=tuple(new.lead_ids[:SAMPLE]),
        )

    async def start(
        self, uow: PublishingTransaction, new: NewBulkAction, expected_count: int | None = None
    ) -> StartedAction:
        """Start an action in a run of its own; its leads are fixed now.

        Raises: Invalid; Conflict when other leads are meant than were expected.
        """
        lead_ids = list(dict.fromkeys(new.lead_ids))
        _require_count(expected_count, len(lead_ids))
        if not lead_ids:
            raise Invalid("no lead fits: there is nothing to do", code="bulk.empty")
        if len(lead_ids) > MOST_LEADS:
            raise Invalid(
                f"more than {MOST_LEADS:,} leads fit: narrow the filter", code="bulk.too_many"
            )
        count = len(lead_ids)
        run_id = await self._open_run(uow.tx, f"bulk {new.action.value}", new.limits)
        await repository.record_action(uow.tx, run_id, new, count, self._clock.now())
        await repository.add_items(uow.tx, run_id, lead_ids)
        job_ids = await uow.publish(_chunks(run_id, count), run_id=run_id)
        return StartedAction(run_id=run_id, job_id=job_ids[0], count=count)

    async def get(self, run_id: UUID, principal: Principal, tx: Tx | None = None) -> BulkView:
        """Return how far an action is; `tx` where one is open.

        Raises: NotFound, also for the action of another whose leads the principal cannot see.
        """
        db = tx or self._db
        action = await _get_action(db, run_id, principal)
        run = await runs.get(db, run_id)
        counts = await repository.count_items(db, run_id)
        undone_by = await repository.find_undo(db, run_id)
        left_count = counts.by_state.get(ItemState.WAITING, 0)
        return BulkView(
            run_id=run_id,
            action=action.action,
            parameters=action.parameters,
            filter=_filter_of(action),
            state=run.state,
            count=action.item_count,
            **_counts_of(counts),
            left_count=left_count,
            codes=counts.codes,
            problems=await repository.list_problems(db, run_id, MOST_PROBLEMS),
            undoes=action.undoes,
            undone_by=undone_by,
            is_undoable=not left_count and _is_undoable(action) and undone_by is None,
            created_at=action.created_at,
            created_by=action.created_by,
            ended_at=run.ended_at,
        )

    async def cancel(self, tx: Tx, run_id: UUID, principal: Principal) -> bool:
        """Stop an action where it is; what is done stays done. Return False when it had ended.

        Raises: NotFound as `get`.
        """
        await _get_action(tx, run_id, principal)
        return (await self._runs.cancel_as(tx, run_id, principal)).is_new

    async def undo(
        self, uow: PublishingTransaction, run_id: UUID, principal: Principal
    ) -> StartedAction:
        """Start restoring what the leads of an action had before, except those changed since.

        Raises: NotFound as `get`; Denied; Conflict when it goes on, is undone already, or cannot
        be undone.
        """
        tx = uow.tx
        action = await _get_action(tx, run_id, principal)
        _require_permission(action.action, principal)
        count, last = await _require_undoable(tx, action)
        limits = msgspec.structs.replace(NO_SPENDING, opener=opener_of(principal))
        undo_id = await self._open_run(tx, f"bulk {action.action.value} undone", limits)
        new = NewBulkAction(
            action=action.action,
            lead_ids=(),
            by=principal.by,
            parameters=action.parameters,
            filter_text=action.filter_text,
            visibility=principal.visibility,
        )
        now = self._clock.now()
        if not await repository.record_action(tx, undo_id, new, count, now, undoes=run_id):
            raise Conflict("it is undone already", code="bulk.undo.done")
        await repository.add_undo_items(tx, undo_id, run_id)
        job_ids = await uow.publish(_chunks(undo_id, last), run_id=undo_id)
        return StartedAction(run_id=undo_id, job_id=job_ids[0], count=count)

    async def _open_run(self, tx: Tx, title: str, limits: RunLimits) -> UUID:
        return await self._runs.open_run(tx, KIND, limits, title=title)


def _require_count(expected: int | None, count: int) -> None:
    if expected not in {None, count}:
        raise Conflict(
            f"{count} leads are meant by now, not {expected}: look at the preview again",
            code="bulk.count.other",
        )


def _require_permission(action: BulkAction, principal: Principal) -> None:
    needed = Permission.LEADS_DELETE if action in _DELETING else Permission.LEADS_WRITE
    if needed not in principal.permissions:
        raise Denied(f"{action.value} needs the permission {needed.value}", code="http.denied")


async def _get_action(db: Reader, run_id: UUID, principal: Principal) -> StoredAction:
    action = (await repository.find_actions(db, [run_id])).get(run_id)
    if action is None or not principal.visibility.allows_run(await runs.get(db, run_id)):
        raise NotFound(f"there is no bulk action {run_id}", code="bulk.not_found")
    return action


async def _require_undoable(tx: Tx, action: StoredAction) -> tuple[int, int]:
    """Return how many leads there are to undo, and the last of their numbers. Raises: Conflict."""
    if not _is_undoable(action):
        raise Conflict(
            f"what {action.action.value} has done cannot be taken back", code="bulk.undo.never"
        )
    counts = await repository.count_items(tx, action.run_id)
    if counts.by_state.get(ItemState.WAITING):
        raise Conflict(
            "it goes on: wait for its end, or stop it with"
            f" PUT /v1/bulk/{action.run_id}/cancellation",
            code="bulk.undo.running",
        )
    count, last = await repository.count_done(tx, action.run_id)
    if not count:
        raise Conflict("it has changed nothing: there is nothing to undo", code="bulk.empty")
    return count, last


def _is_undoable(action: StoredAction) -> bool:
    return action.action in UNDOABLE and action.undoes is None


def _counts_of(counts: ItemCounts) -> dict[str, int]:
    states = (
        ItemState.DONE,
        ItemState.UNCHANGED,
        ItemState.REFUSED,
        ItemState.FAILED,
        ItemState.CANCELLED,
    )
    return {f"{state.value}_count": counts.by_state.get(state, 0) for state in states}


def _filter_of(action: StoredAction) -> dict[str, Any] | None:
    if action.filter_text is None:
        return None
    return msgspec.json.decode(action.filter_text, type=dict)


def _unstored(new: NewBulkAction, now: datetime) -> StoredAction:
    """Return an action that is not stored as one that is."""
    return StoredAction(
        run_id=UUID(int=0),
        action=new.action,
        parameters=new.parameters,
        filter_text=new.filter_text,
        item_count=len(new.lead_ids),
        undoes=None,
        visibility=new.visibility,
        created_at=now,
        created_by=new.by,
    )


def _chunks(run_id: UUID, last: int) -> tuple[ChunkWanted, ...]:
    return tuple(
        ChunkWanted(run_id, first, min(first + CHUNK - 1, last))
        for first in range(1, last + 1, CHUNK)
    )
