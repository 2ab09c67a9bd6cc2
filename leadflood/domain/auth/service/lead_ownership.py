"""Whose things are: what those who see only their own leads may be told."""

from collections.abc import Mapping, Sequence
from uuid import UUID

from leadflood.domain.auth.repository.statements import SQL
from leadflood.engine.db.tx import Reader


class Sight:
    """Looks owners up, many at once."""

    def __init__(self, db: Reader) -> None:
        self._db = db

    async def find_owners(self, ids: Sequence[UUID]) -> Mapping[UUID, str]:
        """Tell who owns these leads and imports; a merged lead is whose its survivor is.

        What nobody owns, and what is neither, is left out.
        """
        if not ids:
            return {}
        rows = await self._db.fetch(SQL.find_thing_owners, ids=list(ids))
        return {row["id"]: row["owner"] for row in rows}
