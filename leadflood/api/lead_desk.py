"""What many ask about leads at the same time, answered together."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from uuid import UUID

from leadflood.api.edge import Node
from leadflood.api.lead_detail import LeadDetail, detail_of, show_score
from leadflood.domain.leads.service import LeadService
from leadflood.domain.overview.service import OverviewService
from leadflood.engine.db.grouped import Grouped


class LeadDesk:
    """Reads leads for all who ask."""

    def __init__(self, node: Node) -> None:
        self._node = node
        self._reads: Grouped[UUID, LeadDetail | None] = Grouped(self._read)

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Answer while the block runs."""
        async with self._reads.running():
            yield

    async def find(self, lead_id: UUID) -> LeadDetail | None:
        """Find all that is known of a lead; of a merged one, of its survivor."""
        return await self._reads.ask(lead_id)

    async def _read(self, lead_ids: Sequence[UUID]) -> Sequence[LeadDetail | None]:
        """Read a batch: four statements, however many leads."""
        node, storage = self._node, self._node.storage
        views = await LeadService(storage.ids, storage.clock).find_many(storage.db, lead_ids)
        found = {view.id: view for view in views.values()}
        families = [(view.id, *(one.lead_id for one in view.merged)) for view in found.values()]
        records = await OverviewService(storage.db).records_of(families)
        scores = await storage.scores.scores_of(list(found))
        messages = await node.messaging.messages_of([one for each in families for one in each])
        details = {}
        for view, family, asked in zip(found.values(), families, records, strict=True):
            score = scores.get(view.id)
            told = [message for one in family for message in messages.get(one, ())]
            details[view.id] = detail_of(
                view,
                asked,
                None if score is None else show_score(score, storage.scores),
                sorted(told, key=lambda message: message.id, reverse=True),
            )
        return [details[views[one].id] if one in views else None for one in lead_ids]
