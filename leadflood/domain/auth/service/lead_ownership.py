"""Lead ownership: the owners of leads and imports, for those who see only their own."""

from collections.abc import Mapping, Sequence
from uuid import UUID

from leadflood.domain.auth.repository.lead_owners import list_lead_owners
from leadflood.engine.db.tx import Reader


class LeadOwnership:
    """Looks owners up, many at once."""

    def __init__(self, db: Reader) -> None:
        self._db = db

    async def find_owners(self, ids: Sequence[UUID]) -> Mapping[UUID, str]:
        """Return the owners of leads and imports by id; what nobody owns is left out."""
        return await list_lead_owners(self._db, ids)
