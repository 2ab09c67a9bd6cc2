"""Creating leads: many requests in one transaction, each a new lead with its run, or refused.

What is refused leaves nothing behind, and hurts no other request.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Protocol
from uuid import UUID

import msgspec

from leadflood.contracts.values import FieldName, SendsPolicy
from leadflood.domain.icp.service.icps import IcpService
from leadflood.domain.leads.schemas.events import LeadCreated
from leadflood.domain.leads.schemas.inputs import CreatedLead, LeadInput
from leadflood.domain.leads.service.hidden_leads import HiddenLeadLimit
from leadflood.domain.leads.service.insertion import (
    HIDDEN,
    CreateResult,
    LeadRequest,
    Requester,
    create_leads,
    read_lead,
)
from leadflood.domain.runs.schemas import RunLimits
from leadflood.domain.runs.service.runs import RunService
from leadflood.engine.clock import Clock
from leadflood.engine.db.tx import Tx
from leadflood.engine.errors import Conflict, LeadfloodError
from leadflood.engine.ids import Ids
from leadflood.engine.queue.publisher import Publication
from leadflood.engine.queue.stage import FollowUp


class LeadOrder(msgspec.Struct, frozen=True, kw_only=True):
    """A lead to create, as a caller asks for it; see `LeadRequest`."""

    input: LeadInput
    icp_id: UUID | None
    sends: SendsPolicy
    providers: tuple[str, ...] | None
    cap_micros: int | None
    requester: Requester


class OptInRecorder(Protocol):
    """Reads and keeps the agreements that come with new leads."""

    def read_input(self, lead: LeadInput, values: Mapping[FieldName, object], /) -> tuple[Any, ...]:
        """Read the agreements of a lead with these values. Raises: Invalid, NotConfigured."""

    async def add(self, tx: Tx, agreed: Sequence[tuple[UUID, Any, str]], /) -> Sequence[UUID]:
        """Record agreements; each comes as (lead, agreement, who recorded it)."""


class OptOutRecorder(Protocol):
    """Reads and keeps what the people of new leads said no to."""

    def read_input(
        self, lead: LeadInput, values: Mapping[FieldName, object], by: str, /
    ) -> tuple[Any, ...]:
        """Read what a person with these values said no to."""

    async def add(self, tx: Tx, refused: Sequence[tuple[UUID | None, Any]], /) -> None:
        """Suppress people; each comes as (lead, what it said no to), None for a lead of before."""


class LeadConsent(msgspec.Struct, frozen=True):
    """Who reads and keeps what is said of consent with new leads."""

    opt_ins: OptInRecorder
    opt_outs: OptOutRecorder


class LeadCreation:
    """The use case of creating leads, for many requests at once."""

    def __init__(
        self, icps: IcpService, consent: LeadConsent, runs: RunService, ids: Ids, clock: Clock
    ) -> None:
        self._icps = icps
        self._opt_ins = consent.opt_ins
        self._opt_outs = consent.opt_outs
        self._runs = runs
        self._ids = ids
        self._clock = clock
        self._hidden = HiddenLeadLimit(clock)

    def read(self, order: LeadOrder) -> LeadRequest:
        """Read an order, before any transaction. Raises: Invalid with the fields, Throttled."""
        self._hidden.require(order.requester.visibility)
        prepared = read_lead(order.input, self._clock.now())
        values = {value.found.field: value.found.value for value in prepared.values}
        return LeadRequest(
            prepared=prepared,
            icp_id=order.icp_id,
            sends=order.sends,
            providers=order.providers,
            cap_micros=order.cap_micros,
            opt_ins=self._opt_ins.read_input(order.input, values),
            opt_outs=self._opt_outs.read_input(order.input, values, order.requester.by),
            requester=order.requester,
        )

    async def resolve_icps(
        self, requests: Sequence[LeadRequest]
    ) -> list[LeadRequest | LeadfloodError]:
        """Return the ICP version of each request, or why there is none.

        Equal wishes are looked up once. Call it before the transaction: it takes a connection.
        """
        versions: dict[UUID | None, UUID | LeadfloodError] = {}
        for icp_id in {request.icp_id for request in requests}:
            try:
                versions[icp_id] = await self._icps.resolve_version(icp_id)
            except LeadfloodError as error:
                versions[icp_id] = error
        return [_with_icp(request, versions[request.icp_id]) for request in requests]

    async def create_many(
        self, publication: Publication, requests: Sequence[LeadRequest]
    ) -> list[CreatedLead | Conflict | None]:
        """Create leads with their runs, events, jobs and opt-ins; return each request's result.

        None: it came together with another of the same keys; ask again after this transaction.
        """
        if not requests:
            return []
        results = await create_leads(publication.tx, requests, self._ids, self._clock.now())
        created = [
            (request, result)
            for request, result in zip(requests, results, strict=True)
            if isinstance(result, LeadCreated)
        ]
        for request, result in zip(requests, results, strict=True):
            if isinstance(result, Conflict) and result.detail == HIDDEN:
                self._hidden.record(request.requester.visibility)
        started = await self._start(publication, created)
        await self._record_opt_ins(publication.tx, created)
        await self._record_opt_outs(publication.tx, requests, results)
        return [
            started[result.lead_id] if isinstance(result, LeadCreated) else result
            for result in results
        ]

    async def _start(
        self, publication: Publication, created: Sequence[tuple[LeadRequest, LeadCreated]]
    ) -> dict[UUID, CreatedLead]:
        """Open a run for each new lead and publish its event."""
        if not created:
            return {}
        run_ids = await self._runs.open_runs(
            publication.tx,
            "lead",
            [_limits_of(request) for request, _ in created],
            title="one lead by the API",
        )
        job_ids = await publication.publish_each(
            [
                _follow_up(request, event, run_id)
                for (request, event), run_id in zip(created, run_ids, strict=True)
            ]
        )
        return {
            event.lead_id: CreatedLead(lead_id=event.lead_id, job_id=job_id, run_id=run_id)
            for (_, event), run_id, job_id in zip(created, run_ids, job_ids, strict=True)
        }

    async def _record_opt_outs(
        self, tx: Tx, requests: Sequence[LeadRequest], results: Sequence[CreateResult]
    ) -> None:
        """Suppress who said no, the person where the lead is new, the addresses in any case."""
        refused = [
            (result.lead_id if isinstance(result, LeadCreated) else None, opt_out)
            for request, result in zip(requests, results, strict=True)
            if result is not None
            for opt_out in request.opt_outs
        ]
        if refused:
            await self._opt_outs.add(tx, refused)

    async def _record_opt_ins(
        self, tx: Tx, created: Sequence[tuple[LeadRequest, LeadCreated]]
    ) -> None:
        agreed = [
            (event.lead_id, opt_in, request.requester.by)
            for request, event in created
            for opt_in in request.opt_ins
        ]
        await self._opt_ins.add(tx, agreed)


def _with_icp(request: LeadRequest, version: UUID | LeadfloodError) -> LeadRequest | LeadfloodError:
    if isinstance(version, LeadfloodError):
        return version
    return msgspec.structs.replace(request, icp_id=version)


def _limits_of(request: LeadRequest) -> RunLimits:
    return RunLimits(
        sends=request.sends,
        providers=request.providers,
        cap_micros=request.cap_micros,
        opener=request.requester.opener,
    )


def _follow_up(request: LeadRequest, event: LeadCreated, run_id: UUID) -> FollowUp:
    return FollowUp(
        None,
        event,
        run_id=run_id,
        request_id=request.requester.request_id,
        trace_parent=request.requester.trace_parent,
    )
