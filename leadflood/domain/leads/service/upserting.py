"""Upserting people: each is found or created by the keys that say who they are."""

from collections.abc import Container, Iterable, Mapping, Sequence
from datetime import datetime
from uuid import UUID

from anyio import to_thread

from leadflood.domain.leads.repository.field_values import add_companies, insert_values
from leadflood.domain.leads.repository.identity_keys import assign_keys, claim_keys, share_keys
from leadflood.domain.leads.repository.lead_rows import find_deleted_ids
from leadflood.domain.leads.repository.leads import (
    LeadUpdate,
    Merge,
    add_leads,
    merge_leads,
    update_leads,
)
from leadflood.domain.leads.repository.list_columns import refresh
from leadflood.domain.leads.rules.prepared_values import PreparedValues
from leadflood.domain.leads.schemas.identity import IdentityKey, NewPerson, Upserted
from leadflood.domain.leads.service.resolving import MERGED_BY, Resolution, merge_known, resolve
from leadflood.domain.leads.service.row_keys import RowsOfFile, number_rows
from leadflood.domain.leads.service.upsert_batch import Batch, Placement, PreparedPerson
from leadflood.engine.db.tx import Tx
from leadflood.engine.ids import Ids


async def upsert(
    tx: Tx,
    people: Sequence[NewPerson | PreparedPerson],
    ids: Ids,
    now: datetime,
    file: RowsOfFile | None = None,
) -> Sequence[Upserted]:
    """Find or create the lead of each person and record their values, in order.

    Two transactions that bring the same person make one lead: the second waits for the first. A
    person whose keys name two leads merges them. Of a deleted lead nothing is recorded. A person
    whom a `file` names again is a lead of its own, merged into the one named before; a row that
    comes again is the lead that it was, also where its keys do not tell.
    """
    if not people:
        return ()
    batch = await to_thread.run_sync(Batch, people, ids.take(len(people)))
    if file is not None and (keyless := batch.find_keyless()):
        batch.add_keys(await number_rows(tx, keyless, file))
    held_by = await claim_keys(tx, batch.claims)
    await add_companies(tx, batch.prepared, now)
    row_keys = {} if file is None else batch.list_row_keys(held_by)
    bearers = batch.list_bearers(row_keys)
    resolution = await resolve(tx, bearers, {*held_by, *row_keys.values()})
    merged = await merge_known(tx, resolution, now)
    survivors = [resolution.find_known(own_id) for own_id in batch.own_ids]
    deleted = await find_deleted_ids(tx, [lead_id for lead_id in survivors if lead_id])
    named = None if file is None else await _find_named(tx, file, resolution, survivors)
    placements = _choose_placements(batch, resolution, survivors, named, {*merged, *deleted})
    new_keys = await _write_keys(tx, batch, held_by, placements, resolution)
    await claim_keys(tx, _choose_row_keys(placements, row_keys))
    if new := batch.list_new(placements):
        await add_leads(tx, new, now)
    await merge_leads(tx, _list_row_merges(placements, resolution), MERGED_BY, now)
    pairs = [
        (placement.lead_id, prepared)
        for placement, prepared in zip(placements, batch.prepared, strict=True)
        if placement.lead_id not in deleted
    ]
    await insert_values(tx, pairs, ids, now)
    joined = {placement.survivor_id for placement in placements if placement.is_joined}
    updates = _updates(pairs, joined, set(survivors))
    await update_leads(tx, updates, now)
    await refresh(tx, {*updates, *deleted, *joined})
    return _results(placements, merged, deleted, new_keys)


def _choose_row_keys(
    placements: Iterable[Placement], row_keys: Mapping[UUID, IdentityKey]
) -> dict[IdentityKey, UUID]:
    """Choose the row's keys that are kept: of new leads that keys of others do not tell."""
    kept: dict[IdentityKey, UUID] = {}
    for placement in placements:
        if placement.is_own and not placement.is_joined and placement.own_id in row_keys:
            kept.setdefault(row_keys[placement.own_id], placement.own_id)
    return kept


