"""What many ask about leads at the same time, answered together."""

from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from functools import partial
from typing import TypeVar
from uuid import UUID

from leadflood.api.http.batched_unit_of_work import BatchedUnitOfWork
from leadflood.api.http.request_context import Caller
from leadflood.api.lead_detail import LeadDetail, ShownScores, detail_of
from leadflood.api.lead_pages import LeadPage, LeadPages
from leadflood.api.services import Node
from leadflood.domain.leads.schemas import LeadMade
from leadflood.domain.leads.service.creation import LeadOrder
from leadflood.domain.leads.service.insertion import LeadRequest
from leadflood.domain.messaging.schemas import MessageView, OptInView
from leadflood.domain.overview.service import OverviewService
from leadflood.domain.scoring.service import ScoringService
from leadflood.engine.db.batching import REDO, Batcher, Redo
from leadflood.engine.db.tx import Tx
from leadflood.engine.errors import Conflict, LeadfloodError
from leadflood.engine.queue.publisher import Publication

AgedT = TypeVar("AgedT", MessageView, OptInView)


class LeadBatches:
    """Creates the leads of a batch of requests; see `BatchedWork`."""

    def __init__(self, node: Node) -> None:
        self._node = node

    async def prepare(self, requests: Sequence[LeadRequest]) -> list[LeadRequest | LeadfloodError]:
        """Resolve the ICP that each request means."""
        return await self._node.services.lead_creation.resolve_icps(requests)

    async def commit(
        self, publication: Publication, requests: Sequence[LeadRequest]
    ) -> list[LeadMade | Conflict | Redo]:
        """Create the leads; who shares a key with another of the batch is put into the next."""
        results = await self._node.services.lead_creation.create_many(publication, requests)
        return [result or REDO for result in results]


class LeadDesk:
    """Reads leads and creates leads, many at once, for all who ask at the same time."""

    def __init__(self, node: Node) -> None:
        self._node = node
        self._scores = ShownScores()
        self._pages = LeadPages()
        self._reads: Batcher[UUID, LeadPage | None] = Batcher(
            lambda lead_ids, _: self._read(lead_ids)
        )
        self._creation: BatchedUnitOfWork[LeadRequest, LeadMade] = BatchedUnitOfWork(
            lambda: node.services, LeadMade, LeadBatches(node)
        )

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Answer while the block runs."""
        async with self._reads.running(), self._creation.running():
            yield

    async def find(self, lead_id: UUID) -> LeadPage | None:
        """Find all that is known of a lead; of a merged one, of its survivor."""
        return await self._reads.submit(lead_id)

    async def create(self, caller: Caller, order: LeadOrder) -> LeadMade:
        """Create a lead with its run, its event and its first job; once for an Idempotency-Key.

        Raises: Invalid, NotFound, Conflict, HttpRefused.
        """
        return await self._creation.submit(
            caller, partial(self._node.services.lead_creation.read, order)
        )

    async def _read(self, lead_ids: Sequence[UUID]) -> Sequence[LeadPage | None]:
        """Read a batch: one statement where nothing has changed since, else five more for all."""
        async with self._node.services.db.session() as db:
            marks = await OverviewService(db).marks_of(lead_ids)
            pages, changed = self._pages.find(marks)
            if changed:
                pages |= self._pages.keep(marks, await self._put_together(db, changed))
        return [pages.get(one) for one in lead_ids]

    async def _put_together(self, db: Tx, lead_ids: Sequence[UUID]) -> dict[UUID, LeadDetail]:
        services = self._node.services
        views = await services.leads.find_many(db, lead_ids)
        found = {view.id: view for view in views.values()}
        families = [(view.id, *(one.lead_id for one in view.merged)) for view in found.values()]
        everyone = [one for each in families for one in each]
        records = await OverviewService(db).records_of(families)
        scores = await self._scores.of(list(found), ScoringService(db))
        messages = await self._node.services.messaging.messages_of(db, everyone)
        opt_ins = await self._node.services.messaging.opt_ins.list_of(db, everyone)
        details = {}
        for view, family, asked in zip(found.values(), families, records, strict=True):
            details[view.id] = detail_of(
                view,
                asked,
                scores.get(view.id),
                messages=_newest_first(family, messages),
                opt_ins=_newest_first(family, opt_ins),
            )
        return {asked: details[view.id] for asked, view in views.items()}


def _newest_first(
    family: Iterable[UUID], of_lead: Mapping[UUID, Sequence[AgedT]]
) -> Sequence[AgedT]:
    """Join what there is of all leads that are one; an id is a time."""
    everything = [item for lead_id in family for item in of_lead.get(lead_id, ())]
    return sorted(everything, key=lambda item: item.id, reverse=True)
