"""Saved mappings: how files of one source are read, known again by their headers."""

from datetime import datetime
from typing import Annotated
from uuid import UUID

import msgspec

from leadflood.domain.imports.schemas.mappings import ImportMapping


class NewSavedMapping(
    msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, rename="camel"
):
    """The mapping of an import to keep under a name: that of its source."""

    name: Annotated[str, msgspec.Meta(max_length=200, pattern=r"^[^\x00]*\S[^\x00]*$")]
    import_id: UUID


class SavedMappingInput(
    msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, rename="camel"
):
    """A saved mapping as somebody changes it: its name, and how files with its headers are read."""

    name: Annotated[str, msgspec.Meta(max_length=200, pattern=r"^[^\x00]*\S[^\x00]*$")]
    mapping: ImportMapping


class SavedMapping(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """A mapping that is kept.

    - `name`: that of its source.
    - `headers`: those of the files that it is for, in any order.
    - `mapping`: what `PUT /v1/imports/{importId}/mapping` takes.
    - `owner`: the user whose it is; null: nobody's.
    - `madeBy`: who saved it last.
    """

    id: UUID
    name: str
    headers: tuple[str, ...]
    mapping: ImportMapping
    owner: str | None
    made_by: str
    updated_at: datetime
