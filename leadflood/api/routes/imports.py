"""Imports over HTTP: upload a file, map its columns, preview it, start it, watch it, undo it."""

import hashlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from http import HTTPStatus
from typing import Annotated, BinaryIO, cast
from uuid import UUID

import anyio
import msgspec

from leadflood.api.http.pagination import Listed, Paging, paginate
from leadflood.api.http.request_context import Caller
from leadflood.api.http.responses import RawResponse
from leadflood.api.http.routing import get, post, put
from leadflood.api.http.unit_of_work import UnitOfWork, run_once
from leadflood.api.http.uploads import FORM, Upload
from leadflood.api.services import Services
from leadflood.domain.imports.schemas.mappings import Importer, ImportMapping
from leadflood.domain.imports.schemas.rows import RowState, RowView
from leadflood.domain.imports.schemas.views import ImportPreview, ImportState, ImportView
from leadflood.domain.imports.service.uploads import UploadedFile
from leadflood.domain.suppressions.schemas import ImportLift, LiftedOfImport
from leadflood.engine.errors import (
    Conflict,
    Denied,
    Invalid,
    NotFound,
    PreconditionFailed,
    Throttled,
    Transient,
)

CSV = "text/csv"
CSV_UTF8 = f"{CSV}; charset=utf-8"
TABLES = (
    CSV,
    "text/tab-separated-values",
    "text/plain",
    "application/csv",
    "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
    "application/vnd.ms-excel",
    "application/vnd.ms-excel.sheet.binary.macroenabled.12",
    "application/vnd.ms-excel.sheet.macroenabled.12",
    "application/vnd.oasis.opendocument.spreadsheet",
    "application/zip",
    "application/octet-stream",
    FORM,
)
MAX_LINE = 2**31 - 1


class UploadQuery(
    msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, rename="camel"
):
    """The name of a file that does not come in a form, and the sheet of a workbook to read.

    `sheet` null: the first with a table.
    """

    name: Annotated[str, msgspec.Meta(max_length=200)] = ""
    sheet: Annotated[str, msgspec.Meta(min_length=1, max_length=200)] | None = None


class ImportQuery(Paging, frozen=True, kw_only=True, forbid_unknown_fields=True, rename="camel"):
    """Which imports; null asks for nothing."""

    state: ImportState | None = None


class RowQuery(Paging, frozen=True, kw_only=True, forbid_unknown_fields=True, rename="camel"):
    """Which rows; null: all, in the order of the file."""

    state: RowState | None = None


class BadRowQuery(
    msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, rename="camel"
):
    """Which rows; `notes`: also those that are in, but for cells that were not understood."""

    notes: bool = False


