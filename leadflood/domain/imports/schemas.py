"""Imports of leads: events, mappings and plans, rows, and what is shown of them."""

from collections.abc import Sequence
from datetime import datetime
from enum import StrEnum
from typing import Annotated
from uuid import UUID

import msgspec
from typing_extensions import override

from leadflood.contracts.found_values import Scalar
from leadflood.contracts.values import FieldName, SendsPolicy
from leadflood.domain.auth.schemas import EVERYTHING, Visibility
from leadflood.domain.leads.schemas import IdentityKey
from leadflood.engine.queue.event import Event

Cell = Annotated[str, msgspec.Meta(max_length=500)]
Name = Annotated[str, msgspec.Meta(max_length=200)]


class ImportState(StrEnum):
    """The state of an import; `running` until every row has its outcome."""

    UPLOADED = "uploaded"
    MAPPED = "mapped"
    RUNNING = "running"
    COMPLETED = "completed"
    FAILED = "failed"
    UNDOING = "undoing"
    UNDONE = "undone"


class RowState(StrEnum):
    """What became of a row.

    `created` a new lead, `updated` a known one, `duplicate` one that the file had before,
    `skipped` a known one that was left alone, `bad` a row that cannot be used; after an undo
    `undone`, or `kept` where it could not be. `waiting`: nothing yet.
    """

    WAITING = "waiting"
    CREATED = "created"
    UPDATED = "updated"
    DUPLICATE = "duplicate"
    SKIPPED = "skipped"
    BAD = "bad"
    UNDONE = "undone"
    KEPT = "kept"


class OnDuplicate(StrEnum):
    """What is done with a row whose person is a lead already."""

    SKIP = "skip"
    UPDATE = "update"


class ImportEvent(Event, frozen=True):
    """Something that happened to an import."""

    import_id: UUID

    @override
    def subject(self) -> UUID:
        return self.import_id


class ImportStarted(ImportEvent, frozen=True, tag="leads.import.started"):
    """Its rows are being read."""


class ImportAdvanced(ImportEvent, frozen=True, tag="leads.import.advanced"):
    """`done_count` of its rows have their outcome."""

    done_count: int
    row_count: int


class ImportCompleted(ImportEvent, frozen=True, tag="leads.import.completed"):
    """All its rows have their outcome; the leads go on in the run of the same id."""


class ImportFailed(ImportEvent, frozen=True, tag="leads.import.failed"):
    """It stopped; `code` says why. What is in can be undone."""

    code: str


class ImportUndone(ImportEvent, frozen=True, tag="leads.import.undone"):
    """What it brought is gone, except for the rows that are kept."""

    undone_count: int
    kept_count: int


class PartRequested(ImportEvent, frozen=True):
    """The next part of a file is due, behind line `after`."""

    after: int

    @override
    def job_key(self) -> str:
        return f"{self.import_id}:{self.after}"


class ImportPartWanted(PartRequested, frozen=True, tag="leads.import.part_wanted"):
    """The next rows are to become leads."""

    internal = True


class UndoPartWanted(PartRequested, frozen=True, tag="leads.import.undo_wanted"):
    """What the next rows brought is to go again."""

    internal = True


class ImportMapping(
    msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, rename="camel"
):
    """What a file's columns mean and what is done with its rows.

    `columns` null: as guessed; else a column it does not name, or names with null, is left out.
    `defaults` fill empty cells. `icpId` null: the newest ICP. `ownerId` null: whoever imports.
    `enrich` false: the leads are only stored. `capMicros` null: the run's default cap.
    """

    columns: dict[Name, FieldName | None] | None = None
    defaults: dict[FieldName, Cell] = {}
    on_duplicate: OnDuplicate = OnDuplicate.UPDATE
    enrich: bool = True
    icp_id: UUID | None = None
    sends: SendsPolicy = SendsPolicy.HOLD
    providers: tuple[Annotated[str, msgspec.Meta(max_length=40)], ...] | None = None
    cap_micros: Annotated[int, msgspec.Meta(ge=0, le=10**15)] | None = None
    owner_id: UUID | None = None
    tags: Annotated[tuple[Name, ...], msgspec.Meta(max_length=20)] = ()


class Importer(msgspec.Struct, frozen=True, kw_only=True):
    """Who imports.

    - `by`: how they are recorded.
    - `owner`: the user whose the import and its leads are; None: nobody's.
    - `visibility`: the leads and imports that they see.
    """

    by: str
    owner: str | None = None
    visibility: Visibility = EVERYTHING


