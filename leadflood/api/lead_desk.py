"""What many ask about leads at the same time, answered together."""

from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from functools import partial
from typing import TypeVar
from uuid import UUID

import msgspec

from leadflood.api.http.idempotency import find_many, record_many
from leadflood.api.http.request_context import Caller
from leadflood.api.lead_detail import LeadDetail, ShownScores, detail_of
from leadflood.api.lead_pages import LeadPage, LeadPages
from leadflood.api.services import Node
from leadflood.contracts.values import SendsPolicy
from leadflood.domain.leads.making import LeadRequest
from leadflood.domain.leads.schemas import LeadCreated, LeadInput
from leadflood.domain.leads.service import LeadService
from leadflood.domain.leads.writing import Prepared
from leadflood.domain.messages.schemas import MessageView
from leadflood.domain.overview.service import OverviewService
from leadflood.domain.scoring.service import ScoringService
from leadflood.domain.suppressions.schemas import NewOptIn, OptInView
from leadflood.engine.db.batching import REDO, Batcher, Policy, Redo
from leadflood.engine.db.tx import Tx
from leadflood.engine.errors import LeadfloodError
from leadflood.engine.queue import runs
from leadflood.engine.queue.publisher import Publication
from leadflood.engine.queue.runs import NewRun
from leadflood.engine.queue.stage import FollowUp