class ImportAccepted(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """The import is under way: `jobId` is its first step, `runId` the run of its leads."""

    import_id: UUID
    run_id: UUID
    job_id: UUID
    state: ImportState


class UndoAccepted(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """The undo is under way: `jobId` is its first step.

    `stays` says what it does not take back; null: nothing.
    """

    import_id: UUID
    job_id: UUID
    state: ImportState
    stays: str | None = None


@post(
    "/v1/imports",
    permission="leads:import",
    rate="heavy",
    status=HTTPStatus.CREATED,
    errors=(Invalid, Throttled),
    takes=TABLES,
    commits_itself="the file is on disk, and hashed for its Idempotency-Key, before it begins",
)
async def upload_file(
    upload: Upload, query: UploadQuery, caller: Caller, services: Services
) -> ImportView:
    """Upload a CSV file or a workbook; its rows wait a day to be mapped and started.

    What it is shows in its bytes, whatever its type says: a CSV in any usual encoding, a workbook
    (XLSX, XLSB, XLS, ODS), of which one sheet is read, or a zip with one of them.

    Of one user 2 files are taken at a time, and 20 may wait to be started.
    """
    services.runs.require_room()
    uploads, importer = services.import_uploads, importer_of(caller)
    with uploads.under_way(importer):
        await uploads.require_room(services.db, importer)
        async with (
            _on_disk(upload, query) as file,
            uploads.read(services.db, file, importer) as read_file,
        ):

            async def stage(uow: UnitOfWork) -> ImportView:
                import_id = await uploads.stage(uow.tx, file, read_file, importer)
                return await services.imports.get(import_id, caller.visibility, uow.tx)

            hashed = msgspec.structs.replace(caller, body_hash=_hash(caller.route, file))
            return await run_once(services, hashed, ImportView, stage)


@get("/v1/imports", permission="leads:import")
async def list_imports(
    query: ImportQuery, caller: Caller, services: Services
) -> Listed[ImportView]:
    """List imports, newest first."""
    views = await services.imports.list(
        caller.visibility, query.state, query.position(), query.fetch_limit
    )
    return paginate(views, query)


@get("/v1/imports/{importId}", permission="leads:import", errors=(NotFound,))
async def get_import(import_id: UUID, caller: Caller, services: Services) -> ImportView:
    """Show an import: what was understood, where it stands, how many rows ended how."""
    return await services.imports.get(import_id, caller.visibility)


@put(
    "/v1/imports/{importId}/mapping",
    permission="leads:import",
    takes_if_match=True,
    errors=(Invalid, NotFound, Conflict, PreconditionFailed),
)
async def change_mapping(
    import_id: UUID, body: ImportMapping, caller: Caller, services: Services, uow: UnitOfWork
) -> ImportView:
    """Set what the columns mean and what is done with the rows."""
    return await services.imports.change_mapping(
        uow.tx, import_id, body, importer_of(caller), caller.if_match
    )


@post(
    "/v1/imports/{importId}/preview",
    permission="leads:import",
    rate="heavy",
    errors=(Invalid, NotFound, Conflict, Transient),
    idempotent=False,
    reason="it writes nothing",
)
async def preview_import(import_id: UUID, caller: Caller, services: Services) -> ImportPreview:
    """Preview the outcome of each row, of the first 2,000; writes nothing.

    It keeps others from these leads for 5 seconds at most, and tells what it has looked at by then
    (`lookedAt`, `isSample`). While others write them it is refused: 503 `leads.import.busy`.
    """
    return await services.import_previews.preview(import_id, importer_of(caller))


@post(
    "/v1/imports/{importId}/start",
    permission="leads:import",
    status=HTTPStatus.ACCEPTED,
    errors=(Invalid, NotFound, Conflict, Denied),
)
async def start_import(
    import_id: UUID, caller: Caller, services: Services, uow: UnitOfWork
) -> ImportAccepted:
    """Import the rows as leads, once however often it is requested."""
    started = await services.imports.start(uow, import_id, importer_of(caller))
    view = started.view
    if started.is_new:
        await uow.audit(
            "import.started", view.id, name=view.name, sha256=view.sha256, rows=view.row_count
        )
    return ImportAccepted(
        import_id=view.id, run_id=view.id, job_id=started.job_id, state=view.state
    )


@get("/v1/imports/{importId}/rows", permission="leads:import", errors=(NotFound,))
async def list_rows(
    import_id: UUID, query: RowQuery, caller: Caller, services: Services
) -> Listed[RowView]:
    """List rows with what became of them, in the order of the file."""
    position = query.position()
    after = 0 if position is None else min(position.int, MAX_LINE)
    rows = await services.imports.list_rows(
        import_id, caller.visibility, query.state, after, query.fetch_limit
    )
    return paginate(rows, query, lambda row: UUID(int=row.number))


@get(
    "/v1/imports/{importId}/bad-rows.csv",
    permission="leads:import",
    errors=(NotFound,),
    content_type=CSV_UTF8,
)
async def download_bad_rows(
    import_id: UUID, query: BadRowQuery, caller: Caller, services: Services
) -> RawResponse:
    """Download the rows that could not be used, as CSV, each with its line and the reason."""
    body = await services.imports.write_bad_rows(
        import_id, caller.visibility, has_noted=query.notes
    )
    return RawResponse(body=body, content_type=CSV_UTF8)


@post(
    "/v1/imports/{importId}/undo",
    permission="leads:import",
    status=HTTPStatus.ACCEPTED,
    errors=(NotFound, Conflict, Denied),
)
async def undo_import(
    import_id: UUID, caller: Caller, services: Services, uow: UnitOfWork
) -> UndoAccepted:
    """Take back what an import brought; what others have touched since is kept and listed.

    Its leads are deleted: an import of somebody else needs `leads:delete`. Who said no in its rows
    stays suppressed: `DELETE /v1/suppressions/{suppressionId}` lifts one line, and
    `POST /v1/imports/{importId}/suppressions/lift` all that this file alone says.
    """
    undo = await services.imports.undo(uow, import_id, caller.principal)
    view = undo.view
    if undo.is_new:
        counts = msgspec.to_builtins(view.counts)
        await uow.audit("import.undone", view.id, name=view.name, **counts)
    stays = None
    if opted_out_count := view.counts.opted_out:
        stays = (
            f"{opted_out_count:,} rows said no: whom they name stays suppressed until somebody"
            " lifts it (DELETE /v1/suppressions/{id}, or all that the file alone says: POST"
            f" /v1/imports/{view.id}/suppressions/lift)"
        )
    return UndoAccepted(import_id=view.id, job_id=undo.job_id, state=view.state, stays=stays)


@post(
    "/v1/imports/{importId}/suppressions/lift",
    permission="suppressions:lift",
    rate="heavy",
    errors=(Invalid, NotFound, Conflict),
)
async def lift_suppressions(
    import_id: UUID, body: ImportLift, caller: Caller, services: Services, uow: UnitOfWork
) -> LiftedOfImport:
    """Take off the suppression list what the rows of an import said: its columns were read wrong.

    A line that anybody or anything else says too stays: a person, a link in a message, a provider,
    another file. 10,000 lines a call: ask again until `isComplete`. With `restoreSends` what was
    cancelled as suppressed, is still useful and is stopped by no other line goes after all.
    """
    lifted = await services.import_lifts.lift(uow.tx, import_id, caller.visibility, caller.by)
    count = await services.suppressed_sends.restore(uow) if body.restore_sends else 0
    await uow.audit(
        "suppression.lifted_import",
        import_id,
        reason=body.reason,
        lifted=lifted.lifted,
        kept=lifted.kept,
        restored_sends=count,
    )
    return msgspec.structs.replace(lifted, restored_send_count=count)


def importer_of(caller: Caller) -> Importer:
    """Return who imports, and what they may do."""
    user_id = caller.principal.user_id
    return Importer(
        by=caller.by,
        owner=None if user_id is None else str(user_id),
        visibility=caller.visibility,
        permissions=caller.principal.permissions,
        opener=caller.opener,
    )


def _hash(route: str, file: UploadedFile) -> bytes:
    """Return the hash by which an Idempotency-Key knows the request again."""
    name = file.name.encode("utf-8", "surrogatepass")
    sheet = (file.sheet or "").encode("utf-8", "surrogatepass")
    return hashlib.sha256(b"\n".join([route.encode(), name, file.sha256, sheet])).digest()


@asynccontextmanager
async def _on_disk(upload: Upload, query: UploadQuery) -> AsyncIterator[UploadedFile]:
    """Write a file to disk as it arrives."""
    digest = hashlib.sha256()
    async with anyio.TemporaryFile() as file:
        async for chunk in upload.chunks():
            digest.update(chunk)
            await file.write(chunk)
        await file.flush()
        yield UploadedFile(
            file=cast("BinaryIO", file.wrapped),
            name=upload.name or query.name,
            sheet=query.sheet,
            sha256=digest.digest(),
            byte_count=upload.size,
        )
