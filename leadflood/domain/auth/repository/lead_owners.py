"""Owners of leads and imports, read from the tables of other slices."""

from collections.abc import Mapping, Sequence
from uuid import UUID

from leadflood.domain.auth.repository.statements import SQL
from leadflood.engine.db.tx import Reader


async def list_lead_owners(db: Reader, ids: Sequence[UUID]) -> Mapping[UUID, str]:
    """Return the owners of leads and imports by id; a merged lead has its survivor's owner.

    What nobody owns, and what is neither lead nor import, is left out.
    """
    if not ids:
        return {}
    rows = await db.fetch(SQL.list_lead_owners, ids=list(ids))
    return {row["id"]: row["owner"] for row in rows}
