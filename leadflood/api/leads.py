"""Leads over HTTP: bring one in, look at one."""

from http import HTTPStatus
from typing import Annotated
from uuid import UUID

import msgspec

from leadflood.api.edge import Caller, Node
from leadflood.api.icp import Icps
from leadflood.api.idempotency import remembered
from leadflood.api.lead_desk import LeadDesk
from leadflood.api.lead_detail import LeadDetail
from leadflood.api.route import Route
from leadflood.contracts.values import SendsPolicy
from leadflood.domain.leads.schemas import LeadInput
from leadflood.domain.leads.service import LeadService
from leadflood.engine.db.tx import Tx
from leadflood.engine.errors import Conflict, Invalid, NotFound
from leadflood.engine.queue import runs
from leadflood.engine.queue.runs import NewRun

Providers = tuple[Annotated[str, msgspec.Meta(max_length=40)], ...]
Cap = Annotated[int, msgspec.Meta(ge=0, le=10**15)]


class NewLead(LeadInput, frozen=True, kw_only=True, forbid_unknown_fields=True, rename="camel"):
    """A lead to bring in: enriched, scored and drafted for at once.

    `icpId` null means the newest ICP. `sends` says what may be sent for it, `providers` who may
    be asked (null: all), `capMicros` the most it may cost (null: the cap of the settings).
    """

    icp_id: UUID | None = None
    sends: SendsPolicy = SendsPolicy.HOLD
    providers: Providers | None = None
    cap_micros: Cap | None = None


class LeadMade(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """A lead is in; `jobId` is its first step, `runId` the whole of its way."""

    lead_id: UUID
    job_id: UUID
    run_id: UUID


class Leads:
    """The routes of leads."""

    def __init__(self, node: Node, icps: Icps, desk: LeadDesk) -> None:
        self._node = node
        self._icps = icps
        self._desk = desk

    @property
    def _leads(self) -> LeadService:
        return LeadService(self._node.storage.ids, self._node.storage.clock)

    def routes(self) -> tuple[Route, ...]:
        """List the rows of the table."""
        return (
            Route(
                method="POST", path="/v1/leads", handler=self.create, permission="leads:write",
                status=HTTPStatus.CREATED, errors=(Invalid, NotFound, Conflict),
                is_idempotent=True,
            ),
            Route(
                method="GET", path="/v1/leads/{leadId}", handler=self.get,
                permission="leads:read", errors=(NotFound,),
            ),
        )  # fmt: skip

    async def create(self, body: NewLead, caller: Caller) -> LeadMade:
        """Bring a lead in: one run of one lead, enriched and scored at once."""
        icp_id = await self._icps.choose(body.icp_id)
        storage = self._node.storage
        async with self._node.publisher.transaction() as publication:
            async with remembered(publication.tx, caller, LeadMade, storage.clock) as memory:
                if memory.answer is None:
                    run_id = await self._open_run(publication.tx, body)
                    event = await self._leads.create(publication.tx, body, icp_id)
                    (job_id,) = await publication.publish(
                        [event], run_id=run_id, request_id=caller.request_id
                    )
                    memory.answer = LeadMade(lead_id=event.lead_id, job_id=job_id, run_id=run_id)
            made: LeadMade = memory.answer
        return made

    async def _open_run(self, tx: Tx, body: NewLead) -> UUID:
        storage = self._node.storage
        budget = storage.settings.budget
        new = NewRun(
            id=storage.ids.new(),
            kind="lead",
            title="one lead by the API",
            sends=body.sends.value,
            providers=body.providers,
            cap_micros=budget.run_micros if body.cap_micros is None else body.cap_micros,
            lead_cap_micros=budget.lead_micros,
        )
        return await runs.create(tx, new, storage.clock.now())

    async def get(self, lead_id: UUID, caller: Caller) -> LeadDetail:
        """Show a lead: values, provenance, records, score with contributions, messages."""
        lead = await self._desk.find(lead_id)
        mine = caller.principal.sees_owner
        if lead is None or (mine is not None and lead.owner != str(mine)):
            raise NotFound(f"there is no lead {lead_id}", code="leads.not_found")
        return lead
