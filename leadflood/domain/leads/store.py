"""Leads in the database: who is who, what is known of them, and where each value comes from.

Everything is set-based: a commit of 500 leads runs the same few statements as a commit of one.
Locks are taken in one order by every caller: identity keys (sorted), companies (sorted), leads
(sorted), values (sorted). A merge moves nothing: it sets a pointer from the younger lead to the
older, and readers gather the rows of all leads that are one.
"""

from collections.abc import Container, Iterable, Mapping, Sequence
from datetime import datetime
from uuid import UUID

import msgspec

from leadflood.domain.leads.identity import IDENTIFYING, identity_keys, provider_key
from leadflood.domain.leads.making import NewLead, add_leads
from leadflood.domain.leads.reading import find, profiles, survivors
from leadflood.domain.leads.schemas import (
    IdentityKey,
    LeadStatus,
    LeadValues,
    NewPerson,
    Settled,
    Upserted,
)
from leadflood.domain.leads.search import NewScore, list_ids, lock, record_scores, refresh
from leadflood.domain.leads.settling import Groups, Links, claim_keys, settle
from leadflood.domain.leads.shown import read_search
from leadflood.domain.leads.states import deleted_among, lock_states, read_states, write_states
from leadflood.domain.leads.writing import Prepared, prepare, write_companies, write_values
from leadflood.engine.db.sql import load_queries
from leadflood.engine.db.tx import Tx
from leadflood.engine.ids import Ids

SQL = load_queries(__file__)

__all__ = [
    "IDENTIFYING",
    "NewScore",
    "find",
    "identity_keys",
    "list_ids",
    "lock",
    "lock_states",
    "profiles",
    "provider_key",
    "read_search",
    "read_states",
    "record_scores",
    "record_values",
    "refresh",
    "set_status",
    "survivors",
    "upsert",
    "write_states",
]


async def upsert(
    tx: Tx, people: Sequence[NewPerson], ids: Ids, now: datetime
) -> Sequence[Upserted]:
    """Find or make the lead of each person and record what is said of it, in order.

    Two transactions that bring the same person make one lead: the second waits for the first. A
    person whose keys name two leads merges them. Of a deleted lead nothing is recorded.
    """
    if not people:
        return ()
    batch = _Batch(people, ids)
    taken = await claim_keys(tx, batch.claims)
    await write_companies(tx, batch.prepared, now)
    final, merged = await _known_leads(tx, batch, taken, now)
    handed = await _hand_keys_over(tx, batch, taken, final)
    if new := batch.new_leads(final):
        await add_leads(tx, new, now)
    lead_ids = [final.get(leader, leader) for leader in batch.leaders]
    deleted = await deleted_among(tx, final.values())
    kept = [pair for pair in zip(lead_ids, batch.prepared, strict=True) if pair[0] not in deleted]
    await write_values(tx, kept, ids, now)
    changes = _touched(kept, known=set(final.values()))
    await _touch(tx, changes, now)
    await refresh(tx, {*changes, *deleted})
    return _in_order(batch, lead_ids, final, _Gained(deleted, handed, merged))


async def record_values(
    tx: Tx, found: Sequence[LeadValues], ids: Ids, now: datetime
) -> Sequence[Settled]:
    """Write what was learned of leads, claim their new keys and merge those that are one.

    A lead that finds a key taken and the key's lead become one: the younger points to the older.
    Its values stay where they are. Leads that are gone are left out of the answer.
    """
    if not found:
        return ()
    claims: dict[IdentityKey, UUID] = {}
    links = Links()
    for one in sorted(found, key=lambda each: each.lead_id.int):
        for key in one.keys:
            links.add(claims.setdefault(key, one.lead_id), one.lead_id, key.kind)
    taken = await claim_keys(tx, claims)
    for key, owner in taken.items():
        links.add(claims[key], owner, key.kind)
    told = [prepare(one.values) for one in found]
    await write_companies(tx, told, now)
    settled = await settle(tx, [one.lead_id for one in found], links, now)
    here = [
        (one, said) for one, said in zip(found, told, strict=True) if settled.knows(one.lead_id)
    ]
    await write_values(tx, [(one.lead_id, said) for one, said in here], ids, now)
    await _touch(tx, _changes(here, settled.survivor_of), now)
    await refresh(
        tx,
        [
            settled.survivor_of[one.lead_id]
            for one, said in here
            if said.values or settled.merged(one.lead_id)
        ],
    )
    return tuple(
        Settled(one.lead_id, settled.survivor_of[one.lead_id], settled.merged(one.lead_id))
        for one, _ in here
    )


async def set_status(
    tx: Tx,
    lead_ids: Iterable[UUID],
    status: LeadStatus,
    now: datetime,
    failed_code: str | None = None,
) -> None:
    """Say how leads stand; `failed_code` goes with failed only."""
    ordered = sorted(set(lead_ids))
    if not ordered:
        return
    await tx.fetch(SQL.lock_leads, ids=ordered)
    await tx.execute(
        SQL.set_status,
        ids=ordered,
        statuses=[status.value] * len(ordered),
        failed_codes=[failed_code] * len(ordered),
        now=now,
    )


