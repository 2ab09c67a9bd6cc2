"""Runs: the only place where a run and its budget are made; who sees, who stops, how far it is."""

from collections.abc import Sequence
from uuid import UUID

import msgspec

from leadflood.domain.auth.schemas.principals import Principal, Visibility
from leadflood.domain.runs.repository import has_waiting_messages
from leadflood.domain.runs.rules import settle_cap
from leadflood.domain.runs.schemas import (
    BudgetDefaults,
    CapChange,
    RunCancellation,
    RunLimits,
    RunReport,
)
from leadflood.domain.runs.service.reports import RunReports
from leadflood.engine.clock import Clock
from leadflood.engine.db.tx import Reader, Tx
from leadflood.engine.disk import DiskWatch
from leadflood.engine.errors import Conflict, Denied, NotFound
from leadflood.engine.ids import Ids
from leadflood.engine.queue import runs
from leadflood.engine.queue.runs import NewRun, Run, RunFilter


class RunService:
    """The use cases of runs. `budget` holds the caps of runs whose callers name none.

    `disk` is where the database grows: with little room no run is opened (DiskLow).
    """

    def __init__(
        self, db: Reader, ids: Ids, clock: Clock, budget: BudgetDefaults, disk: DiskWatch
    ) -> None:
        self._db = db
        self._ids = ids
        self._clock = clock
        self._budget = budget
        self._disk = disk
        self._reports = RunReports(db)

    def resolve(self, limits: RunLimits) -> RunLimits:
        """Return the limits with the caps that a run gets: those named, else the settings'.

        Those of the settings are also the highest, for who may not exceed them.
        """
        if not limits.has_default_caps:
            return limits
        may_exceed = limits.opener.may_exceed_caps
        return msgspec.structs.replace(
            limits,
            cap_micros=settle_cap(limits.cap_micros, self._budget.run_micros, may_exceed),
            lead_cap_micros=settle_cap(
                limits.lead_cap_micros, self._budget.lead_micros, may_exceed
            ),
            has_default_caps=False,
        )

    @property
    def has_room(self) -> bool:
        """Whether the disk has room for more runs."""
        return not self._disk.trouble()

    def require_room(self) -> None:
        """Refuse what makes the database grow while its disk has little room. Raises: DiskLow."""
        self._disk.require_room()

    async def open_run(
        self,
        db: Reader,
        kind: str,
        limits: RunLimits,
        *,
        title: str,
        run_id: UUID | None = None,
        is_shared: bool = False,
    ) -> UUID:
        """Open a run with its budget, under an id of its own or the one given; return its id.

        `is_shared`: those who see only their own see it too, whoever opened it.
        """
        new = self._new_run(kind, limits, title, run_id)
        new = msgspec.structs.replace(new, is_shared=is_shared)
        return await runs.create(db, new, self._clock.now())

    async def open_runs(
        self, tx: Tx, kind: str, limits: Sequence[RunLimits], *, title: str
    ) -> list[UUID]:
        """Open a run for each of these limits, all in one statement; return their ids."""
        new = [self._new_run(kind, run_limits, title) for run_limits in limits]
        await runs.create_many(tx, new, self._clock.now())
        return [run.id for run in new]

    async def resume_or_open_run(
        self,
        db: Reader,
        kind: str,
        limits: RunLimits,
        *,
        title: str,
        key: str,
        is_loading: bool = False,
    ) -> tuple[UUID, bool]:
        """Open a run, or find the one with the same key; return its id and whether it is new.

        `is_loading`: it is filled part by part and cannot end before its loading has finished.
        """
        new = self._new_run(kind, limits, title)
        new = msgspec.structs.replace(new, key=key, is_loading=is_loading)
        run_id = await runs.create(db, new, self._clock.now())
        return run_id, run_id == new.id

    def _new_run(
        self, kind: str, limits: RunLimits, title: str, run_id: UUID | None = None
    ) -> NewRun:
        self.require_room()
        limits = self.resolve(limits)
        return NewRun(
            id=run_id or self._ids.new(),
            kind=kind,
            title=title,
            sends=limits.sends.value,
            providers=limits.providers,
            cap_micros=limits.cap_micros,
            lead_cap_micros=limits.lead_cap_micros,
            opened_by=limits.opener.user_id,
            repeats=limits.repeats,
        )

    async def get(self, run_id: UUID) -> Run:
        """Return a run. Raises: NotFound."""
        return await runs.get(self._db, run_id)

    async def list_page(
        self, run_filter: RunFilter, visibility: Visibility, before: UUID | None, limit: int
    ) -> list[Run]:
        """List runs of any kind, newest first, behind a position.

        Who sees only their own sees the runs they opened, and searches, which are everybody's.
        """
        run_filter = msgspec.structs.replace(run_filter, owner=visibility.owner)
        return await runs.list_page(self._db, run_filter, before, limit)

    async def get_report(self, run_id: UUID, visibility: Visibility) -> RunReport:
        """Return a run with its leads stage by stage, its jobs and its money. Raises: NotFound."""
        return await self._reports.report(await get_visible(self._db, run_id, visibility))

    async def cancel(self, tx: Tx, run_id: UUID, by: str) -> RunCancellation:
        """Cancel a run of any kind: its waiting jobs are swept, what is at work is finished.

        Raises: NotFound.
        """
        has_waiting = await has_waiting_messages(tx, run_id)
        is_new = await runs.cancel(tx, run_id, by, self._clock.now(), can_go_on=has_waiting)
        return RunCancellation(await runs.get(tx, run_id), is_new)

    async def change_caps(
        self, tx: Tx, run_id: UUID, change: CapChange, visibility: Visibility
    ) -> Run:
        """Change what a run may cost, also of one that has ended: its messages may wait for it.

        What its leads went without stays as it is. Raises: NotFound; Conflict when cancelled.
        """
        run = await get_visible(tx, run_id, visibility)
        cap, lead_cap = change.cap_micros, change.lead_cap_micros
        changed = await runs.change_caps(
            tx,
            run_id,
            run.cap_micros if cap is msgspec.UNSET else cap,
            run.lead_cap_micros if lead_cap is msgspec.UNSET else lead_cap,
        )
        if not changed:
            raise Conflict("the run was cancelled: start another one", code="run.cancelled")
        return await runs.get(tx, run_id)

    async def cancel_as(self, tx: Tx, run_id: UUID, principal: Principal) -> RunCancellation:
        """Cancel a run of the principal. Raises: NotFound; Denied for one of another."""
        run = await get_visible(tx, run_id, principal.visibility)
        if not principal.visibility.allows_change_of_run(run):
            raise Denied(
                "somebody else opened this run: ask them, or somebody who sees all leads",
                code="run.of_another",
            )
        return await self.cancel(tx, run_id, principal.by)


async def get_visible(db: Reader, run_id: UUID, visibility: Visibility) -> Run:
    """Return a run. Raises: NotFound, also where it is hidden."""
    run = await runs.get(db, run_id)
    if not visibility.allows_run(run):
        raise NotFound(f"there is no run {run_id}", code="run.not_found")
    return run
