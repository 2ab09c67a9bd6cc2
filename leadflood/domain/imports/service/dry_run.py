"""Previews of imports: a dry run over the staged rows that writes nothing."""

from collections.abc import Mapping, Sequence
from uuid import UUID

from anyio import to_thread

from leadflood.domain.auth.schemas.principals import Visibility
from leadflood.domain.imports.repository import imports, lead_lookups, rows
from leadflood.domain.imports.rules.dry_run import SHOWN_BAD_ROWS, DryRun, KeyedRow
from leadflood.domain.imports.rules.mapping_check import check_mapping
from leadflood.domain.imports.rules.row_values import person_of
from leadflood.domain.imports.schemas.mappings import Importer, ImportMapping
from leadflood.domain.imports.schemas.records import Record
from leadflood.domain.imports.schemas.rows import LeadOwner, RowState
from leadflood.domain.imports.schemas.views import ImportPreview
from leadflood.domain.imports.service.lead_writer import keys_of
from leadflood.domain.imports.service.lookup import get_import, require_not_started
from leadflood.domain.leads.schemas.identity import IdentityKey
from leadflood.engine.clock import Clock
from leadflood.engine.db.tx import Reader

BATCH_ROWS = 1_000
MAX_ROWS = 20_000
"""How many rows a preview reads; of a longer file it shows a sample."""


class ImportPreviews:
    """The use case of previews."""

    def __init__(self, db: Reader, clock: Clock) -> None:
        self._db = db
        self._clock = clock

    async def preview(self, import_id: UUID, importer: Importer) -> ImportPreview:
        """Return what would become of the rows. Raises: NotFound, Conflict when started."""
        view = await get_import(self._db, import_id, importer.visibility)
        require_not_started(view, "look at its rows instead")
        plan = await imports.find_plan(self._db, import_id)
        if plan is None:
            plan = check_mapping(view.columns, ImportMapping(), importer)
        dry_run = DryRun(plan)
        await self._read_rows(import_id, dry_run, importer.visibility)
        broken = await rows.list_rows(self._db, import_id, RowState.BAD, 0, SHOWN_BAD_ROWS)
        return dry_run.summarize(view, broken)

    async def _read_rows(self, import_id: UUID, dry_run: DryRun, visibility: Visibility) -> None:
        after = 0
        while dry_run.row_count < MAX_ROWS:
            records = await rows.list_waiting(self._db, import_id, after, BATCH_ROWS)
            if not records:
                return
            after = records[-1].number
            keyed = await to_thread.run_sync(self._parse, import_id, dry_run, records)
            keys = {key for _, row_keys in keyed for key in row_keys}
            owners = await lead_lookups.find_owners(self._db, keys)
            dry_run.count(keyed, _visible(owners, visibility))

    def _parse(self, import_id: UUID, dry_run: DryRun, records: Sequence[Record]) -> list[KeyedRow]:
        now = self._clock.now()
        return [(row, keys_of(person_of(row, import_id, now))) for row in dry_run.parse(records)]


def _visible(
    owners: Mapping[IdentityKey, LeadOwner], visibility: Visibility
) -> dict[IdentityKey, LeadOwner]:
    """Leave hidden leads out: a preview, which leaves no trace, does not tell who is a lead."""
    return {key: lead for key, lead in owners.items() if visibility.allows(lead.owner)}
