"""Previews of imports: the rows are imported in a transaction that is rolled back.

So a preview says what the import does, whatever decides about it. It holds the locks of its leads
until then, for `HOLD_SECONDS` at most: it reads the first rows of a long file only. It gives up a
lock before the database looks for deadlocks (after a second), so that none ends a real import.
"""

from contextlib import suppress
from uuid import UUID

from anyio import move_on_after, to_thread

from leadflood.domain.imports.repository import imports, rows as row_table
from leadflood.domain.imports.rules.dry_run import SHOWN_BAD_ROWS, DryRun
from leadflood.domain.imports.rules.mapping_check import check_mapping
from leadflood.domain.imports.rules.row_reader import RowReader
from leadflood.domain.imports.schemas.mappings import Importer, ImportMapping, ImportPlan
from leadflood.domain.imports.schemas.rows import ImportRow, RowState
from leadflood.domain.imports.schemas.views import ImportPreview
from leadflood.domain.imports.service.lead_writer import LeadWriter
from leadflood.domain.imports.service.lookup import get_import, require_not_started
from leadflood.engine.clock import Clock
from leadflood.engine.db.pool import Database
from leadflood.engine.db.tx import TIMEOUTS, Tx, sqlstate_of
from leadflood.engine.errors import Transient
from leadflood.engine.ids import Ids

PART_ROWS = 500
MAX_ROWS = 2_000
"""How many rows a preview imports: one or two seconds' work."""
HOLD_SECONDS = 5.0
"""How long a preview keeps others from its leads at most; what it has looked at by then is told."""
LOCK_SECONDS = 0.4
TRIES = 3
PAUSE_SECONDS = 0.5
DEADLOCK = "40P01"
BUSY_SECONDS = 5.0


class _RollBack(Exception):
    """The end of a dry run: nothing of it stays."""


class ImportPreviews:
    """The use case of previews."""

    def __init__(self, db: Database, ids: Ids, clock: Clock, currency: str) -> None:
        self._db = db
        self._currency = currency
        self._leads = LeadWriter(ids)
        self._clock = clock

    async def preview(self, import_id: UUID, importer: Importer) -> ImportPreview:
        """Return what would become of the rows, of so many as can be looked at in a few seconds.

        Raises: NotFound; Conflict when started; Transient while others write the same leads.
        """
        view = await get_import(self._db, import_id, importer.visibility)
        require_not_started(view, "look at its rows instead")
        plan = await imports.find_plan(self._db, import_id)
        if plan is None:
            plan = check_mapping(view.columns, ImportMapping(), importer)
        dry_run = await self._run(import_id, plan)
        broken = await row_table.list_rows(self._db, import_id, RowState.BAD, 0, SHOWN_BAD_ROWS)
        return dry_run.summarize(view, broken)

    async def _run(self, import_id: UUID, plan: ImportPlan) -> DryRun:
        for _ in range(TRIES):
            dry_run = DryRun(plan)
            if await self._try(import_id, plan, dry_run) or dry_run.row_count:
                return dry_run
            await self._clock.sleep(PAUSE_SECONDS)
        raise Transient(
            "the leads of these rows are being written at this moment: look again in some seconds",
            retry_after_seconds=BUSY_SECONDS,
            code="leads.import.busy",
        )

    async def _try(self, import_id: UUID, plan: ImportPlan, dry_run: DryRun) -> bool:
        """Import rows and take them back; return whether nobody was in the way."""
        try:
            with move_on_after(HOLD_SECONDS):
                await self._import_and_undo(import_id, plan, dry_run)
                return True
        except Exception as error:
            if sqlstate_of(error) not in {*TIMEOUTS, DEADLOCK}:
                raise
        return False

    async def _import_and_undo(self, import_id: UUID, plan: ImportPlan, dry_run: DryRun) -> None:
        with suppress(_RollBack):
            async with self._db.transaction() as tx:
                await tx.limit_lock_waits(LOCK_SECONDS)
                await self._import(tx, import_id, plan, dry_run)
                raise _RollBack

    async def _import(self, tx: Tx, import_id: UUID, plan: ImportPlan, dry_run: DryRun) -> None:
        after, now = 0, self._clock.now()
        for _ in range(MAX_ROWS // PART_ROWS):
            records = await row_table.list_waiting(tx, import_id, after, PART_ROWS)
            if not records:
                return
            after = records[-1].number
            reader = RowReader(plan, self._currency)
            parsed = await to_thread.run_sync(reader.read_all, records)
            good = [row for row in parsed if isinstance(row, ImportRow)]
            written = await self._leads.write_rows(tx, import_id, plan, good, now)
            await row_table.record_results(tx, import_id, written.results)
            dry_run.add(parsed, written.results)
