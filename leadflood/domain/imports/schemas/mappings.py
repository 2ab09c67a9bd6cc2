"""Mappings: what the columns of a file mean, and the plan that this is checked into."""

from enum import StrEnum
from typing import Annotated
from uuid import UUID

import msgspec

from leadflood.contracts.values import SendsPolicy
from leadflood.domain.auth.schemas.field_rights import needs
from leadflood.domain.auth.schemas.principals import EVERYTHING, Visibility
from leadflood.domain.auth.schemas.roles import ALL, Permission
from leadflood.domain.imports.schemas.column_fields import ColumnField
from leadflood.domain.imports.schemas.columns import NoOptIn, Subject
from leadflood.domain.runs.schemas import RunCap, RunOpener, Sends

Cell = Annotated[str, msgspec.Meta(max_length=500)]
Name = Annotated[str, msgspec.Meta(max_length=200)]
SourceName = Annotated[str, msgspec.Meta(min_length=1, max_length=80, pattern=r"[^\W_]")]


class OnDuplicate(StrEnum):
    """The handling of a row whose person is a lead already."""

    SKIP = "skip"
    UPDATE = "update"


class ImportMapping(
    msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, rename="camel"
):
    """The meaning of a file's columns and the handling of its rows.

    `columns` null: as guessed; else a column it does not name, or names with null, is left out.
    `subject`: what `Name` and `Country` are where `columns` is null; null: as guessed.
    `defaults` fill empty cells. `onDuplicate` null: `update` for who has `leads:write`, else
    `skip`. `icpId` null: the newest ICP. `ownerId` null: whoever imports.
    `enrich` false: the leads are only stored. `capMicros` null: the run's default cap.
    `source`: the system that the file is from; an external id is one lead's alone in it. Null: what
    the header of the ids names, or what they look like.
    `ignoreConsentColumns` names columns that speak of consent and are left unread all the same.
    `noOptIn`: what a no in a column of opt-ins says; null: a box that is left unticked (`0`,
    `false`) says that nobody was asked, a word (`No`) that they refused.
    """

    columns: dict[Name, ColumnField | None] | None = None
    subject: Subject | None = None
    defaults: dict[ColumnField, Cell] = {}
    on_duplicate: Annotated[OnDuplicate | None, needs(Permission.LEADS_WRITE, "update")] = None
    enrich: bool = True
    icp_id: UUID | None = None
    sends: Sends = SendsPolicy.HOLD
    providers: tuple[Annotated[str, msgspec.Meta(max_length=40)], ...] | None = None
    cap_micros: RunCap | None = None
    owner_id: UUID | None = None
    tags: Annotated[tuple[Name, ...], msgspec.Meta(max_length=20)] = ()
    source: SourceName | None = None
    ignore_consent_columns: Annotated[tuple[Name, ...], msgspec.Meta(max_length=500)] = ()
    no_opt_in: NoOptIn | None = None


class Importer(msgspec.Struct, frozen=True, kw_only=True):
    """The importer.

    - `by`: how they are recorded.
    - `owner`: the user whose the import and its leads are; None: nobody's.
    - `visibility`: the leads and imports that they see.
    - `permissions`: what they may do.
    - `opener`: whose the run is.
    """

    by: str
    owner: str | None = None
    visibility: Visibility = EVERYTHING
    permissions: frozenset[Permission] = ALL
    opener: RunOpener = RunOpener()

    def complete(self, mapping: ImportMapping) -> ImportMapping:
        """Return a mapping with what is done with duplicates: what the importer may do."""
        if mapping.on_duplicate is not None:
            return mapping
        may_update = Permission.LEADS_WRITE in self.permissions
        choice = OnDuplicate.UPDATE if may_update else OnDuplicate.SKIP
        return msgspec.structs.replace(mapping, on_duplicate=choice)


class ImportPlan(msgspec.Struct, frozen=True, kw_only=True):
    """A mapping that was checked.

    - `fields`: the field of each column; None: it is left out.
    - `headers`: the headers of the columns.
    - `order`: the places of columns in the order in which they are read; empty: as they stand.
    - `defaults`: what fills empty cells.
    - `on_duplicate`: what is done with a row whose person is a lead already.
    - `enrich`: whether the leads are enriched and scored; else they are only stored.
    - `owner`: the owner of new leads; None: nobody.
    - `tags`: the tags of all leads of the file.
    - `visibility`: the leads that may be changed.
    - `by`: who changes them, as it is recorded.
    - `source`: the system whose the external ids of the rows are; None: as their header says.
    - `no_opt_in`: what a no in a column of opt-ins says; None: as the cell says it.
    """

    fields: tuple[ColumnField | None, ...]
    headers: tuple[str, ...] = ()
    order: tuple[int, ...] = ()
    defaults: dict[ColumnField, str] = {}
    on_duplicate: OnDuplicate = OnDuplicate.UPDATE
    enrich: bool = True
    owner: str | None = None
    tags: tuple[str, ...] = ()
    visibility: Visibility = EVERYTHING
    by: str = ""
    source: str | None = None
    no_opt_in: NoOptIn | None = None
