"""`imports.run`: makes leads of the rows of a file, and takes them back again, part by part.

A part commits with the position it reached: after a crash the work goes on there, and a part that
comes twice finds that the position is no longer its own.
"""

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Self
from uuid import UUID

import msgspec
from typing_extensions import override

from leadflood.contracts.parts import StageParts
from leadflood.domain.imports.repository import (
    imports,
    progress as progress_table,
    rows as row_table,
)
from leadflood.domain.imports.repository.imports import LockedImport
from leadflood.domain.imports.repository.progress import Progress, UndoProgress
from leadflood.domain.imports.rules.row_notes import add_notes, count_notes
from leadflood.domain.imports.schemas.events import (
    ImportAdvanced,
    ImportCompleted,
    ImportFailed,
    ImportPartWanted,
    ImportUndone,
    UndoPartWanted,
)
from leadflood.domain.imports.schemas.mappings import ImportPlan
from leadflood.domain.imports.schemas.records import Record
from leadflood.domain.imports.schemas.rows import BadRow, ImportRow, RowResult, RowState
from leadflood.domain.imports.schemas.views import ImportState, ImportView
from leadflood.domain.imports.service.consent_writer import ConsentSource, ConsentWriter
from leadflood.domain.imports.service.lead_writer import LeadWriter, WrittenRows
from leadflood.domain.imports.service.part_parser import PartParser
from leadflood.domain.imports.service.undo import UndoReach, undo_rows
from leadflood.domain.leads.schemas.events import EnrichmentWanted, LeadCreated
from leadflood.domain.leads.service.upsert_batch import PreparedPerson
from leadflood.domain.runs.schemas import BudgetDefaults
from leadflood.domain.suppressions.schemas import AddressKey
from leadflood.engine.clock import Clock
from leadflood.engine.db.tx import Reader, Tx
from leadflood.engine.errors import code_of
from leadflood.engine.ids import Ids
from leadflood.engine.queue import runs
from leadflood.engine.queue.event import Event
from leadflood.engine.queue.outcome import Discard, Done, Outcome, Snooze
from leadflood.engine.queue.stage import ClaimedTask, FinishedTask, FollowUp, Policy, Stage

PART_ROWS = 500
MOST_BROKEN = 20_000
MAX_LINE = 2**31 - 1
WAIT_SECONDS = 0.5

Task = ImportPartWanted | UndoPartWanted


class Part(msgspec.Struct, frozen=True):
    """Rows that wait, and their plan; None for an undo, which reads its rows when it commits.

    `broken`: rows between them whose syntax is broken: they may say no all the same. `following`:
    the rows of the next part.
    """

    import_id: UUID
    plan: ImportPlan | None = None
    records: tuple[Record, ...] = ()
    broken: tuple[Record, ...] = ()
    following: tuple[Record, ...] = ()


class ParsedPart(msgspec.Struct, frozen=True):
    """The rows of a part, parsed, and the persons that they name."""

    plan: ImportPlan | None = None
    rows: tuple[ImportRow | BadRow, ...] = ()
    broken: tuple[ImportRow | BadRow, ...] = ()
    people: Mapping[int, PreparedPerson] = {}


