"""Upserting: people named by a source become leads, or turn out to be leads that are known."""

from collections.abc import Container, Iterable, Mapping, Sequence
from datetime import datetime
from uuid import UUID

import msgspec

from leadflood.domain.leads.repository.field_values import add_companies, insert_values
from leadflood.domain.leads.repository.identity_keys import assign_keys, claim_keys
from leadflood.domain.leads.repository.identity_resolution import SharedKeys, resolve
from leadflood.domain.leads.repository.lead_rows import find_deleted_ids
from leadflood.domain.leads.repository.leads import LeadRow, LeadUpdate, add_leads, update_leads
from leadflood.domain.leads.repository.list_columns import refresh
from leadflood.domain.leads.rules.identity import identity_keys
from leadflood.domain.leads.rules.prepared_values import PreparedValues, prepare_values
from leadflood.domain.leads.rules.union_find import UnionFind
from leadflood.domain.leads.schemas.identity import IdentityKey, NewPerson, Upserted
from leadflood.engine.db.tx import Tx
from leadflood.engine.ids import Ids


async def upsert(
    tx: Tx, people: Sequence[NewPerson], ids: Ids, now: datetime
) -> Sequence[Upserted]:
    """Find or create the lead of each person and record their values, in order.

    Two transactions that bring the same person make one lead: the second waits for the first. A
    person whose keys name two leads merges them. Of a deleted lead nothing is recorded.
    """
    if not people:
        return ()
    batch = _Batch(people, ids)
    owner_of = await claim_keys(tx, batch.claims)
    await add_companies(tx, batch.prepared, now)
    existing = await _find_existing(tx, batch, owner_of, now)
    new_keys = await _assign_new_keys(tx, batch, owner_of, existing.lead_of)
    if new := batch.list_new(existing.lead_of):
        await add_leads(tx, new, now)
    lead_ids = [existing.lead_of.get(group, group) for group in batch.groups]
    deleted = await find_deleted_ids(tx, existing.lead_of.values())
    pairs = [pair for pair in zip(lead_ids, batch.prepared, strict=True) if pair[0] not in deleted]
    await insert_values(tx, pairs, ids, now)
    updates = _updates(pairs, set(existing.lead_of.values()))
    await update_leads(tx, updates, now)
    await refresh(tx, {*updates, *deleted})
    return _results(batch, lead_ids, existing, _Changes(deleted, new_keys))


class _Batch:
    """People of one call, grouped by shared keys; a group's id is that of its first person."""

    def __init__(self, people: Sequence[NewPerson], ids: Ids) -> None:
        self.people = people
        self.prepared = [
            prepare_values(person.values, {*person.keys, *identity_keys(person.values)})
            for person in people
        ]
        own_ids = ids.take(len(people))
        union = UnionFind()
        first: dict[IdentityKey, UUID] = {}
        for prepared, own_id in zip(self.prepared, own_ids, strict=True):
            for key in prepared.keys:
                union.join(first.setdefault(key, own_id), own_id)
        self.groups = [union.find_root(own_id) for own_id in own_ids]
        self.claims = {key: union.find_root(own_id) for key, own_id in first.items()}

    def list_new(self, existing: Container[UUID]) -> list[LeadRow]:
        """List the rows of groups that are no known lead, as the first of each group has it."""
        values: dict[UUID, list[PreparedValues]] = {}
        first: dict[UUID, NewPerson] = {}
        for person, group, prepared in zip(self.people, self.groups, self.prepared, strict=True):
            if group not in existing:
                first.setdefault(group, person)
                values.setdefault(group, []).append(prepared)
        return [
            LeadRow(id=group, source=person.source, status=person.status, prepared=values[group])
            for group, person in first.items()
        ]


class _Existing(msgspec.Struct, frozen=True):
    """The groups that are leads already, and the leads that were merged into each just now."""

    lead_of: Mapping[UUID, UUID]
    merged_into: Mapping[UUID, tuple[UUID, ...]]


class _Changes(msgspec.Struct, frozen=True):
    """The changes of known leads: the deleted ones, and the keys that each got."""

    deleted: frozenset[UUID]
    new_keys: Mapping[UUID, Sequence[IdentityKey]]


async def _find_existing(
    tx: Tx, batch: _Batch, owner_of: Mapping[IdentityKey, UUID], now: datetime
) -> _Existing:
    """Find the groups that are leads already, merging leads where keys name several."""
    owners: dict[UUID, list[tuple[UUID, str]]] = {}
    for key, owner in owner_of.items():
        owners.setdefault(batch.claims[key], []).append((owner, key.kind))
    shared = SharedKeys()
    for group_owners in owners.values():
        for owner, kind in group_owners[1:]:
            shared.add(group_owners[0][0], owner, kind)
    owner_ids = [owner for group_owners in owners.values() for owner, _ in group_owners]
    resolution = await resolve(tx, owner_ids, shared, now)
    lead_of = {
        group: min(survivors)
        for group, group_owners in owners.items()
        if (
            survivors := [
                resolution.survivor_of[owner] for owner, _ in group_owners if resolution.has(owner)
            ]
        )
    }
    return _Existing(lead_of, resolution.merged_into)


async def _assign_new_keys(
    tx: Tx, batch: _Batch, owner_of: Mapping[IdentityKey, UUID], lead_of: Mapping[UUID, UUID]
) -> dict[UUID, list[IdentityKey]]:
    """Add the keys that known leads did not have; return those, by lead."""
    assigned = sorted(
        (key, lead_of[group])
        for key, group in batch.claims.items()
        if group in lead_of and key not in owner_of
    )
    await assign_keys(tx, assigned)
    new_keys: dict[UUID, list[IdentityKey]] = {}
    for key, lead_id in assigned:
        new_keys.setdefault(lead_id, []).append(key)
    return new_keys


def _updates(
    pairs: Iterable[tuple[UUID, PreparedValues]], existing: set[UUID]
) -> dict[UUID, LeadUpdate]:
    updates: dict[UUID, LeadUpdate] = {}
    for lead_id, prepared in pairs:
        if lead_id in existing:
            updates.setdefault(lead_id, LeadUpdate()).use_company(prepared)
    return updates


def _results(
    batch: _Batch, lead_ids: Sequence[UUID], existing: _Existing, changes: _Changes
) -> tuple[Upserted, ...]:
    """Return the lead of each person; the first who is a lead also gets what the lead gained."""
    reported_ids: set[UUID] = set()
    results = []
    for group, lead_id in zip(batch.groups, lead_ids, strict=True):
        is_first = lead_id not in reported_ids
        results.append(
            Upserted(
                lead_id,
                is_first and group not in existing.lead_of,
                lead_id in changes.deleted,
                tuple(changes.new_keys.get(lead_id, ())) if is_first else (),
                existing.merged_into.get(lead_id, ()) if is_first else (),
            )
        )
        reported_ids.add(lead_id)
    return tuple(results)
