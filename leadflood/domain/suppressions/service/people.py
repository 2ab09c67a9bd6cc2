"""People: a lead with all leads that are the same person."""

from uuid import UUID

from leadflood.domain.leads.schemas.profiles import LeadProfile
from leadflood.domain.leads.service import kernel as leads
from leadflood.domain.suppressions import repository
from leadflood.engine.db.tx import Reader, Tx
from leadflood.engine.errors import NotFound


async def find_family(db: Reader, lead_id: UUID) -> tuple[UUID, ...]:
    """List every lead that is this person; a lead that is gone stands for itself."""
    return await repository.find_family(db, lead_id)


async def lock_person(tx: Tx, lead_id: UUID) -> LeadProfile:
    """Return who a lead is, locked so that nobody else changes what they agreed to.

    Raises: NotFound.
    """
    profile = (await leads.find_profiles(tx, [lead_id])).get(lead_id)
    if profile is None or profile.is_deleted:
        raise NotFound(f"there is no lead {lead_id}", code="leads.not_found")
    await leads.lock_states(tx, [profile.lead_id])
    return profile
