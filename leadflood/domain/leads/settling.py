"""Who is who: claiming identity keys, following merges, merging the younger into the older."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from uuid import UUID

import msgspec

from leadflood.domain.leads.schemas import IdentityKey
from leadflood.engine.db.sql import load_queries
from leadflood.engine.db.tx import Row, Tx

SQL = load_queries(__file__)

MERGED_BY = "identity"


class Groups:
    """Leads that are one, joined pair by pair (union-find); the oldest leads each group.

    UUIDv7 compare by age, so the oldest is the smallest id.
    """

    def __init__(self) -> None:
        self._parent: dict[UUID, UUID] = {}

    def join(self, one: UUID, other: UUID) -> None:
        """Make two leads one."""
        first, second = self.leader(one), self.leader(other)
        if first.int < second.int:
            self._parent[second] = first
        elif second.int < first.int:
            self._parent[first] = second

    def leader(self, lead_id: UUID) -> UUID:
        """Return the oldest of a lead's group."""
        while (parent := self._parent.get(lead_id, lead_id)) != lead_id:
            self._parent[lead_id] = self._parent.get(parent, parent)
            lead_id = parent
        return lead_id


class Links:
    """Pairs of leads that share a key, with the kind of that key."""

    def __init__(self) -> None:
        self.pairs: list[tuple[UUID, UUID, str]] = []

    def add(self, one: UUID, other: UUID, kind: str) -> None:
        """Remember a pair, unless it is one lead."""
        if one != other:
            self.pairs.append((one, other, kind))

    def leads(self) -> set[UUID]:
        """List everyone named."""
        return {lead_id for one, other, _ in self.pairs for lead_id in (one, other)}


class Settlement(msgspec.Struct, frozen=True):
    """Who everyone is now; leads that are gone are not in it."""

    survivor_of: dict[UUID, UUID]
    merged_into: dict[UUID, tuple[UUID, ...]]

    def knows(self, lead_id: UUID) -> bool:
        """Tell whether the lead exists."""
        return lead_id in self.survivor_of

    def merged(self, lead_id: UUID) -> tuple[UUID, ...]:
        """List who was merged into this lead's survivor just now."""
        return self.merged_into.get(self.survivor_of[lead_id], ())


async def claim_keys(tx: Tx, claims: Mapping[IdentityKey, UUID]) -> dict[IdentityKey, UUID]:
    """Claim keys for leads in sorted order; tell those that were taken, with their owner.

    Waits: for another transaction that claims one of the keys, until it ends.
    """
    ordered = sorted(claims)
    if not ordered:
        return {}
    kinds = [key.kind for key in ordered]
    values = [key.value for key in ordered]
    written = await tx.fetch(
        SQL.claim_keys, kinds=kinds, values=values, lead_ids=[claims[key] for key in ordered]
    )
    if len(written) == len(ordered):
        return {}
    mine = {IdentityKey(row["kind"], row["value"]) for row in written}
    lost = [key for key in ordered if key not in mine]
    owners = await tx.fetch(
        SQL.find_owners, kinds=[key.kind for key in lost], values=[key.value for key in lost]
    )
    return {IdentityKey(row["kind"], row["value"]): row["lead_id"] for row in owners}


async def settle(tx: Tx, lead_ids: Iterable[UUID], links: Links, now: datetime) -> Settlement:
    """Lock the leads, follow their merges, merge those that share a key.

    Raises: nothing for leads that are gone; they are left out.
    """
    rows, survivor_of = await _lock_with_survivors(tx, {*lead_ids, *links.leads()})
    if not links.pairs:
        return Settlement(survivor_of, {})
    merges = _merges(survivor_of, links, rows)
    await _write(tx, merges, now)
    end = {loser: winner for loser, winner, _ in merges}
    merged: dict[UUID, tuple[UUID, ...]] = {}
    for loser, winner, _ in merges:
        merged[winner] = (*merged.get(winner, ()), loser)
    return Settlement({one: end.get(last, last) for one, last in survivor_of.items()}, merged)


async def _lock_with_survivors(
    tx: Tx, lead_ids: Iterable[UUID]
) -> tuple[dict[UUID, Row], dict[UUID, UUID]]:
    """Lock leads and who they are now, all in one sorted go.

    Where a survivor was not among those locked, the locks are given back and taken again with it:
    taking it afterwards would be out of order, and two who do that wait for each other for ever.
    """
    wanted = set(lead_ids)
    if not wanted:
        return {}, {}
    await tx.execute(SQL.mark_before_locks)
    while True:
        rows = {row["id"]: row for row in await tx.fetch(SQL.lock_leads, ids=sorted(wanted))}
        if all(row["merged_into"] is None for row in rows.values()):
            return rows, {lead_id: lead_id for lead_id in rows}
        found = await tx.fetch(SQL.find_survivors, ids=list(rows))
        survivor_of = {row["start"]: row["id"] for row in found}
        if rows.keys() >= set(survivor_of.values()):
            return rows, survivor_of
        wanted |= set(survivor_of.values())
        await tx.execute(SQL.give_locks_back)


def _merges(
    survivor_of: Mapping[UUID, UUID], links: Links, rows: Mapping[UUID, Row]
) -> Sequence[tuple[UUID, UUID, str]]:
    """Tell (younger, older, reason) for every lead that turns out to be an older one."""
    groups = Groups()
    reasons: dict[UUID, str] = {}
    for one, other, kind in links.pairs:
        first, second = survivor_of.get(one), survivor_of.get(other)
        if first is None or second is None or first == second or _apart(rows, first, second):
            continue
        groups.join(first, second)
        reasons.setdefault(max(first, second), f"same {kind}")
        reasons.setdefault(min(first, second), f"same {kind}")
    return sorted(
        (lead_id, groups.leader(lead_id), reason)
        for lead_id, reason in reasons.items()
        if groups.leader(lead_id) != lead_id and not _apart(rows, lead_id, groups.leader(lead_id))
    )


def _apart(rows: Mapping[UUID, Row], one: UUID, other: UUID) -> bool:
    return other in rows[one]["kept_apart"] or one in rows[other]["kept_apart"]


async def _write(tx: Tx, merges: Sequence[tuple[UUID, UUID, str]], now: datetime) -> None:
    if merges:
        await tx.execute(
            SQL.merge_leads,
            ids=[loser for loser, _, _ in merges],
            into_ids=[winner for _, winner, _ in merges],
            reasons=[reason for _, _, reason in merges],
            by=MERGED_BY,
            now=now,
        )