class _Batch:
    """People of one call, grouped by shared keys; each group's leader is the id it would get."""

    def __init__(self, people: Sequence[NewPerson], ids: Ids) -> None:
        self.people = people
        self.prepared = [
            prepare(person.values, {*person.keys, *identity_keys(person.values)})
            for person in people
        ]
        own = ids.take(len(people))
        groups = Groups()
        first: dict[IdentityKey, UUID] = {}
        for prepared, tentative in zip(self.prepared, own, strict=True):
            for key in prepared.keys:
                groups.join(first.setdefault(key, tentative), tentative)
        self.leaders = [groups.leader(tentative) for tentative in own]
        self.claims = {key: groups.leader(tentative) for key, tentative in first.items()}

    def new_leads(self, known: Container[UUID]) -> list[NewLead]:
        """Return the rows of groups that are no known lead, as the first of each group has it."""
        groups: dict[UUID, list[Prepared]] = {}
        first: dict[UUID, NewPerson] = {}
        for person, leader, prepared in zip(self.people, self.leaders, self.prepared, strict=True):
            if leader not in known:
                first.setdefault(leader, person)
                groups.setdefault(leader, []).append(prepared)
        return [
            NewLead(id=leader, source=person.source, status=person.status, prepared=groups[leader])
            for leader, person in first.items()
        ]


class _Change(msgspec.Struct):
    """What changes of one lead's row."""

    status: LeadStatus | None = None
    failed_code: str | None = None
    company_id: UUID | None = None
    company_rank: float | None = None

    def learn(self, said: Prepared) -> None:
        """Take over a better company."""
        if said.company_rank is not None and said.company_rank > (self.company_rank or -1e308):
            self.company_id, self.company_rank = said.company_id, said.company_rank


async def _known_leads(
    tx: Tx, batch: _Batch, taken: Mapping[IdentityKey, UUID], now: datetime
) -> tuple[dict[UUID, UUID], Mapping[UUID, tuple[UUID, ...]]]:
    """Tell which groups are leads already: leader → lead, merging where keys name several.

    The other answer says who was merged into whom just now.
    """
    owners: dict[UUID, list[tuple[UUID, str]]] = {}
    for key, owner in taken.items():
        owners.setdefault(batch.claims[key], []).append((owner, key.kind))
    links = Links()
    for named in owners.values():
        for owner, kind in named[1:]:
            links.add(named[0][0], owner, kind)
    settled = await settle(
        tx, [owner for named in owners.values() for owner, _ in named], links, now
    )
    final = {
        leader: min(settled.survivor_of[owner] for owner, _ in named if settled.knows(owner))
        for leader, named in owners.items()
        if any(settled.knows(owner) for owner, _ in named)
    }
    return final, settled.merged_into


async def _hand_keys_over(
    tx: Tx, batch: _Batch, taken: Mapping[IdentityKey, UUID], final: Mapping[UUID, UUID]
) -> dict[UUID, list[IdentityKey]]:
    """Give known leads the keys that they did not have; tell which, by lead."""
    moved = sorted(
        (key, final[leader])
        for key, leader in batch.claims.items()
        if leader in final and key not in taken
    )
    if moved:
        await tx.execute(
            SQL.hand_keys_over,
            kinds=[key.kind for key, _ in moved],
            values=[key.value for key, _ in moved],
            lead_ids=[lead_id for _, lead_id in moved],
        )
    handed: dict[UUID, list[IdentityKey]] = {}
    for key, lead_id in moved:
        handed.setdefault(lead_id, []).append(key)
    return handed


def _touched(told: Sequence[tuple[UUID, Prepared]], known: set[UUID]) -> dict[UUID, _Change]:
    changes: dict[UUID, _Change] = {}
    for lead_id, said in told:
        if lead_id in known:
            changes.setdefault(lead_id, _Change()).learn(said)
    return changes


def _changes(
    here: Sequence[tuple[LeadValues, Prepared]], survivor_of: Mapping[UUID, UUID]
) -> dict[UUID, _Change]:
    """A lead's row changes, and so does its survivor's, unless the lead merely failed."""
    changes: dict[UUID, _Change] = {}
    for one, said in here:
        failed = one.status is LeadStatus.FAILED
        for lead_id in {one.lead_id} if failed else {one.lead_id, survivor_of[one.lead_id]}:
            change = changes.setdefault(lead_id, _Change())
            change.learn(said)
            if one.status is not None and change.status is not LeadStatus.ENRICHED:
                change.status, change.failed_code = one.status, one.failed_code
    return changes


async def _touch(tx: Tx, changes: Mapping[UUID, _Change], now: datetime) -> None:
    if changes:
        await tx.execute(
            SQL.touch_leads,
            ids=list(changes),
            statuses=[change.status and change.status.value for change in changes.values()],
            failed_codes=[change.failed_code for change in changes.values()],
            company_ids=[change.company_id for change in changes.values()],
            company_ranks=[change.company_rank for change in changes.values()],
            now=now,
        )


class _Gained(msgspec.Struct, frozen=True):
    """What is told of known leads: who is deleted, who got keys, who was merged into whom."""

    deleted: frozenset[UUID]
    keys: Mapping[UUID, Sequence[IdentityKey]]
    merged: Mapping[UUID, tuple[UUID, ...]]


def _in_order(
    batch: _Batch, lead_ids: Sequence[UUID], final: Mapping[UUID, UUID], gained: _Gained
) -> tuple[Upserted, ...]:
    """Tell who each person is; what a lead gained is told of the first person who is it."""
    seen: set[UUID] = set()
    told = []
    for leader, lead_id in zip(batch.leaders, lead_ids, strict=True):
        is_first = lead_id not in seen
        told.append(
            Upserted(
                lead_id,
                is_first and leader not in final,
                lead_id in gained.deleted,
                tuple(gained.keys.get(lead_id, ())) if is_first else (),
                gained.merged.get(lead_id, ()) if is_first else (),
            )
        )
        seen.add(lead_id)
    return tuple(told)