class LeadMade(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """A lead is in; `jobId` is its first step, `runId` the whole of its way."""

    lead_id: UUID
    job_id: UUID
    run_id: UUID


class Order(msgspec.Struct, frozen=True, kw_only=True):
    """A lead that a caller brings in; None as `icp_id` means the newest ICP.

    `providers` None: all may be asked; `cap_micros` None: the cap of the settings.
    """

    caller: Caller
    given: LeadInput
    icp_id: UUID | None
    sends: SendsPolicy
    providers: tuple[str, ...] | None
    cap_micros: int | None


class _Read(msgspec.Struct, frozen=True):
    """An order whose person has been read: that needs no transaction, so no batch waits for it."""

    order: Order
    prepared: Prepared
    opt_ins: tuple[NewOptIn, ...]


AgedT = TypeVar("AgedT", MessageView, OptInView)
Answer = LeadMade | Exception | Redo
IN_TURN = Policy(lanes=1, pause_ratio=0.4)
"""Two batches at once would be two halves that wait for each other's companies and fsyncs."""


class LeadDesk:
    """Reads leads, and brings leads in, for all who ask."""

    def __init__(self, node: Node) -> None:
        self._node = node
        self._scores = ShownScores()
        self._pages = LeadPages()
        self._reads: Batcher[UUID, LeadPage | None] = Batcher(
            lambda lead_ids, _: self._read(lead_ids)
        )
        self._orders: Batcher[_Read, LeadMade] = Batcher(
            lambda orders, _: self._bring_in(orders), IN_TURN
        )

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Answer while the block runs."""
        async with self._reads.running(), self._orders.running():
            yield

    async def find(self, lead_id: UUID) -> LeadPage | None:
        """Find all that is known of a lead; of a merged one, of its survivor."""
        return await self._reads.submit(lead_id)

    async def bring_in(self, order: Order) -> LeadMade:
        """Bring a lead in, with its run, its event and its first job; once for an Idempotency-Key.

        Raises: Invalid, NotFound, Conflict, HttpRefused.
        """
        in_flight = self._node.services.in_flight
        return await in_flight.share(order.caller, partial(self._ask, order))

    async def _ask(self, order: Order) -> LeadMade:
        services = self._node.services
        prepared = LeadService(services.ids, services.clock).prepare(order.given)
        values = {value.found.field: value.found.value for value in prepared.values}
        opt_ins = self._node.services.opt_ins.read_input(order.given, values)
        return await self._orders.submit(_Read(order, prepared, opt_ins))

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
        views = await LeadService(services.ids, services.clock).find_many(db, lead_ids)
        found = {view.id: view for view in views.values()}
        families = [(view.id, *(one.lead_id for one in view.merged)) for view in found.values()]
        everyone = [one for each in families for one in each]
        records = await OverviewService(db).records_of(families)
        scores = await self._scores.of(list(found), ScoringService(db))
        messages = await self._node.services.messages.list_by_lead(db, everyone)
        opt_ins = await self._node.services.opt_ins.list_by_lead(db, everyone)
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

    async def _bring_in(self, read: Sequence[_Read]) -> Sequence[Answer]:
        """Bring in a batch in one transaction: all that is not refused is there, or nothing."""
        orders = [one.order for one in read]
        icp_ids = await self._choose(orders)
        answers: dict[int, Answer] = {
            place: error for place, error in enumerate(icp_ids) if isinstance(error, Exception)
        }
        services = self._node.services
        async with self._node.services.publisher.transaction() as publication:
            tx = publication.tx
            callers = [order.caller for order in orders]
            answers |= await find_many(tx, callers, LeadMade, services.clock)
            fresh = {
                place: LeadRequest(
                    prepared=read[place].prepared,
                    icp_id=icp_id,
                    owner=_owner_by(callers[place]),
                    mine=_mine(callers[place]),
                )
                for place, icp_id in enumerate(icp_ids)
                if isinstance(icp_id, UUID) and place not in answers
            }
            made = await self._make(publication, orders, fresh)
            await self._record_opt_ins(tx, read, made)
            await record_many(
                tx,
                [(callers[place], one) for place, one in made.items() if isinstance(one, LeadMade)],
                services.clock,
            )
        answers |= made
        return [answers[place] for place in range(len(orders))]

    async def _choose(self, orders: Sequence[Order]) -> list[UUID | LeadfloodError]:
        """Tell the ICP version that each means: one question for all that say the same."""
        chosen: dict[UUID | None, UUID | LeadfloodError] = {}
        for icp_id in {order.icp_id for order in orders}:
            try:
                chosen[icp_id] = await self._node.services.icps.resolve_version(icp_id)
            except LeadfloodError as error:
                chosen[icp_id] = error
        return [chosen[order.icp_id] for order in orders]

    async def _make(
        self, publication: Publication, orders: Sequence[Order], fresh: dict[int, LeadRequest]
    ) -> dict[int, Answer]:
        """Make leads with their runs, events and jobs; tell what became of each place."""
        if not fresh:
            return {}
        services = self._node.services
        leads = LeadService(services.ids, services.clock)
        ends = await leads.create_many(publication.tx, list(fresh.values()))
        answers: dict[int, Answer] = {}
        created: dict[int, LeadCreated] = {}
        for place, end in zip(fresh, ends, strict=True):
            if isinstance(end, LeadCreated):
                created[place] = end
            else:
                answers[place] = end or REDO
        opened = [self._run_of(orders[place]) for place in created]
        await runs.create_many(publication.tx, opened, services.clock.now())
        jobs = await publication.publish_each(
            [
                FollowUp(
                    None,
                    event,
                    run_id=run.id,
                    request_id=orders[place].caller.request_id,
                    trace_parent=orders[place].caller.trace_parent,
                )
                for (place, event), run in zip(created.items(), opened, strict=True)
            ]
        )
        for (place, event), run, job_id in zip(created.items(), opened, jobs, strict=True):
            answers[place] = LeadMade(lead_id=event.lead_id, job_id=job_id, run_id=run.id)
        return answers

    async def _record_opt_ins(
        self, tx: Tx, read: Sequence[_Read], made: Mapping[int, Answer]
    ) -> None:
        """Write down what the people of new leads agreed to."""
        agreed = [
            (lead.lead_id, opt_in, read[place].order.caller.by)
            for place, lead in made.items()
            if isinstance(lead, LeadMade)
            for opt_in in read[place].opt_ins
        ]
        await self._node.services.opt_ins.add(tx, agreed)

    def _run_of(self, order: Order) -> NewRun:
        services = self._node.services
        budget = services.budget
        return NewRun(
            id=services.ids.new(),
            kind="lead",
            title="one lead by the API",
            sends=order.sends.value,
            providers=order.providers,
            cap_micros=budget.run_micros if order.cap_micros is None else order.cap_micros,
            lead_cap_micros=budget.lead_micros,
        )


def _newest_first(
    family: Iterable[UUID], of_lead: Mapping[UUID, Sequence[AgedT]]
) -> Sequence[AgedT]:
    """Join what there is of all leads that are one; an id is a time."""
    everything = [item for lead_id in family for item in of_lead.get(lead_id, ())]
    return sorted(everything, key=lambda item: item.id, reverse=True)


def _owner_by(caller: Caller) -> str | None:
    """Tell whose the leads are that a caller brings in; None: nobody's."""
    user_id = caller.principal.user_id
    return None if user_id is None else str(user_id)


def _mine(caller: Caller) -> str | None:
    """Tell whose leads a caller sees; None: all."""
    sees = caller.principal.sees_owner
    return None if sees is None else str(sees)
