"""Identity keys in the database: who bears each.

A key has one holder, whoever claimed it first; `shared_identity` names its other bearers. When a
holder gives a key up, the oldest of the others holds it.
"""

from collections.abc import Iterable, Mapping, Sequence
from uuid import UUID

from leadflood.domain.leads.repository.leads import lock_leads, mark_before_locks, release_locks
from leadflood.domain.leads.repository.profiles import find_survivors
from leadflood.domain.leads.rules.identity_graph import MOST_BEARERS, Bearer, make_bearer
from leadflood.domain.leads.schemas.identity import IdentityKey
from leadflood.engine.db.sql import load_queries
from leadflood.engine.db.tx import Reader, Row, Tx

SQL = load_queries(__file__)


async def claim_keys(tx: Tx, claims: Mapping[IdentityKey, UUID]) -> dict[IdentityKey, UUID]:
    """Claim keys for leads in sorted order; return those that others hold, with their holder.

    Waits: for another transaction that claims one of the keys, until it ends.
    """
    ordered = sorted(claims)
    if not ordered:
        return {}
    inserted = await tx.fetch(
        SQL.claim_keys,
        kinds=[key.kind for key in ordered],
        values=[key.value for key in ordered],
        lead_ids=[claims[key] for key in ordered],
    )
    if len(inserted) == len(ordered):
        return {}
    claimed = {IdentityKey(row["kind"], row["value"]) for row in inserted}
    return await find_holders(tx, [key for key in ordered if key not in claimed])


async def find_holders(db: Reader, keys: Iterable[IdentityKey]) -> dict[IdentityKey, UUID]:
    """Find the holders of keys; those that nobody holds are left out."""
    rows = await db.fetch(SQL.find_holders, **_columns(list(keys)))
    return {IdentityKey(row["kind"], row["value"]): row["lead_id"] for row in rows}


async def assign_keys(tx: Tx, owners: Iterable[tuple[IdentityKey, UUID]]) -> None:
    """Hand claimed keys to known leads, in sorted order."""
    ordered = sorted(owners)
    if ordered:
        lead_ids = [lead_id for _, lead_id in ordered]
        await tx.execute(
            SQL.assign_keys, **_columns([key for key, _ in ordered]), lead_ids=lead_ids
        )


async def share_keys(
    tx: Tx, bearers: Iterable[tuple[IdentityKey, UUID]]
) -> set[tuple[IdentityKey, UUID]]:
    """Record that leads bear keys too that others hold; return what is new of it."""
    ordered = sorted(set(bearers))
    if not ordered:
        return set()
    rows = await tx.fetch(
        SQL.share_keys,
        **_columns([key for key, _ in ordered]),
        lead_ids=[lead_id for _, lead_id in ordered],
    )
    return {(IdentityKey(row["kind"], row["value"]), row["lead_id"]) for row in rows}


async def release_keys(tx: Tx, bearers: Iterable[tuple[IdentityKey, UUID]]) -> None:
    """Take keys from these leads; the oldest other bearer of each holds it now."""
    pairs = sorted(set(bearers))
    if pairs:
        columns = _columns([key for key, _ in pairs])
        lead_ids = [lead_id for _, lead_id in pairs]
        await tx.execute(SQL.stop_sharing, **columns, lead_ids=lead_ids)
        await _hand_down(tx, await tx.fetch(SQL.release_keys, **columns, lead_ids=lead_ids))


async def release_keys_of_leads(tx: Tx, lead_ids: Iterable[UUID]) -> None:
    """Take all keys from these leads; the oldest other bearer of each holds it now."""
    ids = list(lead_ids)
    await tx.execute(SQL.stop_sharing_of_leads, lead_ids=ids)
    await _hand_down(tx, await tx.fetch(SQL.release_keys_of_leads, lead_ids=ids))


async def find_bearers(db: Reader, keys: Iterable[IdentityKey]) -> list[Bearer]:
    """Find the leads that bear keys, each with all that are one with it."""
    ids = await _find_bearer_ids(db, keys)
    return await describe_leads(db, ids) if ids else []


async def lock_bearers(
    tx: Tx, keys: Iterable[IdentityKey], lead_ids: Iterable[UUID] = ()
) -> list[Bearer]:
    """Lock the leads that bear keys, these leads and all survivors; return what they are."""
    locked = await _lock(tx, list(keys), set(lead_ids))
    return await describe_leads(tx, locked) if locked else []


async def lock_survivors(tx: Tx, lead_ids: Iterable[UUID]) -> dict[UUID, UUID]:
    """Lock leads and their survivors; return the survivor of each, without those that are gone."""
    return await _lock(tx, [], set(lead_ids))


async def _lock(tx: Tx, keys: Sequence[IdentityKey], lead_ids: set[UUID]) -> dict[UUID, UUID]:
    """Lock leads, those that bear keys, and all survivors in one sorted go; return the survivors.

    Where others turn out to belong to them, the locks are released and taken again with those:
    taking them afterwards would be out of order, and two who do that wait for each other for ever.
    """
    pending = lead_ids | await _find_bearer_ids(tx, keys)
    if not pending:
        return {}
    await mark_before_locks(tx)
    while True:
        rows = await lock_leads(tx, pending)
        ids = lead_ids | await _find_bearer_ids(tx, keys)
        survivor_of = {row["id"]: row["id"] for row in rows}
        if not ids <= pending or any(row["merged_into"] is not None for row in rows):
            survivor_of = await find_survivors(tx, ids)
        if pending >= {*ids, *survivor_of.values()}:
            return {lead_id: survivor_of[lead_id] for lead_id in ids if lead_id in survivor_of}
        pending |= {*ids, *survivor_of.values()}
        await release_locks(tx)


async def _find_bearer_ids(db: Reader, keys: Iterable[IdentityKey]) -> set[UUID]:
    ordered = sorted(set(keys))
    if not ordered:
        return set()
    rows = await db.fetch(SQL.find_bearers, **_columns(ordered), most=MOST_BEARERS)
    return {row["lead_id"] for row in rows}


async def describe_leads(db: Reader, lead_ids: Iterable[UUID]) -> list[Bearer]:
    """Return each survivor of these leads with all merged into it."""
    members = await db.fetch(SQL.find_members, ids=list(lead_ids))
    survivor_of = {row["id"]: row["survivor"] for row in members}
    keys: dict[UUID, set[IdentityKey]] = {}
    for row in await db.fetch(SQL.find_keys_of_leads, lead_ids=list(survivor_of)):
        keys.setdefault(row["lead_id"], set()).add(IdentityKey(row["kind"], row["value"]))
    bearers: dict[UUID, Bearer] = {}
    for row in await db.fetch(SQL.find_names, lead_ids=list(survivor_of)):
        bearer = make_bearer(
            row["id"],
            keys.get(row["id"], ()),
            full_name=row["full_name"] or "",
            company_name=row["company_name"] or "",
            kept_apart=row["kept_apart"],
        )
        survivor = survivor_of[row["id"]]
        family = bearers.get(survivor)
        bearers[survivor] = bearer if family is None else family.union(bearer)
    return list(bearers.values())


async def _hand_down(tx: Tx, released: Sequence[Row]) -> None:
    if released:
        keys = [IdentityKey(row["kind"], row["value"]) for row in released]
        await tx.execute(SQL.hand_down_keys, **_columns(keys))


def _columns(keys: Sequence[IdentityKey]) -> dict[str, list[str]]:
    return {"kinds": [key.kind for key in keys], "values": [key.value for key in keys]}
