"""Files of leads over HTTP: upload, map, look ahead, start, watch, undo."""

import hashlib
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from http import HTTPStatus
from typing import Annotated, BinaryIO, cast
from uuid import UUID

import anyio
import msgspec

from leadflood.api.http.pagination import Listed, Paging, paginate
from leadflood.api.http.request_context import Caller
from leadflood.api.http.responses import HtmlPage
from leadflood.api.http.routing import Route
from leadflood.api.http.unit_of_work import UnitOfWork, run_once
from leadflood.api.http.uploads import FORM, Upload
from leadflood.api.services import Node
from leadflood.contracts.csv_safety import write_csv
from leadflood.domain.audit.schemas import AuditEntry
from leadflood.domain.auth.schemas import Permission
from leadflood.domain.leads.import_schemas import (
    ImportMapping,
    ImportPartWanted,
    ImportStarted,
    ImportState,
    ImportView,
    Preview,
    RowState,
    RowView,
    UndoPartWanted,
)
from leadflood.domain.leads.import_service import Asker, ImportService, Source
from leadflood.domain.runs.schemas import RunLimits
from leadflood.engine.errors import (
    Conflict,
    Denied,
    FieldProblem,
    Invalid,
    NotFound,
    PreconditionFailed,
)
from leadflood.engine.queue import runs

CSV = "text/csv"
AT_ONCE = 1_000
_ENDED = frozenset({ImportState.COMPLETED, ImportState.FAILED, ImportState.RUNNING})


class UploadQuery(
    msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, rename="camel"
):
    """What a file is called where it does not come in a form."""

    name: Annotated[str, msgspec.Meta(max_length=200)] = ""


class ImportQuery(Paging, frozen=True, kw_only=True, forbid_unknown_fields=True, rename="camel"):
    """Which imports; null asks for nothing."""

    state: ImportState | None = None


class RowQuery(Paging, frozen=True, kw_only=True, forbid_unknown_fields=True, rename="camel"):
    """Which rows; null: all, in the order of the file."""

    state: RowState | None = None


