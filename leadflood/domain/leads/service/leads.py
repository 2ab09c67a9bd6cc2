"""Leads as they are shown: one, many, the tags in use, the deleted ones."""

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from leadflood.domain.auth.schemas.principals import EVERYTHING, Visibility
from leadflood.domain.leads.repository import lead_rows
from leadflood.domain.leads.repository.profiles import find_survivors, find_views
from leadflood.domain.leads.schemas.lead_states import DeletedLead, LeadState, TagCount
from leadflood.domain.leads.schemas.profiles import LeadView
from leadflood.engine.db.tx import Reader
from leadflood.engine.errors import NotFound


class LeadService:
    """The use cases of looking at leads."""

    async def get(self, db: Reader, lead_id: UUID, visibility: Visibility = EVERYTHING) -> LeadView:
        """Return all that is known of a lead; of a merged one, its survivor. Raises: NotFound."""
        view = (await find_views(db, [lead_id])).get(lead_id)
        if view is None or not visibility.allows(view.owner):
            raise lead_not_found(lead_id)
        return view

    async def get_state(self, db: Reader, lead_id: UUID) -> LeadState:
        """Return what people change of a lead; of a merged one, its survivor. Raises: NotFound."""
        survivor = (await find_survivors(db, [lead_id])).get(lead_id, lead_id)
        state = (await lead_rows.find_states(db, [survivor])).get(survivor)
        if state is None:
            raise lead_not_found(lead_id)
        return state

    async def find_many(self, db: Reader, lead_ids: Sequence[UUID]) -> dict[UUID, LeadView]:
        """Return all that is known of leads, by the id asked for; those gone are left out."""
        return await find_views(db, lead_ids)

    async def list_tags(self, db: Reader, visibility: Visibility) -> list[TagCount]:
        """List the tags in use, each with its leads, counted up to a bound."""
        return await lead_rows.list_tags(db, visibility)

    async def list_deleted(
        self,
        db: Reader,
        visibility: Visibility,
        before: tuple[datetime, UUID] | None,
        limit: int,
    ) -> list[DeletedLead]:
        """List deleted leads, the last deleted first, behind a position."""
        return await lead_rows.list_deleted(db, visibility, before, limit)


def lead_not_found(lead_id: UUID) -> NotFound:
    """Return the error of a lead that is gone or hidden."""
    return NotFound(f"there is no lead {lead_id}", code="leads.not_found")
