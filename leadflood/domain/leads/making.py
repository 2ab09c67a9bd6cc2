"""Creating leads: the one writer of new rows, and the requests of people who name a new lead.

Many requests share one transaction. Each is a new person or is refused; what is refused leaves
nothing behind, and hurts no other.
"""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from uuid import UUID

import msgspec

from leadflood.domain.leads import search
from leadflood.domain.leads.reading import survivors
from leadflood.domain.leads.schemas import (
    API_SOURCE,
    IdentityKey,
    LeadCreated,
    LeadState,
    LeadStatus,
)
from leadflood.domain.leads.settling import claim_keys
from leadflood.domain.leads.states import read_states
from leadflood.domain.leads.writing import Prepared, write_companies, write_values
from leadflood.engine.db.sql import load_queries
from leadflood.engine.db.tx import Tx
from leadflood.engine.errors import Conflict
from leadflood.engine.ids import Ids

SQL = load_queries(__file__)

CreateResult = LeadCreated | Conflict | None
"""None: it shares a key with one before it in the same batch; whose it is shows afterwards."""


class LeadRequest(msgspec.Struct, frozen=True, kw_only=True):
    """A lead that somebody brings in.

    - `prepared`: what is said of the person, with the keys that tell who it is.
    - `icp_id`: the ICP version to score for.
    - `owner`: whose the lead becomes; None: nobody's.
    - `mine`: the only owner whose leads the caller sees, so of no other is told; None: all.
    """

    prepared: Prepared
    icp_id: UUID
    owner: str | None = None
    mine: str | None = None


class NewLead(msgspec.Struct, frozen=True, kw_only=True):
    """A row to be, with all that is said of the lead so far; `owner` None: nobody's."""

    id: UUID
    source: str
    status: LeadStatus
    prepared: Sequence[Prepared]
    owner: str | None = None

    @property
    def employer(self) -> Prepared | None:
        """The word on where the lead works that weighs most; None: nothing is said of it."""
        employers = [one for one in self.prepared if one.company_rank is not None]
        return max(employers, key=lambda one: one.company_rank or 0.0, default=None)


async def create_leads(
    tx: Tx, requests: Sequence[LeadRequest], ids: Ids, now: datetime
) -> list[CreateResult]:
    """Create leads of people who are not in yet; return the result of each request, in order.

    Waits: for another transaction that brings one of them, until it ends.
    """
    lead_ids = ids.take(len(requests))
    new = _without_shared_keys(zip(lead_ids, requests, strict=True))
    claims = {key: lead_id for lead_id, request in new.items() for key in request.prepared.keys}
    refused = await _refuse_known(tx, new, await claim_keys(tx, claims))
    fresh = {lead_id: request for lead_id, request in new.items() if lead_id not in refused}
    if fresh:
        await _write(tx, fresh, ids, now)
    results: dict[UUID, CreateResult] = {
        lead_id: LeadCreated(lead_id, request.icp_id) for lead_id, request in fresh.items()
    }
    results.update(refused)
    return [results.get(lead_id) for lead_id in lead_ids]


async def add_leads(tx: Tx, leads: Sequence[NewLead], now: datetime) -> None:
    """Write the rows of new leads, with what lists show of them and the words that find them."""
    employers = [lead.employer for lead in leads]
    await tx.execute(
        SQL.add_leads,
        ids=[lead.id for lead in leads],
        statuses=[lead.status.value for lead in leads],
        sources=[lead.source for lead in leads],
        company_ids=[employer and employer.company_id for employer in employers],
        company_ranks=[employer and employer.company_rank for employer in employers],
        owners=[lead.owner for lead in leads],
        **search.columns_of([search.shown_of_new(lead.prepared) for lead in leads]),
        now=now,
    )


def _without_shared_keys(requests: Iterable[tuple[UUID, LeadRequest]]) -> dict[UUID, LeadRequest]:
    """Leave out requests that share a key with one before them."""
    new: dict[UUID, LeadRequest] = {}
    seen: set[IdentityKey] = set()
    for lead_id, request in requests:
        if seen.isdisjoint(request.prepared.keys):
            seen.update(request.prepared.keys)
            new[lead_id] = request
    return new


async def _refuse_known(
    tx: Tx, new: Mapping[UUID, LeadRequest], taken: Mapping[IdentityKey, UUID]
) -> dict[UUID, Conflict]:
    """Refuse who is a lead already, and give back the other keys that were claimed for them."""
    if not taken:
        return {}
    survivor_of = await survivors(tx, taken.values())
    states = await read_states(tx, survivor_of.values())
    refused: dict[UUID, Conflict] = {}
    for lead_id, request in new.items():
        owners = [taken[key] for key in request.prepared.keys if key in taken]
        ends = [survivor_of[owner] for owner in owners if owner in survivor_of]
        existing = [states[end] for end in ends if end in states]
        if existing:
            refused[lead_id] = _exists(existing[0], request.mine)
    if refused:
        await tx.execute(SQL.withdraw_claims, lead_ids=list(refused))
    return refused


def _exists(lead: LeadState, mine: str | None) -> Conflict:
    """Say who it is already; `mine` not None: only where that lead is this owner's."""
    if mine is not None and lead.owner != mine:
        return Conflict(
            "this person is a lead of somebody else already: ask a manager",
            code="leads.lead.exists",
        )
    if lead.deleted_at is not None:
        return Conflict(
            f"this person is lead {lead.id}, which was deleted: bring it back with "
            f"PUT /v1/leads/{lead.id}/restoration",
            code="leads.lead.deleted",
        )
    return Conflict(
        f"this person is lead {lead.id} already: look at GET /v1/leads/{lead.id}",
        code="leads.lead.exists",
    )


async def _write(tx: Tx, new: Mapping[UUID, LeadRequest], ids: Ids, now: datetime) -> None:
    await write_companies(tx, [request.prepared for request in new.values()], now)
    rows = [
        NewLead(
            id=lead_id,
            source=API_SOURCE,
            status=LeadStatus.PROCESSING,
            prepared=(request.prepared,),
            owner=request.owner,
        )
        for lead_id, request in new.items()
    ]
    await add_leads(tx, rows, now)
    values = [(lead_id, request.prepared) for lead_id, request in new.items()]
    await write_values(tx, values, ids, now)
