"""Saved mappings: keep how a source's files are read, and find it by the headers of a file."""

from collections.abc import Sequence
from uuid import UUID

import msgspec

from leadflood.domain.auth.schemas.principals import Visibility
from leadflood.domain.imports.repository import saved_mappings
from leadflood.domain.imports.rules.file_columns import columns_of_headers
from leadflood.domain.imports.rules.fingerprints import fingerprint_of
from leadflood.domain.imports.rules.mapping_check import check_mapping
from leadflood.domain.imports.schemas.mappings import Importer
from leadflood.domain.imports.schemas.saved_mappings import (
    NewSavedMapping,
    SavedMapping,
    SavedMappingInput,
)
from leadflood.domain.imports.service.lookup import get_import
from leadflood.engine.clock import Clock
from leadflood.engine.db.tx import Reader, Tx
from leadflood.engine.errors import Conflict, NotFound
from leadflood.engine.ids import Ids

MOST_OF_OWNER = 200


class SavedMappings:
    """The use cases of saved mappings."""

    def __init__(self, db: Reader, ids: Ids, clock: Clock) -> None:
        self._db = db
        self._ids = ids
        self._clock = clock

    async def list(self, visibility: Visibility) -> Sequence[SavedMapping]:
        """List the mappings that somebody sees, by name."""
        return await saved_mappings.list_all(self._db, visibility)

    async def get(self, saved_id: UUID, visibility: Visibility) -> SavedMapping:
        """Return a mapping that somebody sees. Raises: NotFound."""
        for saved in await self.list(visibility):
            if saved.id == saved_id:
                return saved
        raise _not_found(saved_id)

    async def save(self, tx: Tx, new: NewSavedMapping, importer: Importer) -> SavedMapping:
        """Save how an import is read under a name; one's own of the same name is replaced.

        Raises: NotFound; Conflict when there are too many, or it is not mapped yet.
        """
        view = await get_import(tx, new.import_id, importer.visibility)
        if view.mapping is None:
            raise Conflict(
                "this import is read as guessed: map its columns first",
                code="imports.mapping.missing",
            )
        if await saved_mappings.count(tx, importer.owner) >= MOST_OF_OWNER:
            raise Conflict(
                f"{MOST_OF_OWNER} mappings of yours are saved: delete one first",
                code="imports.mapping.too_many",
            )
        saved = SavedMapping(
            id=self._ids.new(),
            name=new.name.strip(),
            headers=tuple(column.header for column in view.columns),
            mapping=view.mapping,
            owner=importer.owner,
            made_by=importer.by,
            updated_at=self._clock.now(),
        )
        saved_id = await saved_mappings.record(
            tx, saved, fingerprint_of(view.columns), saved.updated_at
        )
        return msgspec.structs.replace(saved, id=saved_id)

    async def replace(
        self, tx: Tx, saved_id: UUID, changed: SavedMappingInput, importer: Importer
    ) -> SavedMapping:
        """Change the name and the mapping of one; its headers stay.

        Raises: NotFound; Invalid where the mapping does not fit its headers; Conflict where
        another has the name.
        """
        taken = await saved_mappings.take(tx, saved_id, importer.visibility)
        if taken is None:
            raise _not_found(saved_id)
        saved, fingerprint = taken
        check_mapping(columns_of_headers(saved.headers), changed.mapping, importer)
        now = self._clock.now()
        saved = msgspec.structs.replace(
            saved,
            name=changed.name.strip(),
            mapping=importer.complete(changed.mapping),
            made_by=importer.by,
            updated_at=now,
        )
        if not await saved_mappings.put(tx, saved, fingerprint, now):
            raise Conflict(
                f"there is another saved mapping {saved.name!r}: choose another name",
                code="imports.mapping.name_taken",
            )
        return saved

    async def delete(self, tx: Tx, saved_id: UUID, visibility: Visibility) -> None:
        """Delete a mapping; what was imported by it stays. Raises: NotFound."""
        if not await saved_mappings.delete(tx, saved_id, visibility):
            raise _not_found(saved_id)


def _not_found(saved_id: UUID) -> NotFound:
    return NotFound(f"there is no saved mapping {saved_id}", code="imports.mapping.not_found")
