"""Resolving identity: which leads and records are one, decided under the locks of all of them."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import datetime
from uuid import UUID

import msgspec
from anyio import to_thread

from leadflood.domain.leads.repository.identity_keys import find_bearers, lock_bearers
from leadflood.domain.leads.repository.leads import Merge, merge_leads
from leadflood.domain.leads.rules.identity import (
    external_key,
    identity_keys,
    names_in,
    row_key,
)
from leadflood.domain.leads.rules.identity_graph import Bearer, IdentityGraph, make_bearer
from leadflood.domain.leads.schemas.identity import IdentityKey, NewPerson
from leadflood.domain.leads.service.row_keys import RowsOfFile, is_keyless, number_rows
from leadflood.engine.db.tx import Tx

MERGED_BY = "identity"
MOST_ON_LOOP = 64
"""More leads and records than this are compared in a thread: keys that many share take longer."""


class Resolution(msgspec.Struct, frozen=True):
    """The leads and records that are one.

    - `graph`: who they are.
    - `survivor_of`: the survivor that each known lead had before.
    - `reasons`: why a lead or record was joined.
    """

    graph: IdentityGraph
    survivor_of: Mapping[UUID, UUID]
    reasons: Mapping[UUID, str]

    def find_known(self, bearer_id: UUID) -> UUID | None:
        """Return the lead that a record or lead is, the oldest of them; None: a new one."""
        members = self.graph.find(self.survivor_of.get(bearer_id, bearer_id)).members
        survivors = (self.survivor_of[member] for member in members if member in self.survivor_of)
        return min(survivors, default=None)

    def list_merges(self) -> list[Merge]:
        """List the known leads that turned out to be older known ones."""
        merges = []
        for lead_id in sorted(set(self.survivor_of.values())):
            survivor = self.find_known(lead_id)
            if survivor is not None and survivor != lead_id:
                merges.append(Merge(lead_id, survivor, self.reasons[lead_id]))
        return merges


def bearer_of(person: NewPerson, keys: Iterable[IdentityKey], own_id: UUID) -> Bearer:
    """Return a person as a bearer of keys."""
    full_name, company_name = names_in(person.values)
    return make_bearer(own_id, keys, full_name=full_name, company_name=company_name)


def keys_of(person: NewPerson) -> frozenset[IdentityKey]:
    """Return the keys that say who a person is."""
    keys = {*person.keys, *identity_keys(person.values)}
    keys |= {external_key(*external_id) for external_id in person.external_ids}
    return frozenset(keys)


async def resolve(
    tx: Tx, records: Sequence[Bearer], keys: Iterable[IdentityKey], lead_ids: Iterable[UUID] = ()
) -> Resolution:
    """Lock the leads that bear these keys, and find who of them and of the records are one.

    `lead_ids` are locked too: records may be of them.
    """
    bearers = await lock_bearers(tx, [key for key in keys if key.may_join], lead_ids)
    if len(bearers) + len(records) > MOST_ON_LOOP:
        return await to_thread.run_sync(_place, bearers, records)
    return _place(bearers, records)


async def merge_known(tx: Tx, resolution: Resolution, now: datetime) -> dict[UUID, list[UUID]]:
    """Merge known leads that turned out to be one; return those merged, by survivor."""
    merges = resolution.list_merges()
    await merge_leads(tx, merges, MERGED_BY, now)
    merged: dict[UUID, list[UUID]] = {}
    for merge in merges:
        merged.setdefault(merge.survivor_id, []).append(merge.lead_id)
    return merged


async def match_people(
    tx: Tx,
    people: Mapping[UUID, NewPerson],
    keys: Mapping[UUID, Collection[IdentityKey]],
    file: RowsOfFile,
) -> list[frozenset[UUID]]:
    """Return for each row the known leads that it names; nothing is locked or written.

    Each comes with its keys under an id of its own, in the order of their age.
    """
    keyless = {own_id: people[own_id] for own_id in people if is_keyless(keys[own_id])}
    row_keys = {own_id: row_key(person) for own_id, person in people.items()}
    row_keys |= await number_rows(tx, keyless, file) if keyless else {}
    borne = {own_id: {*keys[own_id], key} for own_id, key in row_keys.items()}
    graph = IdentityGraph()
    known_ids = set()
    for bearer in await find_bearers(
        tx, {key for own_keys in borne.values() for key in own_keys if key.may_join}
    ):
        known_ids.add(bearer.id)
        graph.add(bearer)
    graph.place_all([bearer_of(person, borne[own], own) for own, person in people.items()])
    return [graph.find(own_id).members & known_ids for own_id in people]


def _place(bearers: Sequence[Bearer], records: Sequence[Bearer]) -> Resolution:
    graph = IdentityGraph()
    survivor_of: dict[UUID, UUID] = {}
    for bearer in bearers:
        graph.add(bearer)
        survivor_of |= dict.fromkeys(bearer.members, bearer.id)
    graph.place_all(
        [
            msgspec.structs.replace(record, id=survivor_of.get(record.id, record.id))
            for record in records
        ]
    )
    reasons: dict[UUID, str] = {}
    for join in graph.joins:
        for bearer_id in (join.first_id, join.second_id):
            reasons.setdefault(bearer_id, f"same {join.kind}")
    return Resolution(graph, survivor_of, reasons)
