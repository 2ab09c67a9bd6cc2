"""Use cases of discovery: start one, look at one."""

from collections.abc import Sequence
from datetime import timedelta
from uuid import UUID

from leadflood.domain.discovery import store
from leadflood.domain.discovery.rules import name_ask
from leadflood.domain.discovery.schemas import (
    Begun,
    DiscoveryView,
    NewDiscovery,
    PageView,
    PageWanted,
    RecordFilter,
    RecordView,
)
from leadflood.engine.clock import Clock
from leadflood.engine.db.tx import Reader, Tx
from leadflood.engine.errors import Conflict, FieldProblem, Invalid, NotFound

MOST_LEADS = 1_000_000
SAME_FOR = timedelta(days=1)
"""For how long a search that asks for the same is the same search."""


class DiscoveryService:
    """Starts discoveries and tells how they stand. `sources` are the providers that can search."""

    def __init__(self, clock: Clock, sources: Sequence[str]) -> None:
        self._clock = clock
        self._sources = tuple(sources)

    @property
    def sources(self) -> tuple[str, ...]:
        """Tell the providers that can search, the first being the default."""
        return self._sources

    async def start(self, tx: Tx, new: NewDiscovery) -> PageWanted:
        """Write the discovery of a run; the caller queues the page it returns, in the run.

        Raises: Invalid naming the field; Conflict when the run has a discovery already.
        """
        problems = self._problems(new)
        if problems:
            raise Invalid(
                "the discovery cannot start: " + "; ".join(p.problem for p in problems), problems
            )
        if not await store.record_run(tx, new, self._clock.now()):
            raise Conflict(
                f"run {new.run_id} has a discovery already: start another run",
                code="discovery.run.exists",
            )
        return PageWanted(discovery_run_id=new.run_id, cursor=None, page=1)

    async def find_same(self, tx: Tx, ask_hash: bytes) -> Begun | None:
        """Find a search for the same that was begun within a day, and did not fail.

        Waits: for equal requests that are being answered, on whatever node.
        """
        return await store.find_same(tx, ask_hash, self._clock.now() - SAME_FOR)

    async def note_first_job(self, tx: Tx, run_id: UUID, job_id: UUID) -> None:
        """Keep which job brings the first page, for whoever asks for the same."""
        await store.note_first_job(tx, run_id, job_id)

    def name_ask(self, *asked: object) -> bytes:
        """Name all that a search is asked for: equal requests, equal name."""
        return name_ask(*asked)

    async def get(self, db: Reader, run_id: UUID) -> DiscoveryView:
        """Tell how a discovery stands. Raises: NotFound."""
        view = await store.find_view(db, run_id)
        if view is None:
            raise NotFound(f"there is no discovery run {run_id}", code="discovery.run.not_found")
        return view

    async def list_pages(
        self, db: Reader, run_id: UUID, after: int = 0, limit: int = 100
    ) -> Sequence[PageView]:
        """List what the source was asked and what it answered, page by page."""
        return await store.list_pages(db, run_id, after, limit)

    async def inspect_records(
        self, db: Reader, run_id: UUID, wanted: RecordFilter, after: int = 0, limit: int = 100
    ) -> Sequence[RecordView]:
        """List why each record was kept or refused, in order, behind a position."""
        return await store.inspect_records(db, run_id, wanted, after, limit)

    def _problems(self, new: NewDiscovery) -> tuple[FieldProblem, ...]:
        problems = []
        if new.provider not in self._sources:
            can = ", ".join(self._sources) or "none is configured"
            problems.append(
                FieldProblem("provider", f"{new.provider!r} cannot search for people; can: {can}")
            )
        if not 0 < new.wanted_count <= MOST_LEADS:
            problems.append(
                FieldProblem(
                    "maxLeads", f"write a number from 1 to {MOST_LEADS}, not {new.wanted_count}"
                )
            )
        return tuple(problems)
