"""The stage that turns the rows of a file into leads, and takes them back again, part by part.

A part commits with the place it reached: whoever goes on after a crash goes on there, and a part
that comes twice finds that the place is not its own any more.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, ClassVar, Self
from uuid import UUID

import msgspec
from anyio import to_thread
from typing_extensions import override

from leadflood.contracts.parts import StageParts
from leadflood.domain.imports.repository import imports
from leadflood.domain.imports.repository.imports import Advance, Locked, UndoAdvance
from leadflood.domain.imports.rules.csv_reader import Record
from leadflood.domain.imports.rules.row_parser import read_row
from leadflood.domain.imports.schemas import (
    ImportAdvanced,
    ImportCompleted,
    ImportFailed,
    ImportPartWanted,
    ImportState,
    ImportUndone,
    Plan,
    RowEnd,
    RowState,
    UndoPartWanted,
)
from leadflood.domain.imports.service import undo
from leadflood.domain.imports.service.imports import ImportService
from leadflood.domain.leads.schemas import BadRow, EnrichmentWanted, ImportRow, LeadCreated
from leadflood.engine.clock import Clock
from leadflood.engine.db.tx import Reader, Tx
from leadflood.engine.errors import code_of
from leadflood.engine.ids import Ids
from leadflood.engine.queue import runs
from leadflood.engine.queue.event import Event
from leadflood.engine.queue.outcome import Discard, Done, Outcome, Snooze
from leadflood.engine.queue.stage import ClaimedTask, FinishedTask, FollowUp, Policy, Stage

CHUNK = 500
WAIT_SECONDS = 0.5

Task = ImportPartWanted | UndoPartWanted


class Part(msgspec.Struct, frozen=True):
    """Rows that wait, and how to read them; an undo reads its own when it commits."""

    plan: Plan | None = None
    records: tuple[Record, ...] = ()


class Read(msgspec.Struct, frozen=True):
    """Rows as they were understood."""

    plan: Plan | None = None
    rows: tuple[ImportRow | BadRow, ...] = ()


class ImportStage(Stage[Task, Part, Read]):
    """Reads the next rows of a file; their leads, their ends and the place commit together."""

    name: ClassVar[str] = "leads.import"
    task: ClassVar[Any] = Task
    default_policy: ClassVar[Policy] = Policy(concurrency=4, batch=4, timeout_seconds=120.0)

    def __init__(self, policy: Policy, ids: Ids, clock: Clock) -> None:
        super().__init__(policy)
        self._service = ImportService(ids, clock)
        self._clock = clock

    @classmethod
    @override
    def build(cls, policy: Policy, parts: StageParts) -> Self:
        return cls(policy, parts.ids, parts.clock)

    @override
    async def load(
        self, db: Reader, tasks: Sequence[ClaimedTask[Task]]
    ) -> Sequence[Part | Outcome[Read]]:
        return [await self._load(db, claimed.task) for claimed in tasks]

    async def _load(self, db: Reader, task: Task) -> Part | Outcome[Read]:
        if isinstance(task, UndoPartWanted):
            if sum((await runs.count_live(db, task.import_id)).values()):
                return Snooze(WAIT_SECONDS, "the run's jobs are being swept")
            return Part()
        plan = await imports.find_plan(db, task.import_id)
        records = await imports.read_waiting(db, task.import_id, task.after, CHUNK)
        return Part(plan, records)

    @override
    async def work(self, item: Part) -> Outcome[Read]:
        if item.plan is None:
            return Done(Read())
        return Done(await to_thread.run_sync(_read, item.plan, item.records))

    @override
    async def commit(self, tx: Tx, ended: Sequence[FinishedTask[Task, Read]]) -> Sequence[FollowUp]:
        follows: list[FollowUp] = []
        for one in sorted(ended, key=lambda each: each.task.import_id.int):
            locked = await imports.lock(tx, one.task.import_id)
            if locked is None or locked.place != one.task.after:
                continue
            events = await self._commit(tx, one, locked)
            follows += [one.follow_up(event) for event in events]
        return follows

    async def _commit(
        self, tx: Tx, one: FinishedTask[Task, Read], locked: Locked
    ) -> Sequence[Event]:
        now, task = self._clock.now(), one.task
        is_undo = isinstance(task, UndoPartWanted)
        wanted = ImportState.UNDOING if is_undo else ImportState.RUNNING
        if locked.view.state is not wanted:
            return ()
        if isinstance(one.outcome, Discard):
            code = code_of(one.outcome.error)
            await imports.fail(tx, task.import_id, code, now)
            return [ImportFailed(task.import_id, code)]
        if is_undo:
            return await self._undo(tx, locked, now)
        return await self._import(tx, locked, one.outcome.result, now)

    async def _import(self, tx: Tx, locked: Locked, read: Read, now: datetime) -> Sequence[Event]:
        import_id, plan = locked.view.id, read.plan
        good = [row for row in read.rows if isinstance(row, ImportRow)]
        ends = [
            RowEnd(number=row.number, outcome=RowState.BAD, reason=row.reason)
            for row in read.rows
            if isinstance(row, BadRow)
        ]
        events: list[Event] = []
        if plan is not None and good:
            chunk = await self._service.make_leads(tx, import_id, plan, good)
            ends += chunk.ends
            if plan.enrich:
                events += _wanted(locked, chunk.created, chunk.updated)
        if ends:
            await imports.end_rows(tx, import_id, ends)
        place = read.rows[-1].number if read.rows else locked.place
        is_last = len(read.rows) < CHUNK
        done = Advance(import_id=import_id, place=place, ends=ends, is_last=is_last)
        done_count, row_count = await imports.advance(tx, done, now)
        events.append(ImportAdvanced(import_id, done_count, row_count))
        last = ImportCompleted(import_id) if is_last else ImportPartWanted(import_id, place)
        return [*events, last]

    async def _undo(self, tx: Tx, locked: Locked, now: datetime) -> Sequence[Event]:
        import_id = locked.view.id
        owner = None if locked.told is None else locked.told.plan.owner
        rows = await undo.read_rows(tx, import_id, locked.place, CHUNK)
        undone = await undo.undo_rows(tx, import_id, owner, rows, now)
        place = rows[-1].number if rows else locked.place
        is_last = len(rows) < CHUNK
        done = UndoAdvance(
            import_id=import_id,
            place=place,
            undone_count=undone.undone_count,
            kept_count=undone.kept_count,
            is_last=is_last,
        )
        counts = await imports.advance_undo(tx, done, now)
        last = ImportUndone(import_id, *counts) if is_last else UndoPartWanted(import_id, place)
        return [*undone.deleted, *undone.updated, last]


def _read(plan: Plan, records: Sequence[Record]) -> Read:
    return Read(plan, tuple([read_row(one, plan.fields, plan.defaults) for one in records]))


def _wanted(locked: Locked, created: Sequence[UUID], updated: Sequence[UUID]) -> Sequence[Event]:
    icp_id = locked.view.icp_id
    if icp_id is None:
        return []
    return [
        *(LeadCreated(lead_id, icp_id) for lead_id in created),
        *(EnrichmentWanted(lead_id, icp_id) for lead_id in updated),
    ]