def _choose_placements(
    batch: Batch,
    resolution: Resolution,
    survivors: Sequence[UUID | None],
    named: set[UUID] | None,
    whole: Container[UUID],
) -> list[Placement]:
    """Choose the lead of each person; `named` are those of their file so far, None: no file.

    Nobody points to `whole` leads: a deleted one stays as it is, and what made known leads one
    is recorded on their survivor, so that it can be taken back there.
    """
    placements = []
    for own_id, known in zip(batch.own_ids, survivors, strict=True):
        survivor = known or resolution.graph.find(own_id).id
        is_own = survivor == own_id
        if named is not None:
            is_again = survivor in named and survivor not in whole
            is_own |= survivor < own_id and (known is None or is_again)
            named.add(survivor)
        placements.append(Placement(own_id, own_id if is_own else survivor, survivor))
    return placements


async def _find_named(
    tx: Tx, file: RowsOfFile, resolution: Resolution, survivors: Sequence[UUID | None]
) -> set[UUID]:
    """Return the survivors that a file has named before, by whichever of their leads."""
    members = {
        survivor: resolution.graph.find(survivor).members
        for survivor in survivors
        if survivor is not None
    }
    if not members:
        return set()
    named = await file.find_named(tx, frozenset().union(*members.values()))
    return {survivor for survivor, ids in members.items() if not named.isdisjoint(ids)}


def _list_row_merges(placements: Sequence[Placement], resolution: Resolution) -> list[Merge]:
    return [
        Merge(placement.own_id, placement.survivor_id, resolution.reasons[placement.own_id])
        for placement in placements
        if placement.is_joined
    ]


async def _write_keys(
    tx: Tx,
    batch: Batch,
    held_by: Mapping[IdentityKey, UUID],
    placements: Sequence[Placement],
    resolution: Resolution,
) -> dict[UUID, list[IdentityKey]]:
    """Hand claimed keys to the leads that people are; return those that known leads gained.

    A key that another lead holds is borne too.
    """
    lead_of = {placement.own_id: placement.lead_id for placement in placements}
    holders = {**{key: lead_of[own_id] for key, own_id in batch.claims.items()}, **held_by}
    moved = {
        (key, holders[key])
        for key, own_id in batch.claims.items()
        if key not in held_by and holders[key] != own_id
    }
    await assign_keys(tx, moved)
    borne = {
        (key, placement.lead_id)
        for prepared, placement in zip(batch.prepared, placements, strict=True)
        for key in prepared.keys
        if holders[key] != placement.lead_id
        and (
            placement.is_own
            or holders[key] not in resolution.graph.find(placement.survivor_id).members
        )
    }
    gained = await share_keys(tx, borne)
    new_keys: dict[UUID, list[IdentityKey]] = {}
    for key, lead_id in sorted({*moved, *gained}):
        new_keys.setdefault(lead_id, []).append(key)
    return new_keys


def _updates(
    pairs: Iterable[tuple[UUID, PreparedValues]],
    joined: Iterable[UUID],
    known: Container[UUID | None],
) -> dict[UUID, LeadUpdate]:
    """Return the updates of known leads: of those with new values, and those joined by others."""
    updates = {lead_id: LeadUpdate() for lead_id in joined if lead_id in known}
    for lead_id, prepared in pairs:
        if lead_id in known:
            updates.setdefault(lead_id, LeadUpdate()).use_company(prepared)
    return updates


def _results(
    placements: Sequence[Placement],
    merged: Mapping[UUID, Sequence[UUID]],
    deleted: frozenset[UUID],
    new_keys: Mapping[UUID, Sequence[IdentityKey]],
) -> tuple[Upserted, ...]:
    """Return the lead of each person; the first who is a lead also gets what the lead gained."""
    reported_ids: set[UUID] = set()
    results = []
    for placement in placements:
        is_first = placement.lead_id not in reported_ids
        is_known = placement.lead_id == placement.survivor_id and not placement.is_own
        results.append(
            Upserted(
                placement.lead_id,
                placement.is_own,
                placement.lead_id in deleted,
                tuple(new_keys.get(placement.lead_id, ())) if is_first and is_known else (),
                tuple(merged.get(placement.lead_id, ())) if is_first else (),
                placement.survivor_id if placement.is_joined else None,
            )
        )
        reported_ids.add(placement.lead_id)
    return tuple(results)