class ImportPlan(msgspec.Struct, frozen=True, kw_only=True):
    """A mapping that was checked.

    - `fields`: the field of each column; None: it is left out.
    - `defaults`: what fills empty cells.
    - `on_duplicate`: what is done with a row whose person is a lead already.
    - `enrich`: whether the leads are enriched and scored; else they are only stored.
    - `owner`: the owner of new leads; None: nobody.
    - `tags`: the tags of all leads of the file.
    - `visibility`: the leads that may be changed.
    - `by`: who changes them, as it is recorded.
    """

    fields: tuple[FieldName | None, ...]
    defaults: dict[FieldName, str] = {}
    on_duplicate: OnDuplicate = OnDuplicate.UPDATE
    enrich: bool = True
    owner: str | None = None
    tags: tuple[str, ...] = ()
    visibility: Visibility = EVERYTHING
    by: str = ""


class Column(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """A column: `name` is what a mapping calls it, `guess` what its header and cells look like."""

    name: str
    header: str
    guess: FieldName | None
    samples: tuple[str, ...] = ()


class ImportCounts(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """How many rows have which outcome; `waiting` have none yet."""

    created: int
    updated: int
    duplicate: int
    skipped: int
    bad: int
    waiting: int
    undone: int = 0
    kept: int = 0


class SameFile(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """An earlier import of a file with the same bytes."""

    id: UUID
    name: str
    state: ImportState
    created_at: datetime


class ImportView(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """An import as it stands. Its run, once started, has its id.

    `mapping` null: none was given yet. `progress` is the part of the rows that have their end.
    `code` null: it has not failed.
    """

    id: UUID
    version: int
    state: ImportState
    name: str
    sha256: str
    byte_count: int
    encoding: str
    delimiter: str
    columns: tuple[Column, ...]
    warnings: tuple[str, ...]
    row_count: int
    counts: ImportCounts
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


class RowView(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """A row: the line it starts on, its cells, what became of it, and why where that needs one."""

    number: int
    state: RowState
    lead_id: UUID | None
    reason: str | None
    cells: tuple[str, ...]


class PreviewRow(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """How a row would be read; `notes` name the cells that are not understood."""

    number: int
    outcome: RowState
    lead_id: UUID | None
    values: dict[FieldName, str | int | float | bool | tuple[str, ...]]
    notes: tuple[str, ...]


class PreviewCounts(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """What would become of the rows looked at."""

    new: int = 0
    already_known: int = 0
    duplicate_in_file: int = 0
    bad: int = 0


class ImportPreview(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """A dry run: nothing was written. `isSample`: only the first `lookedAt` rows were read."""

    row_count: int
    looked_at: int
    is_sample: bool
    counts: PreviewCounts
    bad_rows: tuple[RowView, ...]
    sample: tuple[PreviewRow, ...]


class ImportRow(msgspec.Struct, frozen=True, kw_only=True):
    """A row of a file that can be a lead; `number` is the line it starts on, counted from 1.

    `notes` name the cells that were not understood and left out.
    """

    number: int
    values: dict[FieldName, Scalar]
    raw: tuple[str, ...]
    notes: tuple[str, ...] = ()


class BadRow(msgspec.Struct, frozen=True, kw_only=True):
    """A row that cannot be used, why, and as it stands in the file."""

    number: int
    reason: str
    raw: tuple[str, ...]


class RowResult(msgspec.Struct, frozen=True, kw_only=True):
    """What became of a row, and what it alone added beside values.

    - `lead_id`: the lead that it names; None: none.
    - `reason`: why, where the outcome needs one.
    - `company_id`, `made_company`: the company that it names, and whether it was the first.
    - `new_keys`, `new_tags`: what a known lead got by it.
    - `merged`: the leads that turned out to be the same by it.
    """

    number: int
    outcome: RowState
    lead_id: UUID | None = None
    reason: str | None = None
    company_id: UUID | None = None
    made_company: bool = False
    new_keys: tuple[IdentityKey, ...] = ()
    new_tags: tuple[str, ...] = ()
    merged: tuple[UUID, ...] = ()


class LeadOwner(msgspec.Struct, frozen=True):
    """The lead that a key names, and its owner; None: nobody."""

    lead_id: UUID
    owner: str | None


class HeaderMatch(msgspec.Struct, frozen=True):
    """What a column was taken for; `field` None means it was not understood and left out."""

    header: str
    field: FieldName | None


class ReadCsv(msgspec.Struct, frozen=True, kw_only=True):
    """A file as it was understood; rows + bad = all rows with anything in them."""

    rows: tuple[ImportRow, ...]
    bad: tuple[BadRow, ...]
    mapping: tuple[HeaderMatch, ...]
    encoding: str
    delimiter: str
    skipped_lines: tuple[str, ...]
    sha256: bytes


class NewImport(msgspec.Struct, frozen=True, kw_only=True):
    """A file to import in a run; every lead of it is scored for `icp_id`."""

    run_id: UUID
    icp_id: UUID
    name: str
