"""Use cases of leads: create them, look at them."""

from collections.abc import Sequence
from uuid import UUID

from leadflood.domain.leads.identity import identity_keys
from leadflood.domain.leads.making import CreateResult, LeadRequest, create_leads
from leadflood.domain.leads.reading import find, find_many
from leadflood.domain.leads.rules import found_in_input, read_input
from leadflood.domain.leads.schemas import LeadInput, LeadView
from leadflood.domain.leads.writing import Prepared, prepare
from leadflood.engine.clock import Clock
from leadflood.engine.db.tx import Reader, Tx
from leadflood.engine.errors import Invalid, NotFound
from leadflood.engine.ids import Ids


class LeadService:
    """Leads one by one or many. What it returns, the caller queues in its run."""

    def __init__(self, ids: Ids, clock: Clock) -> None:
        self._ids = ids
        self._clock = clock

    def prepare(self, given: LeadInput) -> Prepared:
        """Read what a request says of a person, before any transaction.

        Raises: Invalid with the fields.
        """
        values, problems = read_input(given)
        if problems:
            raise Invalid.of(problems, prefix="the lead cannot be created")
        found = found_in_input(given, values, self._clock.now())
        return prepare(found, identity_keys(found))

    async def create_many(self, tx: Tx, requests: Sequence[LeadRequest]) -> Sequence[CreateResult]:
        """Create the leads of many requests; a Conflict stands in the place of a known person.

        None: it came together with another of the same keys; ask again after this transaction.
        """
        return await create_leads(tx, requests, self._ids, self._clock.now())

    async def get(self, db: Reader, lead_id: UUID) -> LeadView:
        """Tell everything known of a lead; of a merged one, its survivor. Raises: NotFound."""
        view = await find(db, lead_id)
        if view is None:
            raise NotFound(f"there is no lead {lead_id}", code="leads.not_found")
        return view

    async def find_many(self, db: Reader, lead_ids: Sequence[UUID]) -> dict[UUID, LeadView]:
        """Tell everything known of leads, by the id asked for; those that are gone are left out."""
        return await find_many(db, lead_ids)
