"""Imports of a command: a file is read whole, then imported chunk by chunk in its run."""

from collections.abc import Sequence
from uuid import UUID

from leadflood.domain.auth.schemas.principals import EVERYTHING
from leadflood.domain.imports.repository import (
    imports,
    progress as progress_table,
    rows as row_table,
)
from leadflood.domain.imports.repository.progress import Progress
from leadflood.domain.imports.rules.consent import says_no
from leadflood.domain.imports.rules.row_notes import add_notes, count_notes
from leadflood.domain.imports.rules.whole_file import read_csv
from leadflood.domain.imports.schemas.columns import ColumnChoice
from leadflood.domain.imports.schemas.mappings import ImportPlan
from leadflood.domain.imports.schemas.rows import BadRow, ImportRow, ReadCsv, RowResult, RowState
from leadflood.domain.imports.schemas.views import ImportState, NewImport
from leadflood.domain.imports.service.consent_writer import ConsentSource, ConsentWriter
from leadflood.domain.imports.service.lead_writer import LeadWriter
from leadflood.domain.imports.service.lookup import lock_import
from leadflood.domain.leads.schemas.events import LeadCreated
from leadflood.domain.suppressions.schemas import AddressKey
from leadflood.engine.clock import Clock
from leadflood.engine.db.tx import Reader, Tx
from leadflood.engine.errors import Conflict, Invalid
from leadflood.engine.ids import Ids


def read_file(raw: bytes, choice: ColumnChoice, sheet: str | None) -> ReadCsv:
    """Read a file or a sheet whole, with the fields that its columns are guessed or chosen to hold.

    Raises: Invalid when it is no table, or the choice names a column that it has not.
    """
    return read_csv(raw, choice, sheet)


def require_consent_read(file: ReadCsv) -> None:
    """Refuse a file while columns that speak of consent are not read. Raises: Invalid."""
    if file.unread_consent:
        names = ", ".join(map(repr, file.unread_consent))
        raise Invalid(
            f"nobody who said no may be lost: {names} speaks of consent and is not read. Say what"
            " it holds (--column NAME=opt_out, opt_in or contact_status), or wave it through"
            " (--ignore-consent-column NAME)",
            code="leads.import.consent_unread",
        )


_PLAN = ImportPlan(fields=())


class CommandImports:
    """The use cases of files that a command reads. The caller publishes what they return."""

    def __init__(self, key: AddressKey, ids: Ids, clock: Clock) -> None:
        self._leads = LeadWriter(ids)
        self._consent = ConsentWriter(key, ids, clock)
        self._clock = clock

    async def start_import(self, tx: Tx, new: NewImport, file: ReadCsv) -> bool:
        """Add a file and its bad rows; return False when its run has it already."""
        opted_out_count = sum(map(says_no, file.bad))
        is_new = await imports.add_import(tx, new, file, opted_out_count, self._clock.now())
        if is_new and file.bad:
            results = [
                RowResult(number=row.number, outcome=RowState.BAD, reason=row.reason)
                for row in file.bad
            ]
            await row_table.add_rows(tx, new.run_id, file.bad, results)
            await self._write_consent(tx, new, file.bad, results)
        return is_new

    async def import_rows(
        self, tx: Tx, new: NewImport, rows: Sequence[ImportRow]
    ) -> Sequence[LeadCreated]:
        """Create the leads of a chunk of rows (500 is a good one); rows that are in are left out.

        A lead that several rows of a file name is created, and scored, once.
        """
        locked = await lock_import(tx, new.run_id, EVERYTHING)
        done_numbers = await row_table.find_done_numbers(
            tx, new.run_id, [row.number for row in rows]
        )
        fresh = [row for row in rows if row.number not in done_numbers]
        if not fresh:
            return ()
        _require_running(new.run_id, locked.view.state)
        now = self._clock.now()
        outcome = await self._leads.write_rows(tx, new.run_id, _PLAN, fresh, now)
        results = add_notes(outcome.results, fresh)
        await row_table.add_rows(tx, new.run_id, fresh, results)
        opted_out_count = await self._write_consent(tx, new, fresh, results)
        progress = Progress(
            import_id=new.run_id,
            position=fresh[-1].number,
            results=results,
            notes=count_notes(locked.notes, fresh),
            is_last=False,
            opted_out_count=opted_out_count,
        )
        await progress_table.advance_import(tx, progress, now)
        lead_ids = (*outcome.created, *outcome.updated)
        return [LeadCreated(lead_id, new.icp_id) for lead_id in lead_ids]

    async def _write_consent(
        self,
        tx: Tx,
        new: NewImport,
        rows: Sequence[ImportRow | BadRow],
        results: Sequence[RowResult],
    ) -> int:
        source = ConsentSource(new.run_id, new.name)
        return await self._consent.write(tx, source, _PLAN, rows, results)

    async def finish_import(self, db: Reader, import_id: UUID) -> None:
        """Record that all rows are in."""
        await progress_table.finish_import(db, import_id, self._clock.now())

    async def list_leads(self, db: Reader, import_id: UUID) -> dict[int, UUID]:
        """List the lead of each usable row by the row's number."""
        return await row_table.list_leads(db, import_id)


def _require_running(import_id: UUID, state: ImportState) -> None:
    if state is not ImportState.RUNNING:
        raise Conflict(
            f"import {import_id} is {state.value}: nothing is added to it",
            code="leads.import.ended",
        )
