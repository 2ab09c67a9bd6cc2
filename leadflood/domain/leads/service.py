"""Use cases of leads: create one, look at one, import a file, undo a merge."""

from collections.abc import Sequence
from uuid import UUID

from anyio import to_thread

from leadflood.domain.leads import importing, store
from leadflood.domain.leads.imports import read_csv
from leadflood.domain.leads.making import Made, make_leads
from leadflood.domain.leads.rules import (
    CSV_SOURCE,
    found_in_row,
    keys_of_row,
)
from leadflood.domain.leads.schemas import (
    ImportCount,
    ImportRow,
    LeadCreated,
    LeadInput,
    LeadStatus,
    LeadView,
    NewImport,
    NewPerson,
    ReadCsv,
    WantedLead,
)
from leadflood.engine.clock import Clock
from leadflood.engine.db.tx import Reader, Tx
from leadflood.engine.errors import Bug, NotFound
from leadflood.engine.ids import Ids


class LeadService:
    """Leads by hand, by the API and by file. What it returns, the caller queues in its run."""

    def __init__(self, ids: Ids, clock: Clock) -> None:
        self._ids = ids
        self._clock = clock

    async def create(self, tx: Tx, given: LeadInput, icp_id: UUID) -> LeadCreated:
        """Make one lead.

        Raises: Invalid with the fields; Conflict when the e-mail, or whatever else tells who it
        is, belongs to a lead already (roll the transaction back).
        """
        (made,) = await self.create_many(tx, [WantedLead(given=given, icp_id=icp_id)])
        if not isinstance(made, LeadCreated):
            raise made or Bug("a lead asked for alone cannot share its keys with another")
        return made

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

    async def unmerge(self, tx: Tx, lead_id: UUID, by: str) -> None:
        """Undo a merge for good. Raises: NotFound when it is not merged."""
        await store.unmerge(tx, lead_id, by, self._ids, self._clock.now())

    async def read_file(self, raw: bytes) -> ReadCsv:
        """Read a CSV file, in a thread. Raises: Invalid, saying what to change."""
        return await to_thread.run_sync(read_csv, raw)

    async def start_import(self, tx: Tx, new: NewImport, read: ReadCsv) -> bool:
        """Write a file and its bad rows; False when the run has it already (it goes on then)."""
        return await importing.record_import(tx, new, read, self._clock.now())

    async def import_rows(
        self, tx: Tx, new: NewImport, rows: Sequence[ImportRow]
    ) -> Sequence[LeadCreated]:
        """Make leads of a chunk of rows (500 is a good one); rows that are in are left out.

        A lead that several rows of a file name is created, and scored, once; for one that
        somebody has deleted nothing is done.
        """
        done = await importing.numbers_in(tx, new.run_id, [row.number for row in rows])
        fresh = [row for row in rows if row.number not in done]
        if not fresh:
            return ()
        now = self._clock.now()
        people = [
            NewPerson(
                source=CSV_SOURCE,
                values=found_in_row(row, now),
                keys=keys_of_row(row),
                status=LeadStatus.PROCESSING,
            )
            for row in fresh
        ]
        upserted = await store.upsert(tx, people, self._ids, now)
        lead_ids = [one.lead_id for one in upserted]
        known = await importing.leads_in(tx, new.run_id, lead_ids)
        await importing.record_rows(tx, new.run_id, fresh, lead_ids)
        created = dict.fromkeys(
            one.lead_id for one in upserted if one.lead_id not in known and not one.is_deleted
        )
        return [LeadCreated(lead_id, new.icp_id) for lead_id in created]

    async def count_import(self, db: Reader, run_id: UUID) -> ImportCount:
        """Tell how much of a run's file is in."""
        return await importing.count(db, run_id)
