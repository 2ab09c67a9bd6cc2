"""Finding an import that the caller may see."""

from uuid import UUID

from leadflood.domain.auth.schemas.principals import Visibility
from leadflood.domain.imports.repository import imports
from leadflood.domain.imports.repository.imports import LockedImport
from leadflood.domain.imports.schemas.views import ImportState, ImportView
from leadflood.engine.db.tx import Reader, Tx
from leadflood.engine.errors import Conflict, NotFound

NOT_STARTED = frozenset({ImportState.UPLOADED, ImportState.MAPPED})


async def get_import(db: Reader, import_id: UUID, visibility: Visibility) -> ImportView:
    """Return an import. Raises: NotFound, also when it is hidden from the caller."""
    view = (await imports.find_imports(db, [import_id], visibility)).get(import_id)
    if view is None:
        raise _not_found(import_id)
    return view


async def lock_import(tx: Tx, import_id: UUID, visibility: Visibility) -> LockedImport:
    """Lock an import until the end of the transaction. Raises: NotFound as `get_import`."""
    locked = await imports.lock_import(tx, import_id, visibility)
    if locked is None:
        raise _not_found(import_id)
    return locked


def require_not_started(view: ImportView, advice: str) -> None:
    """Refuse an import that was started; `advice` says what to do. Raises: Conflict."""
    if view.state not in NOT_STARTED:
        raise Conflict(f"the import is {view.state.value}: {advice}", code="leads.import.started")


def _not_found(import_id: UUID) -> NotFound:
    return NotFound(f"there is no import {import_id}", code="leads.import.not_found")
