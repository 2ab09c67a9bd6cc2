"""Imports as they are started and shown, and their previews."""

from collections.abc import Sequence
from datetime import datetime
from enum import StrEnum
from uuid import UUID

import msgspec

from leadflood.contracts.values import FieldName
from leadflood.domain.imports.schemas.columns import Column, Subject
from leadflood.domain.imports.schemas.mappings import ImportMapping
from leadflood.domain.imports.schemas.notes import NoteSummary
from leadflood.domain.imports.schemas.rows import RowState, RowView
from leadflood.domain.imports.schemas.saved_mappings import SavedMapping


class ImportState(StrEnum):
    """The state of an import; `running` until every row has its outcome."""

    UPLOADED = "uploaded"
    MAPPED = "mapped"
    RUNNING = "running"
    COMPLETED = "completed"
    FAILED = "failed"
    UNDOING = "undoing"
    UNDONE = "undone"


class NewImport(msgspec.Struct, frozen=True, kw_only=True):
    """A file to import in a run; every lead of it is scored for `icp_id`."""

    run_id: UUID
    icp_id: UUID
    name: str


class ImportCounts(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """How many rows have which outcome; `waiting` have none yet.

    `opted_out`: rows that say no, whatever became of them: whom they name is suppressed, and stays
    so after an undo.
    """

    created: int
    updated: int
    duplicate: int
    skipped: int
    bad: int
    waiting: int
    undone: int = 0
    kept: int = 0
    opted_out: int = 0


class SameFile(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """An earlier import of a file with the same bytes."""

    id: UUID
    name: str
    state: ImportState
    created_at: datetime


class ImportView(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """An import as it stands. Its run, once started, has its id.

    `encoding` and `delimiter` are those of a text; of a workbook its kind, and none. `sheet` is the
    one that is read of `sheets`; null: it is no workbook.
    `subject` is what its rows are as guessed: a mapping may say otherwise.
    `savedMapping`: how files with these headers were read before; null: none was saved, or it was
    started already.
    `notes`: what was not understood of the cells of the rows that are in, or changed, by column.
    `unreadConsentColumns` speak of consent and are not read: the import starts once they are mapped
    or named in `ignoreConsentColumns`. `mapping` null: none was given yet. `progress` is the part
    of the rows that have their end. `code` null: it has not failed.
    """

    id: UUID
    version: int
    state: ImportState
    name: str
    sha256: str
    byte_count: int
    encoding: str
    delimiter: str
    sheet: str | None
    sheets: tuple[str, ...]
    columns: tuple[Column, ...]
    subject: Subject
    warnings: tuple[str, ...]
    unread_consent_columns: tuple[str, ...]
    row_count: int
    counts: ImportCounts
    notes: tuple[NoteSummary, ...]
    progress: float
    is_undoable: bool
    mapping: ImportMapping | None
    icp_id: UUID | None
    owner: str | None
    made_by: str
    code: str | None
    created_at: datetime
    started_at: datetime | None
    ended_at: datetime | None
    job_id: UUID | None
    undo_job_id: UUID | None
    run_id: UUID | None
    same_as: Sequence[SameFile] = ()
    saved_mapping: SavedMapping | None = None


class PreviewRow(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """How a row would be read, what would become of it, and why where that needs a reason.

    `notes` name the cells that are not understood, or changed. `consent`: what it says of consent,
    as the column and the cell say it.
    """

    number: int
    outcome: RowState
    lead_id: UUID | None
    reason: str | None
    values: dict[FieldName, str | int | float | bool | tuple[str, ...]]
    notes: tuple[str, ...]
    consent: tuple[str, ...] = ()


class PreviewCounts(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """The expected outcome of the rows looked at; `alreadyKnown` are `updated` and `skipped`.

    `optedOut` of them say no.
    """

    new: int = 0
    already_known: int = 0
    updated: int = 0
    skipped: int = 0
    duplicate_in_file: int = 0
    bad: int = 0
    opted_out: int = 0


class ImportPreview(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """A dry run: nothing was kept. `isSample`: only the first `lookedAt` rows were read.

    `notes` count what was not understood of their cells; `warnings` say what it does not tell.
    """

    row_count: int
    looked_at: int
    is_sample: bool
    counts: PreviewCounts
    bad_rows: tuple[RowView, ...]
    sample: tuple[PreviewRow, ...]
    notes: tuple[NoteSummary, ...]
    warnings: tuple[str, ...]
