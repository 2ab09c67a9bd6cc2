"""Imports: list them, map their columns, start them, undo them."""

from collections.abc import Sequence
from uuid import UUID

import msgspec
from anyio import to_thread

from leadflood.contracts.csv_safety import write_csv
from leadflood.contracts.values import SendsPolicy
from leadflood.domain.auth.schemas.principals import Principal, Visibility
from leadflood.domain.auth.schemas.roles import Permission
from leadflood.domain.icp.service.icps import IcpService
from leadflood.domain.imports.repository import (
    imports,
    progress as progress_table,
    rows,
    saved_mappings,
)
from leadflood.domain.imports.repository.imports import CheckedMapping, LockedImport
from leadflood.domain.imports.rules.consent_check import require_consent_read
from leadflood.domain.imports.rules.consent_scan import list_unread_consent
from leadflood.domain.imports.rules.fingerprints import fingerprint_of, fit_mapping
from leadflood.domain.imports.rules.mapping_check import check_mapping
from leadflood.domain.imports.schemas.events import (
    BEYOND_LAST_LINE,
    ImportPartWanted,
    ImportStarted,
    UndoPartWanted,
)
from leadflood.domain.imports.schemas.mappings import Importer, ImportMapping, OnDuplicate
from leadflood.domain.imports.schemas.rows import BAD_ROWS_HEADERS, RowState, RowView
from leadflood.domain.imports.schemas.views import ImportState, ImportView
from leadflood.domain.imports.service.lookup import (
    NOT_STARTED,
    get_import,
    lock_import,
    require_not_started,
)
from leadflood.domain.runs.schemas import RunLimits, RunOpener
from leadflood.domain.runs.service.runs import RunService
from leadflood.domain.users.service.lead_owners import LeadOwners
from leadflood.engine.clock import Clock
from leadflood.engine.db.tx import Reader, Tx
from leadflood.engine.errors import Conflict, Denied, FieldProblem, Invalid, PreconditionFailed
from leadflood.engine.queue.publisher import PublishingTransaction

KIND = "import"
BATCH_ROWS = 1_000
_STARTED = frozenset({ImportState.COMPLETED, ImportState.FAILED, ImportState.RUNNING})


class StartedWork(msgspec.Struct, frozen=True, kw_only=True):
    """An import or its undo under way; not `is_new`: it was started before."""

    view: ImportView
    job_id: UUID
    is_new: bool


