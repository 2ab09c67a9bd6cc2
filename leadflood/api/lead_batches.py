"""Batches: leads that many read or create at the same time share their statements."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from functools import partial
from uuid import UUID

from leadflood.api.http.batched_unit_of_work import BatchedUnitOfWork
from leadflood.api.http.request_context import Caller
from leadflood.api.services import ServiceSource
from leadflood.domain.lead_views.schemas import LeadPage
from leadflood.domain.leads.schemas.inputs import CreatedLead
from leadflood.domain.leads.service.creation import LeadOrder
from leadflood.domain.leads.service.insertion import LeadRequest
from leadflood.engine.db.batching import REDO, Batcher, Redo
from leadflood.engine.errors import Conflict, LeadfloodError
from leadflood.engine.queue.publisher import Publication


class LeadCreationBatch:
    """Creates the leads of a batch of requests; see `BatchedWork`."""

    def __init__(self, node: ServiceSource) -> None:
        self._node = node

    async def prepare(self, requests: Sequence[LeadRequest]) -> list[LeadRequest | LeadfloodError]:
        """Resolve the ICP that each request means."""
        return await self._node.services.lead_creation.resolve_icps(requests)

    async def commit(
        self, publication: Publication, requests: Sequence[LeadRequest]
    ) -> list[CreatedLead | Conflict | Redo]:
        """Create the leads; who shares a key with another of the batch is put into the next."""
        results = await self._node.services.lead_creation.create_many(publication, requests)
        return [result or REDO for result in results]


class LeadBatches:
    """Reads and creates leads, those of concurrent requests at once."""

    def __init__(self, node: ServiceSource) -> None:
        self._node = node
        self._reads: Batcher[UUID, LeadPage | None] = Batcher(
            lambda lead_ids, _: node.services.lead_pages.find_many(lead_ids)
        )
        self._creation: BatchedUnitOfWork[LeadRequest, CreatedLead] = BatchedUnitOfWork(
            lambda: node.services, CreatedLead, LeadCreationBatch(node)
        )

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Answer while the block runs."""
        async with self._reads.running(), self._creation.running():
            yield

    async def find(self, lead_id: UUID) -> LeadPage | None:
        """Find the page of a lead; of a merged one, that of its survivor."""
        return await self._reads.submit(lead_id)

    async def create(self, caller: Caller, order: LeadOrder) -> CreatedLead:
        """Create a lead with its run, its event and its first job; once for an Idempotency-Key.

        Raises: Invalid, NotFound, Conflict, HttpRefused.
        """
        return await self._creation.submit(
            caller, partial(self._node.services.lead_creation.read, order)
        )
