"""Leads that people bring in one by one, many requests in one transaction.

Each is a new person or is refused; what is refused leaves nothing behind, and hurts no other.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from uuid import UUID

import msgspec

from leadflood.domain.leads import search
from leadflood.domain.leads.identity import identity_keys
from leadflood.domain.leads.reading import survivors
from leadflood.domain.leads.rules import API_SOURCE, found_in_input, read_input
from leadflood.domain.leads.schemas import (
    IdentityKey,
    LeadCreated,
    LeadInput,
    LeadState,
    LeadStatus,
)
from leadflood.domain.leads.settling import claim_keys
from leadflood.domain.leads.sql import SQL
from leadflood.domain.leads.states import read_states
from leadflood.domain.leads.writing import Prepared, prepare, write_companies, write_values
from leadflood.engine.db.tx import Tx
from leadflood.engine.errors import Conflict, Invalid
from leadflood.engine.ids import Ids

Made = LeadCreated | Conflict | None
"""None: it shares a key with one before it in the same batch; whose it is shows afterwards."""


class ReadPerson(msgspec.Struct, frozen=True, kw_only=True):
    """A person as a request names it: read, with the keys that tell who it is."""

    said: Prepared
    keys: tuple[IdentityKey, ...]


class WantedLead(msgspec.Struct, frozen=True, kw_only=True):
    """A lead that somebody wants made; `owner` None: nobody's.

    `mine` not None: who wants it sees only this owner's leads, and is told of no other.
    """

    person: ReadPerson
    icp_id: UUID
    owner: str | None = None
    mine: str | None = None


class _New(msgspec.Struct, frozen=True, kw_only=True):
    """A lead to be; `place` is where it stands among those asked for."""

    id: UUID
    place: int
    wanted: WantedLead

    @property
    def said(self) -> Prepared:
        """What is said of the person."""
        return self.wanted.person.said

    @property
    def keys(self) -> tuple[IdentityKey, ...]:
        """What tells who it is."""
        return self.wanted.person.keys


def read_person(given: LeadInput, now: datetime) -> ReadPerson:
    """Read what a request says of a person, before any transaction. Raises: Invalid."""
    values, problems = read_input(given)
    if problems:
        raise Invalid.of(problems, prefix="the lead cannot be created")
    found = found_in_input(given, values, now)
    return ReadPerson(said=prepare(found), keys=identity_keys(found))


async def make_leads(tx: Tx, wanted: Sequence[WantedLead], ids: Ids, now: datetime) -> list[Made]:
    """Make leads of people who are not in yet; tell in order what became of each.

    Waits: for another transaction that brings one of them, until it ends.
    """
    answers: list[Made] = [None] * len(wanted)
    new = _apart(wanted, ids)
    taken = await claim_keys(tx, {key: one.id for one in new for key in one.keys})
    refused = await _refuse_known(tx, new, taken)
    for one in new:
        answers[one.place] = refused.get(one.id) or LeadCreated(one.id, one.wanted.icp_id)
    kept = [one for one in new if one.id not in refused]
    if kept:
        await _write(tx, kept, ids, now)
    return answers


def _apart(wanted: Sequence[WantedLead], ids: Ids) -> list[_New]:
    """Give each an id; those that share a key with one before them are left out."""
    new: list[_New] = []
    seen: set[IdentityKey] = set()
    for place, (one, lead_id) in enumerate(zip(wanted, ids.take(len(wanted)), strict=True)):
        if seen.isdisjoint(one.person.keys):
            seen.update(one.person.keys)
            new.append(_New(id=lead_id, place=place, wanted=one))
    return new


async def _refuse_known(
    tx: Tx, new: Sequence[_New], taken: Mapping[IdentityKey, UUID]
) -> dict[UUID, Conflict]:
    """Refuse who is a lead already, and give back the other keys that were claimed for them."""
    if not taken:
        return {}
    survivor_of = await survivors(tx, taken.values())
    states = await read_states(tx, survivor_of.values())
    refused: dict[UUID, Conflict] = {}
    for one in new:
        owners = [taken[key] for key in one.keys if key in taken]
        ends = [survivor_of[owner] for owner in owners if owner in survivor_of]
        known = [states[end] for end in ends if end in states]
        if known:
            refused[one.id] = _is_known(known[0], one.wanted.mine)
    if refused:
        await tx.execute(SQL.withdraw_claims, lead_ids=list(refused))
    return refused


def _is_known(lead: LeadState, mine: str | None) -> Conflict:
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


async def _write(tx: Tx, new: Sequence[_New], ids: Ids, now: datetime) -> None:
    told = [one.said for one in new]
    await write_companies(tx, told, now)
    await tx.execute(
        SQL.add_leads,
        ids=[one.id for one in new],
        statuses=[LeadStatus.PROCESSING.value] * len(new),
        sources=[API_SOURCE] * len(new),
        company_ids=[said.company_id for said in told],
        company_ranks=[said.company_rank for said in told],
        owners=[one.wanted.owner for one in new],
        **search.columns_of([search.shown_of_new([said]) for said in told]),
        now=now,
    )
    await write_values(tx, [(one.id, one.said) for one in new], ids, now)
