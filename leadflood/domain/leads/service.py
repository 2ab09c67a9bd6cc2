"""Use cases of leads: create many, look at them."""

from collections.abc import Sequence
from uuid import UUID

from leadflood.domain.leads import store
from leadflood.domain.leads.making import (
    Made,
    ReadPerson,
    WantedLead,
    make_leads,
    read_person,
)
from leadflood.domain.leads.schemas import (
    LeadInput,
    LeadView,
)
from leadflood.engine.clock import Clock
from leadflood.engine.db.tx import Reader, Tx
from leadflood.engine.errors import NotFound
from leadflood.engine.ids import Ids


class LeadService:
    """Leads by hand, by the API and by file. What it returns, the caller queues in its run."""

    def __init__(self, ids: Ids, clock: Clock) -> None:
        self._ids = ids
        self._clock = clock

    def read(self, given: LeadInput) -> ReadPerson:
        """Read what a request says of a person. Raises: Invalid with the fields."""
        return read_person(given, self._clock.now())

    async def create_many(self, tx: Tx, wanted: Sequence[WantedLead]) -> Sequence[Made]:
        """Make the leads of many requests; what is refused is told in its place.

        None: asked for together with another of the same keys; ask again after this transaction.
        """
        return await make_leads(tx, wanted, self._ids, self._clock.now())

    async def get(self, db: Reader, lead_id: UUID) -> LeadView:
        """Tell everything known of a lead; of a merged one, its survivor. Raises: NotFound."""
        view = await store.find(db, lead_id)
        if view is None:
            raise NotFound(f"there is no lead {lead_id}", code="leads.not_found")
        return view

    async def find_many(self, db: Reader, lead_ids: Sequence[UUID]) -> dict[UUID, LeadView]:
        """Tell everything known of leads, by the id asked for; those that are gone are left out."""
        return await store.find_many(db, lead_ids)
