"""Leads for other slices: upserted, described and locked in the transactions of their stages.

Everything is set-based: a commit of 500 leads runs the same few statements as a commit of one.
Locks are taken in one order by every caller: identity keys (sorted), companies (sorted), leads
(sorted), values (sorted). A merge moves nothing: it sets a pointer from the younger lead to the
older, and readers gather the rows of all leads that are one.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import datetime
from typing import Protocol
from uuid import UUID

from leadflood.contracts.found_values import FoundValue
from leadflood.domain.leads.repository import lead_rows, leads, list_columns, profiles
from leadflood.domain.leads.repository.field_values import add_companies, insert_values
from leadflood.domain.leads.repository.identity_keys import (
    claim_keys,
    lock_survivors,
    share_keys,
)
from leadflood.domain.leads.repository.leads import LeadUpdate, update_leads
from leadflood.domain.leads.rules import identity
from leadflood.domain.leads.rules.identity import names_in
from leadflood.domain.leads.rules.identity_graph import Bearer, make_bearer
from leadflood.domain.leads.rules.prepared_values import PreparedValues, prepare_values
from leadflood.domain.leads.schemas.identity import IdentityKey, LeadValues, ResolvedLead
from leadflood.domain.leads.schemas.lead_states import LeadState, LeadStatus
from leadflood.domain.leads.schemas.profiles import LeadProfile, NewScore
from leadflood.domain.leads.service.resolving import merge_known, resolve
from leadflood.engine.db.tx import Reader, Tx
from leadflood.engine.ids import Ids


class LeadTask(Protocol):
    """A task that is about one lead."""

    @property
    def lead_id(self) -> UUID:
        """The lead."""


async def raise_versions(tx: Tx, lead_ids: Iterable[UUID], now: datetime) -> None:
    """Raise the versions of leads of which another slice has changed what they show."""
    await lead_rows.raise_versions(tx, lead_ids, now)


async def record_values(
    tx: Tx, learned: Sequence[LeadValues], ids: Ids, now: datetime
) -> Sequence[ResolvedLead]:
    """Write what was learned of leads, give them their new keys and merge those that are one.

    The younger of two leads that are one points to the older. Their values stay where they are.
    Leads that are gone are left out of the answer.
    """
    if not learned:
        return ()
    prepared = [prepare_values(lead.values) for lead in learned]
    claims = _claims_of(learned)
    held_by = await claim_keys(tx, claims)
    await add_companies(tx, prepared, now)
    survivor_of, merged = await _settle(tx, learned, claims, held_by, now)
    pairs = [
        (lead, values)
        for lead, values in zip(learned, prepared, strict=True)
        if lead.lead_id in survivor_of
    ]
    await share_keys(
        tx,
        [
            (key, lead.lead_id)
            for lead, _ in pairs
            for key in lead.keys
            if held_by.get(key, claims[key]) != lead.lead_id
        ],
    )
    await insert_values(tx, [(lead.lead_id, values) for lead, values in pairs], ids, now)
    await update_leads(tx, _updates(pairs, survivor_of), now)
    await list_columns.refresh(
        tx,
        [
            survivor_of[lead.lead_id]
            for lead, values in pairs
            if values.values or survivor_of[lead.lead_id] in merged
        ],
    )
    return tuple(_resolved(lead.lead_id, survivor_of, merged) for lead, _ in pairs)


async def set_status(
    tx: Tx,
    lead_ids: Iterable[UUID],
    status: LeadStatus,
    now: datetime,
    failed_code: str | None = None,
) -> None:
    """Set the status of leads; `failed_code` goes with failed only."""
    ordered = sorted(set(lead_ids))
    if ordered:
        await leads.lock_leads(tx, ordered)
        await leads.update_status(tx, ordered, status, failed_code, now)


async def reopen_failed(
    tx: Tx, lead_ids: Iterable[UUID], status: LeadStatus, now: datetime
) -> None:
    """Give failed leads the status that they had before: what failed is tried again."""
    ordered = sorted(set(lead_ids))
    if ordered:
        await leads.lock_leads(tx, ordered)
        failed = await leads.list_failed(tx, ordered)
        await leads.update_status(tx, failed, status, None, now)


async def record_failures(
    tx: Tx, failures: Sequence[tuple[str, Sequence[LeadTask]]], now: datetime
) -> None:
    """Mark the leads of failed tasks as failed, with the code of the error they share."""
    for code, tasks in failures:
        lead_ids = [task.lead_id for task in tasks]
        await set_status(tx, lead_ids, LeadStatus.FAILED, now, code)


async def find_profiles(db: Reader, lead_ids: Iterable[UUID]) -> dict[UUID, LeadProfile]:
    """Return the profile of each lead: of its survivor and all leads merged into it.

    By the id asked for; leads that are gone are left out.
    """
    return await profiles.find_profiles(db, lead_ids)


async def find_states(db: Reader, lead_ids: Iterable[UUID]) -> dict[UUID, LeadState]:
    """Return what people change of leads; those that are gone are left out."""
    return await lead_rows.find_states(db, lead_ids)


async def lock_states(tx: Tx, lead_ids: Iterable[UUID]) -> dict[UUID, LeadState]:
    """Lock leads in the order of their ids; those that are gone are left out."""
    return await lead_rows.lock_states(tx, lead_ids)


async def write_states(
    tx: Tx, before: Sequence[LeadState], after: Sequence[LeadState], by: str, now: datetime
) -> None:
    """Write the new states of locked leads; each version rises by one."""
    await lead_rows.write_states(tx, before, after, by, now)


async def remember_tags(tx: Tx, names: Collection[str], by: str, now: datetime) -> None:
    """Remember the tags that new leads came with."""
    await lead_rows.remember_tags(tx, names, by, now)


async def lock(tx: Tx, lead_ids: Iterable[UUID]) -> None:
    """Lock leads in the order of their ids, as everybody does who changes several."""
    await leads.lock_leads(tx, lead_ids)


async def record_scores(tx: Tx, scores: Sequence[NewScore]) -> None:
    """Show new scores on their locked leads, unless a newer one is shown."""
    await list_columns.record_scores(tx, scores)


async def refresh_list_columns(tx: Tx, lead_ids: Iterable[UUID]) -> None:
    """Write anew what lists show of locked leads and which words find them."""
    await list_columns.refresh(tx, lead_ids)


async def list_ids(db: Reader, after: UUID, limit: int) -> list[UUID]:
    """List lead ids by age, behind one."""
    return await leads.list_ids(db, after, limit)


def provider_key(provider: str, provider_id: str) -> IdentityKey | None:
    """Return the identity key of a provider's own id; None where the id is no id."""
    return identity.provider_key(provider, provider_id)


