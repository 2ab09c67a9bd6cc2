"""Inserting new leads as sets: who is known already is refused in their place."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

import msgspec

from leadflood.contracts.values import SendsPolicy
from leadflood.domain.auth.schemas.principals import EVERYTHING, Visibility
from leadflood.domain.leads.repository.field_values import add_companies, insert_values
from leadflood.domain.leads.repository.identity_keys import (
    claim_keys,
    release_keys_of_leads,
    share_keys,
)
from leadflood.domain.leads.repository.lead_rows import find_states
from leadflood.domain.leads.repository.leads import LeadRow, add_leads
from leadflood.domain.leads.rules.identity import identity_keys, names_in
from leadflood.domain.leads.rules.identity_graph import Bearer, make_bearer
from leadflood.domain.leads.rules.lead_input import as_values, normalize_input
from leadflood.domain.leads.rules.prepared_values import PreparedValues, prepare_values
from leadflood.domain.leads.schemas.events import LeadCreated
from leadflood.domain.leads.schemas.identity import API_SOURCE, IdentityKey
from leadflood.domain.leads.schemas.inputs import LeadInput
from leadflood.domain.leads.schemas.lead_states import LeadState, LeadStatus
from leadflood.domain.leads.service.resolving import resolve
from leadflood.domain.runs.schemas import RunOpener
from leadflood.engine.db.tx import Tx
from leadflood.engine.errors import Bug, Conflict, FieldProblem, Invalid
from leadflood.engine.ids import Ids

_IDENTIFYING = (
    "give an e-mail, a LinkedIn address, a name with the company's domain, its name or a phone, or"
    " a company's domain, or its name with a city, a country or a phone"
)
HIDDEN = "this person is a lead of somebody else already: ask a manager"
CreateResult = LeadCreated | Conflict | None
"""None: it is the person of another request of the same batch; whose that is shows afterwards."""


class Requester(msgspec.Struct, frozen=True, kw_only=True):
    """The requester of a new lead.

    - `by`: who this is where an act is recorded.
    - `owner`: whose the lead becomes; None: nobody's.
    - `visibility`: which leads they see; a refusal names no other.
    - `opener`: whose its run is.
    - `request_id`, `trace_parent`: the request, as its jobs name it.
    """

    by: str = ""
    owner: str | None = None
    visibility: Visibility = EVERYTHING
    opener: RunOpener = RunOpener()
    request_id: str | None = None
    trace_parent: str | None = None


class LeadRequest(msgspec.Struct, frozen=True, kw_only=True):
    """A lead to create, read and checked.

    - `prepared`: the values of the person, with their identity keys.
    - `icp_id`: the ICP version to score for; None: the newest.
    - `sends`, `providers`, `cap_micros`: what its run may do; None: all, and the default cap.
    - `opt_ins`, `opt_outs`: what the person agreed and said no to, as those who keep it read it.
    """

    prepared: PreparedValues
    icp_id: UUID | None = None
    sends: SendsPolicy = SendsPolicy.HOLD
    providers: tuple[str, ...] | None = None
    cap_micros: int | None = None
    opt_ins: tuple[Any, ...] = ()
    opt_outs: tuple[Any, ...] = ()
    requester: Requester = Requester()


def read_lead(lead: LeadInput, now: datetime) -> PreparedValues:
    """Read what a caller says of a person. Raises: Invalid with the fields."""
    fields, problems = normalize_input(lead)
    values = as_values(lead, fields, now)
    keys = identity_keys(values)
    if not problems and not keys:
        problems = (FieldProblem("email", _IDENTIFYING),)
    if problems:
        raise Invalid.of(problems, prefix="the lead cannot be created")
    return prepare_values(values, keys)


async def create_leads(
    tx: Tx, requests: Sequence[LeadRequest], ids: Ids, now: datetime
) -> list[CreateResult]:
    """Create leads of people who are not in yet; return the result of each request, in order.

    A Conflict stands in the place of a known person.
    Waits: for another transaction that brings one of them, until it ends.
    """
    lead_ids = ids.take(len(requests))
    new = dict(zip(lead_ids, requests, strict=True))
    claims = _claims_of(new)
    held_by = await claim_keys(tx, claims)
    refused = await _refuse_known(tx, new, claims, held_by)
    fresh = {lead_id: request for lead_id, request in new.items() if lead_id not in refused}
    if refused or held_by:
        await release_keys_of_leads(tx, refused)
        claims = _claims_of(fresh)
        held_by = await claim_keys(tx, claims)
    await share_keys(tx, _list_borne(fresh, claims, held_by))
    if fresh:
        await _write(tx, fresh, ids, now)
    results: dict[UUID, CreateResult] = {
        lead_id: LeadCreated(lead_id, _icp_of(request)) for lead_id, request in fresh.items()
    }
    results.update(refused)
    return [results[lead_id] for lead_id in lead_ids]


def _icp_of(request: LeadRequest) -> UUID:
    if request.icp_id is None:
        raise Bug("the ICP of a lead is resolved before it is created")
    return request.icp_id


def _claims_of(new: Mapping[UUID, LeadRequest]) -> dict[IdentityKey, UUID]:
    claims: dict[IdentityKey, UUID] = {}
    for lead_id, request in new.items():
        for key in request.prepared.keys:
            claims.setdefault(key, lead_id)
    return claims


def _list_borne(
    new: Mapping[UUID, LeadRequest],
    claims: Mapping[IdentityKey, UUID],
    held_by: Mapping[IdentityKey, UUID],
) -> list[tuple[IdentityKey, UUID]]:
    """List the keys that leads bear and another holds."""
    return [
        (key, lead_id)
        for lead_id, request in new.items()
        for key in request.prepared.keys
        if held_by.get(key, claims[key]) != lead_id
    ]


async def _refuse_known(
    tx: Tx,
    new: Mapping[UUID, LeadRequest],
    claims: Mapping[IdentityKey, UUID],
    held_by: Mapping[IdentityKey, UUID],
) -> dict[UUID, Conflict | None]:
    """Refuse who is a lead already; None: who is another request of this batch."""
    if not held_by and not _list_borne(new, claims, held_by):
        return {}
    records = [_bearer_of(lead_id, request) for lead_id, request in new.items()]
    resolution = await resolve(tx, records, held_by)
    survivor_of = {lead_id: resolution.find_known(lead_id) for lead_id in new}
    states = await find_states(
        tx, {lead_id for lead_id in survivor_of.values() if lead_id is not None}
    )
    refused: dict[UUID, Conflict | None] = {}
    for lead_id, request in new.items():
        survivor = survivor_of[lead_id]
        if survivor is not None:
            refused[lead_id] = _exists(states[survivor], request.requester.visibility)
        elif resolution.graph.find(lead_id).id != lead_id:
            refused[lead_id] = None
    return refused


def _bearer_of(lead_id: UUID, request: LeadRequest) -> Bearer:
    full_name, company_name = names_in(value.found for value in request.prepared.values)
    keys = request.prepared.keys
    return make_bearer(lead_id, keys, full_name=full_name, company_name=company_name)


def _exists(lead: LeadState, visibility: Visibility) -> Conflict:
    """Return the refusal of a known person; a hidden lead is not named."""
    if not visibility.allows(lead.owner):
        return Conflict(HIDDEN, code="leads.lead.exists")
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
    await add_companies(tx, [request.prepared for request in new.values()], now)
    rows = [
        LeadRow(
            id=lead_id,
            source=API_SOURCE,
            status=LeadStatus.PROCESSING,
            prepared=(request.prepared,),
            owner=request.requester.owner,
        )
        for lead_id, request in new.items()
    ]
    await add_leads(tx, rows, now)
    values = [(lead_id, request.prepared) for lead_id, request in new.items()]
    await insert_values(tx, values, ids, now)
