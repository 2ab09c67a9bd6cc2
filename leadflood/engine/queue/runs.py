"""Runs: what may be done for a piece of work, checked where money is spent and sends are made."""

from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Literal
from uuid import UUID

import msgspec

from leadflood.engine.db.tx import Reader, Row, Tx
from leadflood.engine.errors import NotFound
from leadflood.engine.queue.repository import SQL

_BETWEEN = "\x1f"
"""Joins a run's providers on their way into the database; no name holds it."""


class NewRun(msgspec.Struct, frozen=True, kw_only=True):
    """A run to open. `providers` None allows all; a cap None is none; equal `key`s are one run.

    `is_loading`: it is filled part by part and cannot end before `finish_loading`.
    `opened_by`: the user whose money it spends; empty: nobody's. `is_shared`: everybody sees it.
    `repeats`: a person asked by name that what was done once is done again.
    """

    id: UUID
    kind: str
    title: str = ""
    sends: Literal["never", "hold", "go"] = "hold"
    providers: tuple[str, ...] | None = None
    cap_micros: int | None = None
    lead_cap_micros: int | None = None
    key: str | None = None
    is_loading: bool = False
    opened_by: str = ""
    is_shared: bool = False
    repeats: bool = False


class Run(msgspec.Struct, frozen=True, kw_only=True):
    """A run as it stands; `opened_by` and `is_shared` say whose it is, as in `NewRun`."""

    id: UUID
    kind: str
    title: str
    state: str
    sends: str
    providers: tuple[str, ...] | None
    cap_micros: int | None
    lead_cap_micros: int | None
    created_at: datetime
    ended_at: datetime | None
    cancelled: bool
    opened_by: str = ""
    is_shared: bool = False
    repeats: bool = False


class RunFilter(msgspec.Struct, frozen=True, kw_only=True):
    """A filter of runs; a field that is None does not filter.

    `owner`: those that are shared, or that this user has opened.
    """

    kind: str | None = None
    state: str | None = None
    owner: str | None = None


_NEWEST = UUID(int=2**128 - 1)
_COMMON = "lead"
"""The kind of which there are as many as things brought in: no index holds it."""


async def create(db: Reader, new: NewRun, now: datetime) -> UUID:
    """Open a run, or find the one with the same key; return its id."""
    inserted = await db.fetch_value(
        SQL.insert_run,
        id=new.id,
        kind=new.kind,
        title=new.title,
        sends=new.sends,
        providers=list(new.providers) if new.providers is not None else None,
        cap_micros=new.cap_micros,
        lead_cap_micros=new.lead_cap_micros,
        key=new.key,
        now=now,
        is_loading=new.is_loading,
        opened_by=new.opened_by,
        is_shared=new.is_shared,
        repeats=new.repeats,
    )
    if inserted is not None:
        return UUID(int=inserted.int)
    existing = await db.fetch_value(SQL.find_run_by_key, key=new.key)
    return UUID(int=existing.int)


async def create_many(db: Reader, new: Sequence[NewRun], now: datetime) -> None:
    """Open runs of one kind and title, none of which has a key."""
    if new:
        await db.execute(
            SQL.insert_runs,
            kind=new[0].kind,
            title=new[0].title,
            ids=[run.id for run in new],
            sends=[run.sends for run in new],
            providers=[
                None if run.providers is None else _BETWEEN.join(run.providers) for run in new
            ],
            caps_micros=[run.cap_micros for run in new],
            lead_caps_micros=[run.lead_cap_micros for run in new],
            opened_bys=[run.opened_by for run in new],
            now=now,
        )


async def hold_open(tx: Tx, run_ids: Collection[UUID]) -> dict[UUID, str]:
    """Keep runs from ending until this transaction ends; whoever puts jobs into a run does this.

    One that had ended goes on; one that was cancelled is swept again. Return the source of each:
    who opened runs of this kind. Runs that are gone are left out.
    """
    if not run_ids:
        return {}
    rows = await tx.fetch(SQL.hold_runs, ids=list(run_ids))
    while any(row["state"] == "completed" for row in rows):  # it ended between look and lock
        rows = await tx.fetch(SQL.hold_runs, ids=list(run_ids))
    return {row["id"]: f"{row['kind']}:{row['opened_by']}" for row in rows}


async def find(db: Reader, run_ids: Sequence[UUID]) -> dict[UUID, Run]:
    """Read runs by id; unknown ones are left out."""
    rows = await db.fetch(SQL.find_runs, ids=list(run_ids))
    return {row["id"]: _run(row) for row in rows}


async def get(db: Reader, run_id: UUID) -> Run:
    """Read one run. Raises: NotFound."""
    runs = await find(db, [run_id])
    if run_id not in runs:
        raise NotFound(f"there is no run {run_id}", code="run.not_found")
    return runs[run_id]


async def list_open(db: Reader, limit: int = 50) -> list[Run]:
    """List the runs that go on, newest first."""
    return [_run(row) for row in await db.fetch(SQL.list_open_runs, limit=limit)]


async def list_page(
    db: Reader, run_filter: RunFilter, before: UUID | None = None, limit: int = 50
) -> list[Run]:
    """List runs, newest first, behind a place."""
    params = {
        "kind": run_filter.kind,
        "owner": run_filter.owner,
        "before": before or _NEWEST,
        "limit": limit,
    }
    if run_filter.state == "running":
        rows = await db.fetch(SQL.list_running_runs, **params)
    elif run_filter.kind not in {None, _COMMON}:
        rows = await db.fetch(SQL.list_kind_runs, **params, state=run_filter.state)
    else:
        rows = await db.fetch(SQL.list_runs, **params, state=run_filter.state)
    return [_run(row) for row in rows]


async def cancel(
    db: Reader, run_id: UUID, by_whom: str, now: datetime, *, can_go_on: bool = False
) -> bool:
    """Mark a run cancelled: a node sweeps its jobs, its dead letters are replayed no more.

    `can_go_on`: something of it waits that is no job. False: it had ended already, and nothing of
    it could go on.
    """
    marked = await db.fetch_value(
        SQL.cancel_run, id=run_id, by_whom=by_whom, now=now, can_go_on=can_go_on
    )
    return marked is not None


async def change_caps(
    db: Reader, run_id: UUID, cap_micros: int | None, lead_cap_micros: int | None
) -> bool:
    """Change the most that a run and each of its leads may cost; False: it was cancelled."""
    changed = await db.fetch_value(
        SQL.change_caps, id=run_id, cap_micros=cap_micros, lead_cap_micros=lead_cap_micros
    )
    return changed is not None


async def finish_loading(db: Reader, run_id: UUID) -> None:
    """Mark a run as complete on its input side: it ends when no live job carries it."""
    await db.execute(SQL.finish_loading, id=run_id)


async def count_live(db: Reader, run_id: UUID) -> dict[str, int]:
    """Return how many live jobs a run has, by stage."""
    rows = await db.fetch(SQL.count_run_jobs, run_id=run_id)
    return {row["stage"]: row["live"] for row in rows}


def _run(row: Row) -> Run:
    return Run(
        id=row["id"],
        kind=row["kind"],
        title=row["title"],
        state=row["state"],
        sends=row["sends"],
        providers=tuple(row["providers"]) if row["providers"] is not None else None,
        cap_micros=row["cap_micros"],
        lead_cap_micros=row["lead_cap_micros"],
        created_at=row["created_at"],
        ended_at=row["ended_at"],
        cancelled=row["cancelled_at"] is not None,
        opened_by=row["opened_by"],
        is_shared=row["is_shared"],
        repeats=row["repeats"],
    )
