"""Reading across the slices, for whoever may not ask their stores."""

from collections import OrderedDict
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any
from uuid import UUID

from leadflood.contracts.text_search import read_search
from leadflood.domain.overview import listing, store
from leadflood.domain.overview.export import Writer
from leadflood.domain.overview.schemas import (
    ExportFormat,
    Funnel,
    LeadEvent,
    LeadFilter,
    LeadPaging,
    LeadPlace,
    LeadRecord,
    LeadSort,
    LeadSummary,
    ListedLead,
    RunFilter,
    RunSummary,
    Total,
)
from leadflood.engine.clock import REAL_TIME
from leadflood.engine.db.pool import Database
from leadflood.engine.db.tx import Reader, Tx


class OverviewService:
    """The numbers of a run, and what was asked about a lead."""

    def __init__(self, db: Reader) -> None:
        self._db = db

    async def count_funnel(self, run_id: UUID) -> Funnel:
        """Count how many leads of a run got how far."""
        return await store.count_funnel(self._db, run_id)

    async def marks_of(self, lead_ids: Sequence[UUID]) -> dict[UUID, str]:
        """Tell a mark for each lead's page that changes with it; gone leads are left out.

        Equal marks of one lead mean that no row its page is made of has changed.
        """
        return await store.find_marks(self._db, lead_ids)

    async def records_of(self, families: Sequence[Sequence[UUID]]) -> list[tuple[LeadRecord, ...]]:
        """List what was found and asked about each family of leads that are one, oldest first."""
        found = await store.list_lead_records(self._db, [one for each in families for one in each])
        return [
            tuple(
                sorted(
                    [record for lead_id in family for record in found.get(lead_id, ())],
                    key=lambda record: (record.at, record.kind, record.provider),
                )
            )
            for family in families
        ]

    async def list_discovery_runs(
        self, wanted: RunFilter, before: UUID | None, limit: int
    ) -> list[RunSummary]:
        """List discovery runs, newest first, behind a place."""
        return await store.list_discovery_runs(self._db, wanted, before, limit)

    async def list_lead_events(
        self, lead_id: UUID, before: UUID | None, limit: int
    ) -> list[LeadEvent]:
        """List what happened to a lead, newest first, behind a place."""
        return await store.list_lead_events(self._db, lead_id, before, limit)


MANY_SECONDS = 60.0
MOST_REMEMBERED = 1_000
PIECE = 1_000
"""Leads in a piece of an export: some 250 kB, read in about ten milliseconds."""


class LeadListService:
    """Lists of leads: a page, how many there are, all of them in pieces.

    That more leads fit a filter, or hold some words, than are counted is remembered for a minute:
    finding it out can cost more than the page. Up to the bound, each count is made anew.
    """

    def __init__(self, db: Database) -> None:
        self._db = db
        self._common: OrderedDict[str, float] = OrderedDict()
        self._many: OrderedDict[LeadFilter, tuple[float, Total]] = OrderedDict()

    async def list_page(
        self, wanted: LeadFilter, paging: LeadPaging
    ) -> tuple[list[ListedLead], Total]:
        """List leads with their newest score, in the order asked for, and count all that fit."""
        words = None if wanted.q is None else read_search(wanted.q)
        async with self._db.transaction() as tx:
            await listing.plan_by_values(tx)
            are_common = self._common.get(words or "", 0.0) > REAL_TIME.monotonic()
            given = await listing.read_filter(tx, wanted, words, are_common=are_common)
            if words and given["is_common"] and not are_common:
                self._remember_common(words)
            found = await listing.list_page(tx, given, paging)
            return found, self._remembered(wanted) or await self._count(tx, wanted, given)

    def _remember_common(self, words: str) -> None:
        self._common[words] = REAL_TIME.monotonic() + MANY_SECONDS
        if len(self._common) > MOST_REMEMBERED:
            self._common.popitem(last=False)

    def _remembered(self, wanted: LeadFilter) -> Total | None:
        known = self._many.get(wanted)
        return None if known is None or known[0] < REAL_TIME.monotonic() else known[1]

    async def _count(self, tx: Tx, wanted: LeadFilter, given: dict[str, Any]) -> Total:
        total = await listing.count(tx, given)
        if total.is_estimate:
            self._many[wanted] = (REAL_TIME.monotonic() + MANY_SECONDS, total)
            self._many.move_to_end(wanted)
            if len(self._many) > MOST_REMEMBERED:
                self._many.popitem(last=False)
        else:
            self._many.pop(wanted, None)
        return total

    @asynccontextmanager
    async def snapshot(self, wanted: LeadFilter) -> AsyncIterator["LeadSnapshot"]:
        """Hold the leads of one moment while the block runs; what changes meanwhile is not seen."""
        words = None if wanted.q is None else read_search(wanted.q)
        async with self._db.transaction() as tx:
            await listing.take_snapshot(tx)
            await listing.plan_by_values(tx)
            yield LeadSnapshot(tx, await listing.read_filter(tx, wanted, words))


class LeadSnapshot:
    """The leads of one moment that fit a filter."""

    def __init__(self, tx: Tx, given: dict[str, Any]) -> None:
        self._tx = tx
        self._given = given

    async def count(self) -> int:
        """Count them all."""
        return await listing.count_all(self._tx, self._given)

    async def file(self, form: ExportFormat, *, has_bom: bool = False) -> AsyncIterator[bytes]:
        """Give them as a file, oldest first, in pieces; memory holds one of them."""
        writer = Writer(form, has_bom=has_bom)
        yield writer.begin()
        async for leads_of_piece in self._pieces(PIECE):
            yield writer.add(leads_of_piece)
        yield writer.end()

    async def ids(self, most: int) -> list[UUID]:
        """Name them, oldest first; more than `most` are not looked at to their end."""
        found: list[UUID] = []
        async for piece in self._pieces(PIECE):
            found += [lead.id for lead in piece]
            if len(found) > most:
                break
        return found

    async def _pieces(self, size: int) -> AsyncIterator[Sequence[LeadSummary]]:
        after: LeadPlace | None = None
        while True:
            paging = LeadPaging(sort=LeadSort.OLDEST, after=after, limit=size)
            found = await listing.list_page(self._tx, self._given, paging)
            if found:
                yield [one.lead for one in found]
                after = found[-1].place
            if len(found) < size:
                return
