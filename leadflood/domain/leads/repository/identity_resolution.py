"""Identity resolution: following merges, and merging the younger lead into the older."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from uuid import UUID

import msgspec

from leadflood.domain.leads.repository.leads import (
    Merge,
    lock_leads,
    mark_before_locks,
    merge_leads,
    release_locks,
)
from leadflood.domain.leads.repository.profiles import find_survivors
from leadflood.domain.leads.rules.union_find import UnionFind
from leadflood.engine.db.tx import Row, Tx

MERGED_BY = "identity"


class SharedKeys:
    """Pairs of leads that share a key, with the kind of that key."""

    def __init__(self) -> None:
        self.pairs: list[tuple[UUID, UUID, str]] = []

    def add(self, first_id: UUID, second_id: UUID, kind: str) -> None:
        """Add a pair, unless it is one lead."""
        if first_id != second_id:
            self.pairs.append((first_id, second_id, kind))

    @property
    def lead_ids(self) -> set[UUID]:
        """All leads of the pairs."""
        return {
            lead_id for first_id, second_id, _ in self.pairs for lead_id in (first_id, second_id)
        }


class Resolution(msgspec.Struct, frozen=True):
    """The survivor of each lead; leads that are gone are not in it.

    `merged_into` lists, by survivor, the leads that were merged just now.
    """

    survivor_of: dict[UUID, UUID]
    merged_into: dict[UUID, tuple[UUID, ...]]

    def has(self, lead_id: UUID) -> bool:
        """Whether the lead exists."""
        return lead_id in self.survivor_of

    def list_merged(self, lead_id: UUID) -> tuple[UUID, ...]:
        """List the leads that were merged into this lead's survivor just now."""
        return self.merged_into.get(self.survivor_of[lead_id], ())


async def resolve(tx: Tx, lead_ids: Iterable[UUID], keys: SharedKeys, now: datetime) -> Resolution:
    """Lock the leads, follow their merges, merge those that share a key.

    Raises: nothing for leads that are gone; they are left out.
    """
    rows, survivor_of = await _lock_with_survivors(tx, {*lead_ids, *keys.lead_ids})
    if not keys.pairs:
        return Resolution(survivor_of, {})
    merges = _choose_merges(survivor_of, keys, rows)
    await merge_leads(tx, merges, MERGED_BY, now)
    new_survivors = {merge.lead_id: merge.survivor_id for merge in merges}
    merged: dict[UUID, tuple[UUID, ...]] = {}
    for merge in merges:
        merged[merge.survivor_id] = (*merged.get(merge.survivor_id, ()), merge.lead_id)
    return Resolution(
        {lead_id: new_survivors.get(last, last) for lead_id, last in survivor_of.items()}, merged
    )


async def _lock_with_survivors(
    tx: Tx, lead_ids: Iterable[UUID]
) -> tuple[dict[UUID, Row], dict[UUID, UUID]]:
    """Lock leads and their survivors, all in one sorted go.

    Where a survivor was not among those locked, the locks are released and taken again with it:
    taking it afterwards would be out of order, and two who do that wait for each other for ever.
    """
    pending = set(lead_ids)
    if not pending:
        return {}, {}
    await mark_before_locks(tx)
    while True:
        rows = {row["id"]: row for row in await lock_leads(tx, pending)}
        if all(row["merged_into"] is None for row in rows.values()):
            return rows, {lead_id: lead_id for lead_id in rows}
        survivor_of = await find_survivors(tx, rows)
        if rows.keys() >= set(survivor_of.values()):
            return rows, survivor_of
        pending |= set(survivor_of.values())
        await release_locks(tx)


def _choose_merges(
    survivor_of: Mapping[UUID, UUID], keys: SharedKeys, rows: Mapping[UUID, Row]
) -> Sequence[Merge]:
    """Return a merge for every lead that turns out to be an older one."""
    groups = UnionFind()
    reasons: dict[UUID, str] = {}
    for first_id, second_id, kind in keys.pairs:
        first, second = survivor_of.get(first_id), survivor_of.get(second_id)
        if first is None or second is None or first == second:
            continue
        if _are_kept_apart(rows, first, second):
            continue
        groups.join(first, second)
        reasons.setdefault(first, f"same {kind}")
        reasons.setdefault(second, f"same {kind}")
    merges = [
        Merge(lead_id, groups.find_root(lead_id), reason) for lead_id, reason in reasons.items()
    ]
    return sorted(
        merge
        for merge in merges
        if merge.survivor_id != merge.lead_id
        and not _are_kept_apart(rows, merge.lead_id, merge.survivor_id)
    )


def _are_kept_apart(rows: Mapping[UUID, Row], first_id: UUID, second_id: UUID) -> bool:
    return second_id in rows[first_id]["kept_apart"] or first_id in rows[second_id]["kept_apart"]