class ImportService:
    """The use cases of imports."""

    def __init__(
        self,
        db: Reader,
        clock: Clock,
        icps: IcpService,
        owners: LeadOwners,
        runs: RunService,
        provider_names: Sequence[str],
    ) -> None:
        self._db = db
        self._clock = clock
        self._icps = icps
        self._owners = owners
        self._runs = runs
        self._provider_names = provider_names

    async def get(
        self, import_id: UUID, visibility: Visibility, tx: Tx | None = None
    ) -> ImportView:
        """Return an import with the others of the same file; `tx` where one is open.

        Raises: NotFound, also when it is hidden from the caller.
        """
        db = tx or self._db
        view = await get_import(db, import_id, visibility)
        sha256 = bytes.fromhex(view.sha256)
        same = await imports.find_same_files(db, import_id, sha256, visibility)
        saved = None
        if view.state in NOT_STARTED:
            fingerprint = fingerprint_of(view.columns)
            saved = await saved_mappings.find_by_headers(db, fingerprint, visibility)
        if saved is not None:
            fitted = fit_mapping(saved.mapping, view.columns)
            saved = msgspec.structs.replace(saved, mapping=fitted)
        return msgspec.structs.replace(view, same_as=same, saved_mapping=saved)

    async def list(
        self, visibility: Visibility, state: ImportState | None, before: UUID | None, limit: int
    ) -> Sequence[ImportView]:
        """List imports, newest first."""
        ids = await imports.list_ids(self._db, visibility, state, before, limit)
        views = await imports.find_imports(self._db, ids, visibility)
        return [views[import_id] for import_id in ids if import_id in views]

    async def list_rows(
        self,
        import_id: UUID,
        visibility: Visibility,
        state: RowState | None,
        after: int,
        limit: int,
    ) -> Sequence[RowView]:
        """List rows in the order of the file, of one state or all. Raises: NotFound."""
        await get_import(self._db, import_id, visibility)
        return await rows.list_rows(self._db, import_id, state, after, limit)

    async def write_bad_rows(
        self, import_id: UUID, visibility: Visibility, *, has_noted: bool = False
    ) -> bytes:
        """Return the bad rows as CSV, each with its line and its reason. Raises: NotFound.

        `has_noted`: with them the rows that are in, but for some cells: their notes are the reason.
        """
        view = await get_import(self._db, import_id, visibility)
        headers = [*BAD_ROWS_HEADERS, *(column.header for column in view.columns)]
        list_batch = rows.list_faulty_rows if has_noted else rows.list_bad_rows
        parts, after = [write_csv([headers])], 0
        while batch := await list_batch(self._db, import_id, after, BATCH_ROWS):
            lines = [
                [str(row.number), row.reason or "; ".join(row.notes), *row.cells] for row in batch
            ]
            parts.append(await to_thread.run_sync(write_csv, lines))
            after = batch[-1].number
        return b"".join(parts)

    async def change_mapping(
        self,
        tx: Tx,
        import_id: UUID,
        mapping: ImportMapping,
        importer: Importer,
        if_match: int | None,
    ) -> ImportView:
        """Record how the rows are to be read; `if_match` None: whatever the version.

        Raises: NotFound; Invalid with the fields; Conflict when started; PreconditionFailed.
        """
        _require_providers(mapping.providers, self._provider_names)
        await self._owners.resolve(mapping.owner_id, tx)
        icp_id = None
        if mapping.icp_id is not None:
            icp_id = await self._icps.resolve_version(mapping.icp_id, tx)
        view = (await lock_import(tx, import_id, importer.visibility)).view
        require_not_started(view, "its mapping cannot be changed any more")
        if if_match not in {None, view.version}:
            raise PreconditionFailed(
                f"the import is at version {view.version}", code="leads.import.version_conflict"
            )
        mapping = importer.complete(mapping)
        plan = check_mapping(view.columns, mapping, importer)
        await imports.record_mapping(
            tx, import_id, CheckedMapping(mapping=mapping, plan=plan), icp_id
        )
        return await self.get(import_id, importer.visibility, tx)

    async def start(
        self, uow: PublishingTransaction, import_id: UUID, importer: Importer
    ) -> StartedWork:
        """Start making leads of the rows, once however often it is asked for.

        Raises: NotFound; Invalid; Conflict when it was undone.
        """
        locked = await lock_import(uow.tx, import_id, importer.visibility)
        view = locked.view
        if view.state in _STARTED and view.job_id is not None:
            return StartedWork(view=view, job_id=view.job_id, is_new=False)
        require_not_started(view, "upload the file again to import it again")
        checked = _mapping_of(locked, importer)
        _require_rights(checked.mapping, importer)
        require_consent_read(
            list_unread_consent(
                view.columns, checked.plan.fields, checked.mapping.ignore_consent_columns
            )
        )
        await self._start(uow.tx, view, checked, importer.opener)
        events = [ImportStarted(import_id), ImportPartWanted(import_id, 0)]
        (job_id,) = await uow.publish(events, run_id=import_id)
        await progress_table.record_job(uow.tx, import_id, job_id)
        view = msgspec.structs.replace(view, state=ImportState.RUNNING)
        return StartedWork(view=view, job_id=job_id, is_new=True)

    async def _start(
        self, tx: Tx, view: ImportView, checked: CheckedMapping, opener: RunOpener
    ) -> None:
        mapping = checked.mapping
        icp_id = view.icp_id
        if icp_id is None and mapping.enrich:
            icp_id = await self._icps.resolve_version(None, tx)
        limits = RunLimits(
            sends=mapping.sends,
            providers=mapping.providers,
            cap_micros=mapping.cap_micros,
            opener=opener,
        )
        await self._runs.open_run(tx, KIND, limits, title=view.name, run_id=view.id)
        await progress_table.start_import(tx, view.id, checked, icp_id, self._clock.now())

    async def undo(
        self, uow: PublishingTransaction, import_id: UUID, principal: Principal
    ) -> StartedWork:
        """Start undoing an import, once however often it is asked for.

        Raises: NotFound; Conflict when there is nothing to undo; Denied for an import of somebody
        else without the permission `leads:delete`, as its leads are deleted.
        """
        view = (await lock_import(uow.tx, import_id, principal.visibility)).view
        if view.state is ImportState.UNDOING and view.undo_job_id is not None:
            return StartedWork(view=view, job_id=view.undo_job_id, is_new=False)
        _require_permission(view, principal)
        _require_undoable(view)
        await self._runs.cancel(uow.tx, import_id, principal.by)
        (job_id,) = await uow.publish([UndoPartWanted(import_id, BEYOND_LAST_LINE)])
        await progress_table.start_undo(
            uow.tx, import_id, job_id, BEYOND_LAST_LINE, principal.visibility
        )
        view = msgspec.structs.replace(view, state=ImportState.UNDOING)
        return StartedWork(view=view, job_id=job_id, is_new=True)


def _mapping_of(locked: LockedImport, importer: Importer) -> CheckedMapping:
    """Return the mapping that was given, or the one that is guessed. Raises: Invalid."""
    if locked.checked is not None:
        return locked.checked
    mapping = importer.complete(ImportMapping())
    plan = check_mapping(locked.view.columns, mapping, importer)
    return CheckedMapping(mapping=mapping, plan=plan)


def _require_rights(mapping: ImportMapping, importer: Importer) -> None:
    """Refuse who starts what another has mapped and they may not do. Raises: Denied."""
    needed = {
        Permission.LEADS_WRITE: mapping.on_duplicate is OnDuplicate.UPDATE,
        Permission.MESSAGES_SEND: mapping.sends is SendsPolicy.GO,
    }
    for permission, is_needed in needed.items():
        if is_needed and permission not in importer.permissions:
            raise Denied(f"this mapping needs the permission {permission}", code="http.denied")


def _require_providers(names: Sequence[str] | None, known: Sequence[str]) -> None:
    problems = tuple(
        FieldProblem(f"providers[{index}]", f"is not known: use {', '.join(known)}")
        for index, name in enumerate(names or ())
        if name not in known
    )
    if problems:
        raise Invalid("there is no such provider", problems, code="leads.import.mapping")


def _require_permission(view: ImportView, principal: Principal) -> None:
    owner = None if principal.user_id is None else str(principal.user_id)
    is_own = view.made_by == principal.by or (view.owner is not None and view.owner == owner)
    if not is_own and Permission.LEADS_DELETE not in principal.permissions:
        raise Denied(
            f"to undo an import of somebody else needs the permission {Permission.LEADS_DELETE}",
            code="http.denied",
        )


def _require_undoable(view: ImportView) -> None:
    if not view.is_undoable:
        raise Conflict(
            "this import was made by a release that did not note what it brought",
            code="leads.import.not_undoable",
        )
    has_kept_rows = view.state is ImportState.UNDONE and view.counts.kept
    if view.state not in _STARTED and not has_kept_rows:
        raise Conflict(
            f"the import is {view.state.value}: there is nothing to undo",
            code="leads.import.nothing_to_undo",
        )