class ImportStage(Stage[Task, Part, ParsedPart]):
    """Imports the next rows of a file: leads, outcomes and position commit together."""

    name: ClassVar[str] = "imports.run"
    task: ClassVar[Any] = Task
    default_policy: ClassVar[Policy] = Policy(concurrency=4, batch=4, timeout_seconds=120.0)

    def __init__(
        self, policy: Policy, key: AddressKey, ids: Ids, clock: Clock, currency: str
    ) -> None:
        super().__init__(policy)
        self._parser = PartParser(currency, clock)
        self._leads = LeadWriter(ids)
        self._consent = ConsentWriter(key, ids, clock)
        self._clock = clock

    @classmethod
    @override
    def build(cls, policy: Policy, parts: StageParts) -> Self:
        key, budget = parts.settings_of(AddressKey), parts.settings_of(BudgetDefaults)
        return cls(policy, key, parts.ids, parts.clock, budget.currency)

    @override
    async def load(
        self, db: Reader, tasks: Sequence[ClaimedTask[Task]]
    ) -> Sequence[Part | Outcome[ParsedPart]]:
        return [await self._load(db, claimed.task) for claimed in tasks]

    async def _load(self, db: Reader, task: Task) -> Part | Outcome[ParsedPart]:
        if isinstance(task, UndoPartWanted):
            if sum((await runs.count_live(db, task.import_id)).values()):
                return Snooze(WAIT_SECONDS, "the run's jobs are being swept")
            return Part(task.import_id)
        plan = await imports.find_plan(db, task.import_id)
        waiting = await row_table.list_waiting(db, task.import_id, task.after, 2 * PART_ROWS)
        records, following = waiting[:PART_ROWS], waiting[PART_ROWS:]
        last = records[-1].number if len(records) == PART_ROWS else MAX_LINE
        broken = await row_table.list_broken(db, task.import_id, task.after, last, MOST_BROKEN)
        return Part(task.import_id, plan, records, broken, following)

    @override
    async def work(self, item: Part) -> Outcome[ParsedPart]:
        if item.plan is None:
            return Done(ParsedPart())
        broken = await self._parser.parse_alone(item.plan, item.broken)
        parsed = await self._parser.parse(item.import_id, item.plan, item.records, item.following)
        return Done(ParsedPart(item.plan, parsed.rows, broken, parsed.people))

    @override
    async def commit(
        self, tx: Tx, tasks: Sequence[FinishedTask[Task, ParsedPart]]
    ) -> Sequence[FollowUp]:
        follow_ups: list[FollowUp] = []
        for finished in sorted(tasks, key=lambda finished: finished.task.import_id.int):
            locked = await imports.lock_import(tx, finished.task.import_id)
            if locked is None or locked.position != finished.task.after:
                continue
            events = await self._commit(tx, finished, locked)
            follow_ups += [finished.follow_up(event) for event in events]
        return follow_ups

    async def _commit(
        self, tx: Tx, finished: FinishedTask[Task, ParsedPart], locked: LockedImport
    ) -> Sequence[Event]:
        import_id = finished.task.import_id
        is_undo = isinstance(finished.task, UndoPartWanted)
        if not _goes_on(locked.view, is_undo=is_undo):
            return ()
        if isinstance(finished.outcome, Discard):
            code = code_of(finished.outcome.error)
            await progress_table.fail_import(tx, import_id, code, self._clock.now())
            return [ImportFailed(import_id, code)]
        if is_undo:
            return await self._undo(tx, locked)
        return await self._import(tx, locked, finished.outcome.result)

    async def _import(self, tx: Tx, locked: LockedImport, part: ParsedPart) -> Sequence[Event]:
        import_id = locked.view.id
        result = await self._write_leads(tx, import_id, part)
        good = [row for row in part.rows if isinstance(row, ImportRow)]
        results = [*add_notes(result.results, good), *_reject_bad(part.rows)]
        if results:
            await row_table.record_results(tx, import_id, results)
        opted_out_count = await self._write_consent(tx, locked, part, results)
        position = part.rows[-1].number if part.rows else locked.position
        is_last = len(part.rows) < PART_ROWS
        progress = Progress(
            import_id=import_id,
            position=position,
            results=results,
            notes=count_notes(locked.notes, good),
            is_last=is_last,
            opted_out_count=opted_out_count,
        )
        counts = await progress_table.advance_import(tx, progress, self._clock.now())
        has_enrichment = part.plan is not None and part.plan.enrich
        return [
            *(_enrichments(locked, result) if has_enrichment else ()),
            ImportAdvanced(import_id, *counts),
            ImportCompleted(import_id) if is_last else ImportPartWanted(import_id, position),
        ]

    async def _write_consent(
        self, tx: Tx, locked: LockedImport, part: ParsedPart, results: Sequence[RowResult]
    ) -> int:
        if part.plan is None:
            return 0
        source = ConsentSource(locked.view.id, locked.view.name)
        return await self._consent.write(tx, source, part.plan, [*part.rows, *part.broken], results)

    async def _write_leads(self, tx: Tx, import_id: UUID, part: ParsedPart) -> WrittenRows:
        good = [row for row in part.rows if isinstance(row, ImportRow)]
        if part.plan is None or not good:
            return WrittenRows(results=(), created=(), updated=())
        now = self._clock.now()
        return await self._leads.write_rows(tx, import_id, part.plan, good, now, part.people)

    async def _undo(self, tx: Tx, locked: LockedImport) -> Sequence[Event]:
        import_id, now = locked.view.id, self._clock.now()
        owner = None if locked.checked is None else locked.checked.plan.owner
        reach = UndoReach(owner=owner, visibility=locked.undo_visibility)
        rows = await row_table.list_rows_to_undo(tx, import_id, locked.position, PART_ROWS)
        undone = await undo_rows(tx, import_id, reach, rows, now)
        await self._consent.withdraw(
            tx, import_id, {row.lead_id for row in rows}, locked.view.made_by
        )
        position = rows[-1].number if rows else locked.position
        is_last = len(rows) < PART_ROWS
        progress = UndoProgress(
            import_id=import_id,
            position=position,
            undone_count=undone.undone_count,
            kept_count=undone.kept_count,
            is_last=is_last,
        )
        counts = await progress_table.advance_undo(tx, progress, now)
        last = ImportUndone(import_id, *counts) if is_last else UndoPartWanted(import_id, position)
        return [*undone.deleted, *undone.updated, last]


def _goes_on(view: ImportView, *, is_undo: bool) -> bool:
    """Whether an import, or its undo, is at work, or failed: a replay goes on with it."""
    if view.state is ImportState.FAILED:
        return is_undo == (view.undo_job_id is not None)
    return view.state is (ImportState.UNDOING if is_undo else ImportState.RUNNING)


def _reject_bad(rows: Sequence[ImportRow | BadRow]) -> list[RowResult]:
    return [
        RowResult(number=row.number, outcome=RowState.BAD, reason=row.reason)
        for row in rows
        if isinstance(row, BadRow)
    ]


def _enrichments(locked: LockedImport, result: WrittenRows) -> list[Event]:
    icp_id = locked.view.icp_id
    if icp_id is None:
        return []
    return [
        *(LeadCreated(lead_id, icp_id) for lead_id in result.created),
        *(EnrichmentWanted(lead_id, icp_id) for lead_id in result.updated),
    ]
