"""Rows of files: as they are read, and what becomes of them."""

from datetime import datetime
from enum import StrEnum
from uuid import UUID

import msgspec

from leadflood.contracts.found_values import Scalar
from leadflood.contracts.values import Channel, FieldName, OptOutChannel
from leadflood.domain.imports.schemas.column_fields import ColumnField
from leadflood.domain.imports.schemas.columns import Column, Subject
from leadflood.domain.imports.schemas.notes import NoteSummary
from leadflood.domain.leads.schemas.identity import IdentityKey

Address = tuple[Channel, str]
"""An address and how it is written to; a number's channel is WhatsApp."""


BAD_ROWS_HEADERS = ("line", "reason")
"""What stands before the cells of a row in a file of bad rows."""


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


class Statement(msgspec.Struct, frozen=True, kw_only=True):
    """What a cell says of consent.

    - `evidence`: the column and the cell, as they stand in the file.
    - `agrees`: whether it is a yes; else it is a no.
    - `channels`: what it is said of.
    - `is_of_address`: whether it is said of the address alone, not of the person.
    - `wording`: what they agreed to; empty: the file does not say.
    - `obtained_at`: when they agreed; None: the file does not say.
    """

    evidence: str
    agrees: bool = False
    channels: frozenset[OptOutChannel] = frozenset({OptOutChannel.ALL})
    is_of_address: bool = False
    wording: str = ""
    obtained_at: datetime | None = None


class ExternalId(msgspec.Struct, frozen=True):
    """The id that a person or a company has in another system."""

    system: str
    value: str


class ImportRow(msgspec.Struct, frozen=True, kw_only=True):
    """A row of a file that can be a lead.

    - `number`: the line it starts on, counted from 1.
    - `values`: what it says of the lead.
    - `others`: further values of a field, such as a second address in a cell.
    - `raw`: its cells as they stand in the file.
    - `notes`: what was not understood or was changed, behind the field's name and a colon.
    - `external_ids`: its ids in other systems.
    - `consent`: what it says of consent.
    - `addresses`: every address in it that consent is about.
    - `tags`: tags that it gives the lead.
    - `owner`: the address of the user whose a new lead is to be; None: it does not say.
    """

    number: int
    values: dict[FieldName, Scalar]
    others: dict[FieldName, tuple[Scalar, ...]] = {}
    raw: tuple[str, ...]
    notes: tuple[str, ...] = ()
    external_ids: tuple[ExternalId, ...] = ()
    consent: tuple[Statement, ...] = ()
    addresses: tuple[Address, ...] = ()
    tags: tuple[str, ...] = ()
    owner: str | None = None


class BadRow(msgspec.Struct, frozen=True, kw_only=True):
    """A row that cannot be used, why, and as it stands in the file; see `ImportRow`."""

    number: int
    reason: str
    raw: tuple[str, ...]
    consent: tuple[Statement, ...] = ()
    addresses: tuple[Address, ...] = ()


class RowResult(msgspec.Struct, frozen=True, kw_only=True):
    """The outcome of a row, and what it alone added beside values.

    - `lead_id`, `made_lead`: the lead that it names, and whether that is the row's own; None: none.
    - `reason`: why, where the outcome needs one.
    - `company_id`, `made_company`: the company that it names, and whether it was the first.
    - `new_keys`, `new_tags`: what a known lead got by it.
    - `merged`: the leads that turned out to be the same by it.
    - `notes`: what was not understood of its cells, or changed.
    - `owner`: the user whom it gave a new lead to; None: whom the import gives all to.
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
    owner: str | None = None


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
    `unread_consent`: the columns that speak of consent, and nothing is read of them.
    `opted_out_count`: how many of its rows say no.
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
    unread_consent: tuple[str, ...] = ()
    opted_out_count: int = 0
