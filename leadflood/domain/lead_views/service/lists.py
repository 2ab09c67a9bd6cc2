"""Lists of leads: a page, how many there are, and the leads of one moment."""

from collections import OrderedDict
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from leadflood.contracts.text_search import read_search
from leadflood.domain.lead_views.repository import lists
from leadflood.domain.lead_views.schemas import LeadFilter, LeadPaging, ListedLead, Total
from leadflood.domain.lead_views.service.snapshots import LeadSnapshot
from leadflood.engine.clock import REAL_TIME
from leadflood.engine.db.pool import Database
from leadflood.engine.db.tx import Tx

CACHE_SECONDS = 60.0
MAX_CACHED = 1_000


class LeadLists:
    """Lists of leads: a page, how many there are, all of them in pieces.

    That more leads fit a filter, or hold some words, than are counted is cached for a minute:
    finding it out can cost more than the page. Up to the bound, each count is made anew.
    """

    def __init__(self, db: Database) -> None:
        self._db = db
        self._common_words: OrderedDict[str, float] = OrderedDict()
        self._estimates: OrderedDict[LeadFilter, tuple[float, Total]] = OrderedDict()

    async def list_page(
        self, lead_filter: LeadFilter, paging: LeadPaging
    ) -> tuple[list[ListedLead], Total]:
        """List leads with their newest score, in the order asked for, and count all that fit."""
        words = None if lead_filter.q is None else read_search(lead_filter.q)
        async with self._db.transaction() as tx:
            await lists.plan_by_values(tx)
            is_common = self._common_words.get(words or "", 0.0) > REAL_TIME.monotonic()
            params = await lists.read_filter(tx, lead_filter, words, is_common=is_common)
            if words and params["is_common"] and not is_common:
                self._cache_common(words)
            page = await lists.list_page(tx, params, paging)
            total = self._cached(lead_filter) or await self._count(tx, lead_filter, params)
            return page, total

    def _cache_common(self, words: str) -> None:
        self._common_words[words] = REAL_TIME.monotonic() + CACHE_SECONDS
        if len(self._common_words) > MAX_CACHED:
            self._common_words.popitem(last=False)

    def _cached(self, lead_filter: LeadFilter) -> Total | None:
        entry = self._estimates.get(lead_filter)
        return None if entry is None or entry[0] < REAL_TIME.monotonic() else entry[1]

    async def _count(self, tx: Tx, lead_filter: LeadFilter, params: dict[str, Any]) -> Total:
        total = await lists.count_leads(tx, params)
        if total.is_estimate:
            self._estimates[lead_filter] = (REAL_TIME.monotonic() + CACHE_SECONDS, total)
            self._estimates.move_to_end(lead_filter)
            if len(self._estimates) > MAX_CACHED:
                self._estimates.popitem(last=False)
        else:
            self._estimates.pop(lead_filter, None)
        return total

    @asynccontextmanager
    async def snapshot(self, lead_filter: LeadFilter) -> AsyncIterator[LeadSnapshot]:
        """Hold the leads of one moment while the block runs; later changes are not seen."""
        words = None if lead_filter.q is None else read_search(lead_filter.q)
        async with self._db.transaction() as tx:
            await lists.take_snapshot(tx)
            await lists.plan_by_values(tx)
            yield LeadSnapshot(tx, await lists.read_filter(tx, lead_filter, words))
