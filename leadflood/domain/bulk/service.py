"""Use cases of bulk actions: look ahead, begin, watch, cancel, undo."""

from collections import Counter
from datetime import datetime
from typing import Any
from uuid import UUID

import msgspec

from leadflood.domain.bulk import store
from leadflood.domain.bulk.rules import decide
from leadflood.domain.bulk.schemas import (
    CHUNK,
    MOST_LEADS,
    UNDOABLE,
    Action,
    BulkView,
    ChunkWanted,
    CodeCount,
    ItemState,
    Money,
    NewBulk,
    Preview,
)
from leadflood.domain.leads.service import kernel as leads
from leadflood.engine.clock import Clock
from leadflood.engine.db.tx import Reader, Tx
from leadflood.engine.errors import Conflict, Invalid, NotFound
from leadflood.engine.ids import Ids
from leadflood.engine.queue import runs
from leadflood.engine.queue.runs import NewRun

KIND = "bulk"
SAMPLE = 20
MOST_PROBLEMS = 100


class Begun(msgspec.Struct, frozen=True, kw_only=True):
    """A bulk action is written; its chunks are to be published in its run."""

    run_id: UUID
    count: int
    chunks: tuple[ChunkWanted, ...]


class BulkService:
    """One deed for many leads. What it returns, the caller queues in its run."""

    def __init__(self, ids: Ids, clock: Clock) -> None:
        self._ids = ids
        self._clock = clock

    async def preview(self, db: Reader, new: NewBulk) -> Preview:
        """Tell what an action would do now; it changes nothing."""
        now = self._clock.now()
        action = _action_of(new, now)
        states = await leads.find_states(db, new.lead_ids)
        decided = [decide(action, states.get(lead_id), now) for lead_id in new.lead_ids]
        counts = Counter(one.state for one in decided)
        codes = Counter(one.code for one in decided if one.code is not None)
        return Preview(
            count=len(decided),
            change_count=counts[ItemState.DONE],
            unchanged_count=counts[ItemState.UNCHANGED],
            refused=tuple(CodeCount(code=code, count=codes[code]) for code in sorted(codes)),
            sample=tuple(new.lead_ids[:SAMPLE]),
        )

    async def begin(self, tx: Tx, new: NewBulk) -> Begun:
        """Fix what is to be done to which leads, in a run of its own. Raises: Invalid."""
        lead_ids = list(dict.fromkeys(new.lead_ids))
        if not lead_ids:
            raise Invalid("no lead fits: there is nothing to do", code="bulk.empty")
        if len(lead_ids) > MOST_LEADS:
            raise Invalid(
                f"more than {MOST_LEADS:,} leads fit: narrow the filter", code="bulk.too_many"
            )
        run_id = await self._open_run(tx, f"bulk {new.verb.value}", new.money)
        await store.record_action(tx, run_id, new, None, len(lead_ids), self._clock.now())
        await store.record_items(tx, run_id, lead_ids)
        return Begun(run_id=run_id, count=len(lead_ids), chunks=_chunks(run_id, len(lead_ids)))

    async def get(self, db: Reader, run_id: UUID) -> BulkView:
        """Tell how far an action is. Raises: NotFound."""
        action = await self._find(db, run_id)
        run = await runs.get(db, run_id)
        counts = await store.count_items(db, run_id)
        undone_by = await store.find_undoing(db, run_id)
        many = counts.by_state.get
        left = many(ItemState.WAITING, 0)
        return BulkView(
            run_id=run_id, action=action.verb, parameters=action.parameters,
            filter=_filter_of(action), state=run.state, count=action.item_count,
            done_count=many(ItemState.DONE, 0), unchanged_count=many(ItemState.UNCHANGED, 0),
            refused_count=many(ItemState.REFUSED, 0), failed_count=many(ItemState.FAILED, 0),
            cancelled_count=many(ItemState.CANCELLED, 0), left_count=left,
            codes=counts.codes,
            problems=await store.list_problems(db, run_id, MOST_PROBLEMS),
            undoes=action.undoes, undone_by=undone_by,
            is_undoable=not left and _may_undo(action) and undone_by is None,
            created_at=action.created_at, created_by=action.created_by, ended_at=run.ended_at,
        )  # fmt: skip

    async def cancel(self, tx: Tx, run_id: UUID, by: str) -> bool:
        """Stop an action where it is; what is done stays done. False: it had ended.

        Raises: NotFound.
        """
        await self._find(tx, run_id)
        return await runs.cancel(tx, run_id, by, self._clock.now())

    async def undo(self, tx: Tx, run_id: UUID, by: str, sees_owner: str | None) -> Begun:
        """Give back what the leads of an action had before, but for those changed since.

        Raises: NotFound; Conflict when it goes on, is undone already, or cannot be.
        """
        action = await self._find(tx, run_id)
        if not _may_undo(action):
            raise Conflict(
                f"what {action.verb.value} has done cannot be taken back", code="bulk.undo.never"
            )
        counts = await store.count_items(tx, run_id)
        if counts.by_state.get(ItemState.WAITING):
            raise Conflict(
                f"it goes on: wait for its end, or stop it with PUT /v1/bulk/{run_id}/cancellation",
                code="bulk.undo.running",
            )
        count, last = await store.count_done(tx, run_id)
        if not count:
            raise Conflict("it has changed nothing: there is nothing to undo", code="bulk.empty")
        undoing = await self._open_run(tx, f"bulk {action.verb.value} undone", Money())
        new = NewBulk(
            verb=action.verb, lead_ids=(), by=by, parameters=action.parameters,
            filter_text=action.filter_text, sees_owner=sees_owner,
        )  # fmt: skip
        if not await store.record_action(tx, undoing, new, run_id, count, self._clock.now()):
            raise Conflict("it is undone already", code="bulk.undo.done")
        await store.record_undo_items(tx, undoing, run_id)
        return Begun(run_id=undoing, count=count, chunks=_chunks(undoing, last))

    async def find(self, db: Reader, run_id: UUID) -> Action:
        """Find an action. Raises: NotFound."""
        return await self._find(db, run_id)

    async def _find(self, db: Reader, run_id: UUID) -> Action:
        action = (await store.find_actions(db, [run_id])).get(run_id)
        if action is None:
            raise NotFound(f"there is no bulk action {run_id}", code="bulk.not_found")
        return action

    async def _open_run(self, tx: Tx, title: str, money: Money) -> UUID:
        new = NewRun(
            id=self._ids.new(), kind=KIND, title=title, sends=money.sends,  # type: ignore[arg-type]  # checked by the edge
            providers=money.providers, cap_micros=money.cap_micros,
            lead_cap_micros=money.lead_cap_micros,
        )  # fmt: skip
        return await runs.create(tx, new, self._clock.now())


def _may_undo(action: Action) -> bool:
    return action.verb in UNDOABLE and action.undoes is None


def _filter_of(action: Action) -> dict[str, Any] | None:
    return (
        None if action.filter_text is None else msgspec.json.decode(action.filter_text, type=dict)
    )


def _action_of(new: NewBulk, now: datetime) -> Action:
    """See an action that is not kept as one that is."""
    return Action(
        run_id=UUID(int=0), verb=new.verb, parameters=new.parameters, filter_text=new.filter_text,
        item_count=len(new.lead_ids), undoes=None, sees_owner=new.sees_owner, created_at=now,
        created_by=new.by,
    )  # fmt: skip


def _chunks(run_id: UUID, last: int) -> tuple[ChunkWanted, ...]:
    return tuple(
        ChunkWanted(run_id, first, min(first + CHUNK - 1, last))
        for first in range(1, last + 1, CHUNK)
    )