class ImportBegun(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """The import is under way: `jobId` is its first step, `runId` the run of its leads."""

    import_id: UUID
    run_id: UUID
    job_id: UUID
    state: ImportState


class UndoBegun(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """The undo is under way: `jobId` is its first step."""

    import_id: UUID
    job_id: UUID
    state: ImportState


class Imports:
    """The routes of imports."""

    def __init__(self, node: Node) -> None:
        self._node = node

    @property
    def _imports(self) -> ImportService:
        return ImportService(self._node.services.ids, self._node.services.clock)

    def routes(self) -> tuple[Route, ...]:
        """List the rows of the table."""
        path, one, may = "/v1/imports", "/v1/imports/{importId}", "leads:import"
        return (
            Route(
                method="POST", path=path, handler=self.upload, permission=may, rate="heavy",
                status=HTTPStatus.CREATED, errors=(Invalid,), takes=(CSV, FORM),
            ),
            Route(method="GET", path=path, handler=self.list, permission=may),
            Route(
                method="GET", path=one, handler=self.get, permission=may, errors=(NotFound,),
            ),
            Route(
                method="PUT", path=f"{one}/mapping", handler=self.map, permission=may,
                takes_if_match=True,
                errors=(Invalid, NotFound, Conflict, PreconditionFailed),
            ),
            Route(
                method="POST", path=f"{one}/preview", handler=self.preview, permission=may,
                rate="heavy",
                errors=(Invalid, NotFound, Conflict), idempotent=False,
                reason="it writes nothing",
            ),
            Route(
                method="POST", path=f"{one}/start", handler=self.start, permission=may,
                status=HTTPStatus.ACCEPTED, errors=(Invalid, NotFound, Conflict),
            ),
            Route(
                method="GET", path=f"{one}/rows", handler=self.rows, permission=may,
                errors=(NotFound,),
            ),
            Route(
                method="GET", path=f"{one}/bad-rows.csv", handler=self.bad_rows, permission=may,
                errors=(NotFound,), content_type=f"{CSV}; charset=utf-8",
            ),
            Route(
                method="POST", path=f"{one}/undo", handler=self.undo, permission=may,
                status=HTTPStatus.ACCEPTED, errors=(NotFound, Conflict, Denied),
            ),
        )  # fmt: skip

    async def upload(self, upload: Upload, query: UploadQuery, caller: Caller) -> ImportView:
        """Upload a CSV file; its rows wait a day to be mapped and started."""
        async with _on_disk(upload) as (file, digest):
            hashed = hashlib.sha256(caller.route.encode() + digest).digest()
            caller = msgspec.structs.replace(caller, body_hash=hashed)
            source = Source(
                file=cast("BinaryIO", file.wrapped), name=upload.name or query.name, sha256=digest,
                byte_count=upload.size, owner=_user_of(caller), made_by=caller.by,
            )  # fmt: skip

            async def do(uow: UnitOfWork) -> ImportView:
                import_id = await self._imports.stage(uow.tx, source)
                return await self._imports.get(uow.tx, import_id, _mine(caller))

            return await run_once(self._node.services, caller, ImportView, do)

    async def list(self, query: ImportQuery, caller: Caller) -> Listed[ImportView]:
        """List imports, newest first."""
        found = await self._imports.list(
            self._node.services.db, _mine(caller), query.state, query.position(), query.fetch_limit
        )
        return paginate(found, query)

    async def get(self, import_id: UUID, caller: Caller) -> ImportView:
        """Show an import: what was understood, where it stands, how many rows ended how."""
        return await self._imports.get(self._node.services.db, import_id, _mine(caller))

    async def map(self, import_id: UUID, body: ImportMapping, caller: Caller) -> ImportView:
        """Say what the columns mean and what is done with the rows."""
        self._require_providers(body.providers)
        await self._node.services.lead_owners.resolve(body.owner_id)
        icp_id = (
            None
            if body.icp_id is None
            else await self._node.services.icps.resolve_version(body.icp_id)
        )
        imports = self._imports
        async with self._node.services.db.transaction() as tx:
            locked = await imports.lock(tx, import_id, _mine(caller))
            await imports.map(tx, locked, body, icp_id, _asker(caller), caller.if_match)
            return await imports.get(tx, import_id, _mine(caller))

    async def preview(self, import_id: UUID, caller: Caller) -> Preview:
        """Tell what would become of the rows; writes nothing."""
        return await self._imports.preview(
            self._node.services.db, import_id, _mine(caller), owner=_user_of(caller)
        )

    async def start(self, import_id: UUID, caller: Caller) -> ImportBegun:
        """Make leads of the rows, once however often it is asked for."""

        async def do(uow: UnitOfWork) -> ImportBegun:
            view = (await self._imports.lock(uow.tx, import_id, _mine(caller))).view
            if view.state in _ENDED and view.job_id is not None:
                return _begun(view, view.job_id)
            return await self._start(uow, import_id)

        return await run_once(self._node.services, caller, ImportBegun, do)

    async def _start(self, uow: UnitOfWork, import_id: UUID) -> ImportBegun:
        imports, caller = self._imports, uow.caller
        locked = await imports.lock(uow.tx, import_id, _mine(caller))
        view = locked.view
        if view.state not in {ImportState.UPLOADED, ImportState.MAPPED}:
            raise Conflict(
                f"the import is {view.state.value}: upload the file again to import it again",
                code="leads.import.started",
            )
        told = imports.told(locked, _asker(caller))
        mapping = told.mapping
        icp_id = view.icp_id
        if icp_id is None and mapping.enrich:
            icp_id = await self._node.services.icps.resolve_version(None)
        await self._open_run(uow, view, mapping)
        await imports.begin(uow.tx, locked, told, icp_id)
        (job_id,) = await uow.publication.publish(
            [ImportStarted(import_id), ImportPartWanted(import_id, 0)],
            run_id=import_id, request_id=caller.request_id, trace_parent=caller.trace_parent,
        )  # fmt: skip
        await imports.began(uow.tx, import_id, job_id)
        await uow.record(
            AuditEntry(
                action="import.started", subject_kind="import", subject_id=str(import_id),
                detail={"name": view.name, "sha256": view.sha256, "rows": view.row_count},
            )
        )  # fmt: skip
        return _begun(msgspec.structs.replace(view, state=ImportState.RUNNING), job_id)

    async def _open_run(self, uow: UnitOfWork, view: ImportView, mapping: ImportMapping) -> None:
        limits = RunLimits(
            sends=mapping.sends, providers=mapping.providers, cap_micros=mapping.cap_micros
        )
        await self._node.services.runs.open_run(
            uow.tx, "import", limits, title=view.name, run_id=view.id
        )

    async def rows(self, import_id: UUID, query: RowQuery, caller: Caller) -> Listed[RowView]:
        """List rows with what became of them, in the order of the file."""
        await self.get(import_id, caller)
        place = query.position()
        after = 0 if place is None else min(place.int, 2**31 - 1)
        found = await self._imports.list_rows(
            self._node.services.db, import_id, query.state, after, query.fetch_limit
        )
        return paginate(found, query, lambda row: UUID(int=row.number))

    async def bad_rows(self, import_id: UUID, caller: Caller) -> HtmlPage:
        """Download the rows that could not be used, as CSV, each with its line and the reason."""
        view = await self.get(import_id, caller)
        db = self._node.services.db
        parts = [write_csv([["line", "reason", *(column.header for column in view.columns)]])]
        after = 0
        while True:
            found = await self._imports.list_rows(db, import_id, RowState.BAD, after, AT_ONCE)
            parts.append(
                write_csv([[str(row.number), row.reason or "", *row.cells] for row in found])
            )
            if len(found) < AT_ONCE:
                break
            after = found[-1].number
        return HtmlPage(body=b"".join(parts), content_type=f"{CSV}; charset=utf-8")

    async def undo(self, import_id: UUID, caller: Caller) -> UndoBegun:
        """Take back what an import brought; what others have touched since is kept and told.

        Its leads are deleted: an import of somebody else needs `leads:delete`.
        """

        async def do(uow: UnitOfWork) -> UndoBegun:
            view = (await self._imports.lock(uow.tx, import_id, _mine(caller))).view
            if view.state is ImportState.UNDOING and view.undo_job_id is not None:
                return UndoBegun(import_id=import_id, job_id=view.undo_job_id, state=view.state)
            _require_may_undo(view, caller)
            _require_undoable(view)
            now = self._node.services.clock.now()
            await runs.cancel(uow.tx, import_id, caller.by, now)
            (job_id,) = await uow.publication.publish(
                [UndoPartWanted(import_id, 0)],
                request_id=caller.request_id,
                trace_parent=caller.trace_parent,
            )
            await self._imports.begin_undo(uow.tx, import_id, job_id)
            counts = msgspec.to_builtins(view.counts)
            await uow.record(
                AuditEntry(
                    action="import.undone", subject_kind="import", subject_id=str(import_id),
                    detail={"name": view.name, **counts},
                )
            )  # fmt: skip
            return UndoBegun(import_id=import_id, job_id=job_id, state=ImportState.UNDOING)

        return await run_once(self._node.services, caller, UndoBegun, do)

    def _require_providers(self, names: Sequence[str] | None) -> None:
        known = self._node.services.provider_names
        problems = tuple(
            FieldProblem(f"providers[{place}]", f"is not known: use {', '.join(known)}")
            for place, name in enumerate(names or ())
            if name not in known
        )
        if problems:
            raise Invalid("there is no such provider", problems, code="leads.import.mapping")


def _begun(view: ImportView, job_id: UUID) -> ImportBegun:
    return ImportBegun(import_id=view.id, run_id=view.id, job_id=job_id, state=view.state)


def _require_may_undo(view: ImportView, caller: Caller) -> None:
    """Refuse to delete what somebody else brought in without that right. Raises: Denied."""
    is_own = view.made_by == caller.by or (
        view.owner is not None and view.owner == _user_of(caller)
    )
    if not is_own and Permission.LEADS_DELETE not in caller.principal.permissions:
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
    has_more = view.state is ImportState.UNDONE and view.counts.kept
    if view.state not in _ENDED and not has_more:
        raise Conflict(
            f"the import is {view.state.value}: there is nothing to undo",
            code="leads.import.nothing_to_undo",
        )


def _user_of(caller: Caller) -> str | None:
    """Tell whose an import and its leads are; None: nobody's."""
    user_id = caller.principal.user_id
    return None if user_id is None else str(user_id)


def _mine(caller: Caller) -> str | None:
    """Tell whose leads and imports the caller sees; None: all."""
    owner = caller.principal.sees_owner
    return None if owner is None else str(owner)


def _asker(caller: Caller) -> Asker:
    return Asker(by=caller.by, owner=_user_of(caller), mine=_mine(caller))


@asynccontextmanager
async def _on_disk(
    upload: Upload,
) -> AsyncIterator[tuple[anyio.AsyncFile[bytes], bytes]]:
    """Write a file to disk as it arrives, and give it with the hash of its bytes."""
    digest = hashlib.sha256()
    async with anyio.TemporaryFile() as file:
        async for piece in upload.chunks():
            digest.update(piece)
            await file.write(piece)
        await file.flush()
        yield file, digest.digest()
