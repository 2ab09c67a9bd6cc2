"""Lifting what an import wrote onto the suppression list: the way back of a wrong mapping."""

from uuid import UUID

from leadflood.domain.auth.schemas.principals import Visibility
from leadflood.domain.imports.schemas.views import ImportState
from leadflood.domain.imports.service.lookup import lock_import
from leadflood.domain.suppressions.schemas import LiftedOfImport
from leadflood.domain.suppressions.service.suppressions import SuppressionService
from leadflood.engine.db.tx import Tx
from leadflood.engine.errors import Conflict


class ImportLifts:
    """The use case of who finds that a column said no such thing."""

    def __init__(self, suppressions: SuppressionService) -> None:
        self._suppressions = suppressions

    async def lift(
        self, tx: Tx, import_id: UUID, visibility: Visibility, by: str
    ) -> LiftedOfImport:
        """Take off the list what the import's file alone says, 10,000 lines at most.

        Waits: for the part of the import that is being written. Raises: NotFound; Conflict while
        the import goes on.
        """
        view = (await lock_import(tx, import_id, visibility)).view
        if view.state is ImportState.RUNNING:
            raise Conflict(
                "the import is running, and goes on to write what its rows say: wait until it is"
                " through, or undo it",
                code="leads.import.running",
            )
        return await self._suppressions.lift_of_import(tx, import_id, by)
