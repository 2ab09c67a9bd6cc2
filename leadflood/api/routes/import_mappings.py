"""Saved mappings over HTTP: how the files of a source are read, proposed when one arrives."""

from collections.abc import Sequence
from http import HTTPStatus
from uuid import UUID

from leadflood.api.http.request_context import Caller
from leadflood.api.http.routing import delete, get, post, put
from leadflood.api.http.unit_of_work import UnitOfWork
from leadflood.api.routes.imports import importer_of
from leadflood.api.services import Services
from leadflood.domain.imports.schemas.saved_mappings import (
    NewSavedMapping,
    SavedMapping,
    SavedMappingInput,
)
from leadflood.engine.errors import Conflict, Invalid, NotFound


@get("/v1/import-mappings", permission="leads:import")
async def list_saved_mappings(caller: Caller, services: Services) -> Sequence[SavedMapping]:
    """List the saved mappings by name, at most 1,000."""
    return await services.saved_mappings.list(caller.visibility)


@post(
    "/v1/import-mappings",
    permission="leads:import",
    status=HTTPStatus.CREATED,
    errors=(NotFound, Conflict),
)
async def save_mapping(
    body: NewSavedMapping, caller: Caller, services: Services, uow: UnitOfWork
) -> SavedMapping:
    """Save how an import is read under the name of its source; one of the same name is replaced.

    An upload with the same headers, in any order, shows it as `savedMapping`.
    """
    return await services.saved_mappings.save(uow.tx, body, importer_of(caller))


@put(
    "/v1/import-mappings/{mappingId}",
    permission="leads:import",
    errors=(Invalid, NotFound, Conflict),
)
async def change_saved_mapping(
    mapping_id: UUID, body: SavedMappingInput, caller: Caller, services: Services, uow: UnitOfWork
) -> SavedMapping:
    """Change the name of a saved mapping and how files with its headers are read.

    What was imported by it stays.
    """
    return await services.saved_mappings.replace(uow.tx, mapping_id, body, importer_of(caller))


@delete("/v1/import-mappings/{mappingId}", permission="leads:import", errors=(NotFound,))
async def delete_saved_mapping(
    mapping_id: UUID, caller: Caller, services: Services, uow: UnitOfWork
) -> None:
    """Delete a saved mapping; what was imported by it stays."""
    await services.saved_mappings.delete(uow.tx, mapping_id, caller.visibility)
