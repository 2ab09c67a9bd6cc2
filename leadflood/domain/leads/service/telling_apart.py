"""Telling leads apart: what the search for duplicates needs to know, and a person's word."""

from collections.abc import Iterable, Sequence
from datetime import datetime
from uuid import UUID

from leadflood.contracts.normalization.companies import company_key
from leadflood.domain.auth.schemas.principals import Editor
from leadflood.domain.leads.repository import unsearched
from leadflood.domain.leads.rules.identity_graph import Bearer
from leadflood.domain.leads.schemas.identity import LeadIdentity
from leadflood.domain.leads.service.locking import lock_pair, require_visible
from leadflood.engine.db.tx import Reader, Tx


async def take_unsearched(tx: Tx, limit: int, now: datetime) -> list[UUID]:
    """Take leads that changed since their duplicates were looked for; two nodes take others."""
    return await unsearched.take_unsearched(tx, limit, now)


async def record_searched(tx: Tx, lead_ids: Sequence[UUID], taken_at: datetime) -> None:
    """Record that leads taken then are searched, but for those that changed meanwhile."""
    await unsearched.record_searched(tx, lead_ids, taken_at)


async def describe(db: Reader, lead_ids: Iterable[UUID]) -> list[LeadIdentity]:
    """Return the survivors of leads as they are compared; leads that are gone are left out."""
    bearers, company_of = await unsearched.describe(db, lead_ids)
    return [
        _identity(bearer, (company_of[member] for member in bearer.members if member in company_of))
        for bearer in bearers
    ]


async def keep_from_going(tx: Tx, lead_ids: Iterable[UUID]) -> set[UUID]:
    """Lock leads against deletion; return those that stay."""
    return await unsearched.keep_from_going(tx, lead_ids)


async def wait_and_keep(tx: Tx, lead_ids: Iterable[UUID]) -> set[UUID]:
    """Lock leads against deletion, after those who delete them; return those that are left.

    Call it before the transaction locks anything else.
    """
    return await unsearched.wait_and_keep(tx, lead_ids)


async def tell_apart(
    tx: Tx, lead_id: UUID, other_id: UUID, editor: Editor, now: datetime
) -> tuple[UUID, UUID]:
    """Record that two leads are two people's, never to be merged by themselves; return both.

    Raises: NotFound, also for a lead that is hidden from the editor.
    """
    pair = await lock_pair(tx, lead_id, other_id)
    for lead, requested_id in zip(pair, (lead_id, other_id), strict=True):
        require_visible(lead, requested_id, editor)
    first, second = sorted(lead.id for lead in pair)
    await unsearched.keep_apart(tx, [(first, second), (second, first)], now)
    return first, second


def _identity(bearer: Bearer, companies: Iterable[str]) -> LeadIdentity:
    organisations = {name for name, _ in bearer.organisations}
    return LeadIdentity(
        id=bearer.id,
        names=tuple(sorted(bearer.names)),
        organisations=tuple(sorted(organisations)),
        companies=tuple(sorted({company_key(company) for company in companies} - organisations)),
        keys=tuple(sorted(bearer.keys)),
        kept_apart=bearer.kept_apart,
    )
