"""Rows of files: as they are read, and what becomes of them."""

from enum import StrEnum
from uuid import UUID

import msgspec

from leadflood.contracts.found_values import Scalar
from leadflood.contracts.values import FieldName
from leadflood.domain.imports.schemas.column_fields import ColumnField
from leadflood.domain.imports.schemas.columns import Column, Subject
from leadflood.domain.imports.schemas.notes import NoteSummary
from leadflood.domain.leads.schemas.identity import IdentityKey


class RowState(StrEnum):
    """The outcome of a row.

    `created` a new lead, `updated` a known one, `duplicate` one that the file had before (a
    lead of its own, merged into that one),
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


class ConsentCell(msgspec.Struct, frozen=True):
    """A filled cell of a column that speaks of consent; `column` is its place, from 0."""

    column: int
    field: ColumnField
    text: str


class ImportRow(msgspec.Struct, frozen=True, kw_only=True):
    """A row of a file that can be a lead.

    - `number`: the line it starts on, counted from 1.
    - `values`: what it says of the lead.
    - `raw`: its cells as they stand in the file.
    - `notes`: the cells that were not understood and left out, by their field's name.
    - `external_id`: its id in the system that the file is from; None: it has none.
    - `consent`: what it says of consent.
    """

    number: int
    values: dict[FieldName, Scalar]
    raw: tuple[str, ...]
    notes: tuple[str, ...] = ()
    external_id: str | None = None
    consent: tuple[ConsentCell, ...] = ()


class BadRow(msgspec.Struct, frozen=True, kw_only=True):
    """A row that cannot be used, why, and as it stands in the file."""

    number: int
    reason: str
    raw: tuple[str, ...]


class RowResult(msgspec.Struct, frozen=True, kw_only=True):
    """The outcome of a row, and what it alone added beside values.

    - `lead_id`, `made_lead`: the lead that it names, and whether that is the row's own; None: none.
    - `reason`: why, where the outcome needs one.
    - `company_id`, `made_company`: the company that it names, and whether it was the first.
    - `new_keys`, `new_tags`: what a known lead got by it.
    - `merged`: the leads that turned out to be the same by it.
    - `notes`: what was not understood of its cells, or changed.
    """

    number: int
    outcome: RowState
    lead_id: UUID | None = None
    reason: str | None = None
    made_lead: bool = False
    company_id: UUID | None = None
    made_company: bool = False
    new_keys: tuple[IdentityKey, ...] = ()
    new_tags: tuple[str, ...] = ()
    merged: tuple[UUID, ...] = ()
    notes: tuple[str, ...] = ()


class LeadOwner(msgspec.Struct, frozen=True):
    """The lead that a key names, and its owner; None: nobody."""

    lead_id: UUID
    owner: str | None


class RowView(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """A row: the line it starts on, its cells, what became of it, and why where that needs one.

    `notes` name the cells that were not understood, or changed, each by its field.
    """

    number: int
    state: RowState
    lead_id: UUID | None
    reason: str | None
    cells: tuple[str, ...]
    notes: tuple[str, ...] = ()


class ReadCsv(msgspec.Struct, frozen=True, kw_only=True):
    """A file as it was understood; rows + bad = all rows with anything in them.

    `sheet` is the one that is read of a workbook's `sheets`; None: it is no workbook.
    `fields` are those of its columns; None: the column is left out.
    """

    rows: tuple[ImportRow, ...]
    bad: tuple[BadRow, ...]
    columns: tuple[Column, ...]
    fields: tuple[ColumnField | None, ...]
    subject: Subject
    notes: tuple[NoteSummary, ...]
    warnings: tuple[str, ...]
    encoding: str
    delimiter: str
    sheet: str | None
    sheets: tuple[str, ...]
    skipped_lines: tuple[str, ...]
    sha256: bytes
