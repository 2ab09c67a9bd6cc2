"""Identity keys in the database: which lead each belongs to."""

from collections.abc import Iterable, Mapping, Sequence
from uuid import UUID

from leadflood.domain.leads.schemas.identity import IdentityKey
from leadflood.engine.db.sql import load_queries
from leadflood.engine.db.tx import Tx

SQL = load_queries(__file__)


async def claim_keys(tx: Tx, claims: Mapping[IdentityKey, UUID]) -> dict[IdentityKey, UUID]:
    """Claim keys for leads in sorted order; return those that were taken, with their owner.

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
    lost = [key for key in ordered if key not in claimed]
    owners = await tx.fetch(
        SQL.find_owners, kinds=[key.kind for key in lost], values=[key.value for key in lost]
    )
    return {IdentityKey(row["kind"], row["value"]): row["lead_id"] for row in owners}


async def assign_keys(tx: Tx, owners: Iterable[tuple[IdentityKey, UUID]]) -> None:
    """Add keys to known leads, in sorted order."""
    ordered = sorted(owners)
    if ordered:
        await tx.execute(
            SQL.assign_keys,
            kinds=[key.kind for key, _ in ordered],
            values=[key.value for key, _ in ordered],
            lead_ids=[lead_id for _, lead_id in ordered],
        )


async def release_keys(tx: Tx, keys: Sequence[IdentityKey], lead_ids: Iterable[UUID]) -> None:
    """Release keys of these leads, so that their new owner may be created."""
    if keys:
        await tx.execute(
            SQL.release_keys,
            kinds=[key.kind for key in keys],
            values=[key.value for key in keys],
            lead_ids=list(lead_ids),
        )


async def withdraw_claims(tx: Tx, lead_ids: Iterable[UUID]) -> None:
    """Release all keys that were claimed for leads that are not created."""
    await tx.execute(SQL.withdraw_claims, lead_ids=list(lead_ids))