def identity_keys(values: Iterable[FoundValue]) -> tuple[IdentityKey, ...]:
    """Return the identity keys that values give together, sorted."""
    return identity.identity_keys(values)


def _claims_of(learned: Sequence[LeadValues]) -> dict[IdentityKey, UUID]:
    """Return by key the oldest lead that it is claimed for."""
    claims: dict[IdentityKey, UUID] = {}
    for lead in sorted(learned, key=lambda lead: lead.lead_id.int):
        for key in lead.keys:
            claims.setdefault(key, lead.lead_id)
    return claims


async def _settle(
    tx: Tx,
    learned: Sequence[LeadValues],
    claims: Mapping[IdentityKey, UUID],
    held_by: Mapping[IdentityKey, UUID],
    now: datetime,
) -> tuple[dict[UUID, UUID], Mapping[UUID, Sequence[UUID]]]:
    """Lock leads; return the survivor of each that is there, and who was merged into whom."""
    lead_ids = [lead.lead_id for lead in learned]
    is_alone = not held_by and all(
        claims[key] == lead.lead_id for lead in learned for key in lead.keys
    )
    if is_alone:
        return await lock_survivors(tx, lead_ids), {}
    resolution = await resolve(tx, [_bearer_of(lead) for lead in learned], held_by, lead_ids)
    merged = await merge_known(tx, resolution, now)
    survivors = {lead_id: resolution.find_known(lead_id) for lead_id in lead_ids}
    return {lead: survivor for lead, survivor in survivors.items() if survivor is not None}, merged


def _bearer_of(lead: LeadValues) -> Bearer:
    full_name, company_name = names_in(lead.values)
    return make_bearer(lead.lead_id, lead.keys, full_name=full_name, company_name=company_name)


def _updates(
    pairs: Sequence[tuple[LeadValues, PreparedValues]], survivor_of: Mapping[UUID, UUID]
) -> dict[UUID, LeadUpdate]:
    """Return the updates of leads and of their survivors; who failed does not fail its survivor."""
    updates: dict[UUID, LeadUpdate] = {}
    for lead, values in pairs:
        for lead_id in {lead.lead_id, survivor_of[lead.lead_id]}:
            update = updates.setdefault(lead_id, LeadUpdate())
            update.use_company(values)
            is_its_own = lead_id == lead.lead_id or lead.status is not LeadStatus.FAILED
            if is_its_own and lead.status and update.status is not LeadStatus.ENRICHED:
                update.status, update.failed_code = lead.status, lead.failed_code
    return updates


def _resolved(
    lead_id: UUID, survivor_of: Mapping[UUID, UUID], merged: Mapping[UUID, Sequence[UUID]]
) -> ResolvedLead:
    survivor = survivor_of[lead_id]
    return ResolvedLead(lead_id, survivor, tuple(merged.get(survivor, ())))
