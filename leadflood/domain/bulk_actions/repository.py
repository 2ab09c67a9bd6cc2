"""Bulk actions and their items in the database."""

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

import msgspec

from leadflood.domain.auth.schemas.principals import Visibility
from leadflood.domain.bulk_actions.schemas import (
    ActionItem,
    BulkAction,
    ChunkWanted,
    CodeCount,
    ItemProblem,
    ItemResult,
    ItemState,
    NewBulkAction,
    Parameters,
    PreviousState,
    StoredAction,
)
from leadflood.engine.db.sql import load_queries
from leadflood.engine.db.tx import Reader, Row, Tx

SQL = load_queries(__file__)
_TAG_SEPARATOR = "\x1f"


class ItemCounts(msgspec.Struct, frozen=True):
    """How far an action is: items by state, and those with a code by it."""

    by_state: dict[ItemState, int]
    codes: tuple[CodeCount, ...]


class ClosedChunk(msgspec.Struct, frozen=True):
    """A chunk that ends without having been done: the state of its items, and why."""

    chunk: ChunkWanted
    state: ItemState
    code: str


async def record_action(
    tx: Tx,
    run_id: UUID,
    new: NewBulkAction,
    item_count: int,
    now: datetime,
    undoes: UUID | None = None,
) -> bool:
    """Record an action; return False when it undoes one that is undone already."""
    recorded = await tx.fetch_value(
        SQL.add_action,
        run_id=run_id,
        action=new.action.value,
        parameters=msgspec.json.encode(new.parameters).decode(),
        filter=new.filter_text,
        item_count=item_count,
        undoes=undoes,
        sees_owner=new.visibility.owner,
        by=new.by,
        now=now,
    )
    return recorded is not None


async def add_items(tx: Tx, run_id: UUID, lead_ids: Sequence[UUID]) -> None:
    """Add the leads of an action, numbered from 1."""
    await tx.execute(SQL.add_items, run_id=run_id, lead_ids=list(lead_ids))


async def add_undo_items(tx: Tx, run_id: UUID, undoes: UUID) -> None:
    """Add the leads of an undo: those that the action has changed."""
    await tx.execute(SQL.add_undo_items, run_id=run_id, undoes=undoes)


async def count_done(db: Reader, run_id: UUID) -> tuple[int, int]:
    """Count how many leads an action has changed; return that, and the last of their numbers."""
    row = await db.fetch_one(SQL.count_done, run_id=run_id)
    return (0, 0) if row is None else (row["done_count"], row["last"])


async def find_actions(db: Reader, run_ids: Sequence[UUID]) -> dict[UUID, StoredAction]:
    """Find actions by their runs; unknown ones are left out."""
    rows = await db.fetch(SQL.find_actions, run_ids=list(run_ids))
    return {row["run_id"]: _action(row) for row in rows}


async def find_undo(db: Reader, run_id: UUID) -> UUID | None:
    """Find the action that undoes another."""
    undo_id: UUID | None = await db.fetch_value(SQL.find_undo, run_id=run_id)
    return undo_id


async def list_waiting(db: Reader, chunks: Sequence[ChunkWanted]) -> list[ActionItem]:
    """List the items of these chunks that are still waiting."""
    rows = await db.fetch(
        SQL.list_waiting,
        run_ids=[chunk.bulk_id for chunk in chunks],
        firsts=[chunk.first for chunk in chunks],
        lasts=[chunk.last for chunk in chunks],
    )
    return [_item(row) for row in rows]


async def record_results(
    tx: Tx, run_id: UUID, results: Sequence[ItemResult], now: datetime
) -> None:
    """Record what became of leads, and what those that were changed had before."""
    changed = [result.before if result.change.after is not None else None for result in results]
    await tx.execute(
        SQL.record_results,
        run_id=run_id,
        numbers=[result.item.number for result in results],
        states=[result.change.state.value for result in results],
        codes=[result.change.code for result in results],
        owners=[lead and lead.owner for lead in changed],
        tags=[lead and _TAG_SEPARATOR.join(lead.tags) for lead in changed],
        tags_afters=[
            result.change.after and _TAG_SEPARATOR.join(result.change.after.tags)
            for result in results
        ],
        deleted_ats=[lead and lead.deleted_at for lead in changed],
        deleted_bys=[lead and lead.deleted_by for lead in changed],
        now=now,
    )


async def close_items(tx: Tx, closed: Sequence[ClosedChunk], now: datetime) -> None:
    """Record that chunks end without having been done, and why."""
    await tx.execute(
        SQL.close_items,
        run_ids=[outcome.chunk.bulk_id for outcome in closed],
        firsts=[outcome.chunk.first for outcome in closed],
        lasts=[outcome.chunk.last for outcome in closed],
        states=[outcome.state.value for outcome in closed],
        codes=[outcome.code for outcome in closed],
        now=now,
    )


async def count_items(db: Reader, run_id: UUID) -> ItemCounts:
    """Count how far an action is."""
    by_state: dict[ItemState, int] = {}
    codes: dict[str, int] = {}
    for row in await db.fetch(SQL.count_items, run_id=run_id):
        state, count = ItemState(row["state"]), row["item_count"]
        by_state[state] = by_state.get(state, 0) + count
        if row["code"] is not None:
            codes[row["code"]] = codes.get(row["code"], 0) + count
    return ItemCounts(by_state, tuple(CodeCount(code=code, count=codes[code]) for code in codes))


async def list_problems(db: Reader, run_id: UUID, limit: int) -> tuple[ItemProblem, ...]:
    """List the first leads that an action was not done for."""
    rows = await db.fetch(SQL.list_problems, run_id=run_id, limit=limit)
    return tuple(
        ItemProblem(lead_id=row["lead_id"], state=ItemState(row["state"]), code=row["code"])
        for row in rows
    )


def _action(row: Row) -> StoredAction:
    owner = row["sees_owner"]
    return StoredAction(
        run_id=row["run_id"],
        action=BulkAction(row["action"]),
        parameters=msgspec.json.decode(row["parameters"], type=Parameters),
        filter_text=row["filter"],
        item_count=row["item_count"],
        undoes=row["undoes"],
        visibility=Visibility(None if owner is None else UUID(owner)),
        created_at=row["created_at"],
        created_by=row["created_by"],
    )


def _item(row: Row) -> ActionItem:
    return ActionItem(
        run_id=row["run_id"],
        number=row["number"],
        lead_id=row["lead_id"],
        previous=_previous(row) if row["is_undo"] else None,
    )


def _previous(row: Row) -> PreviousState:
    return PreviousState(
        owner=row["owner_before"],
        tags=_tags(row["tags_before"]),
        tags_after=_tags(row["tags_after"]),
        deleted_at=row["deleted_at_before"],
        deleted_by=row["deleted_by_before"],
        ended_at=row["ended_at"],
    )


def _tags(tags: Sequence[str] | None) -> tuple[str, ...] | None:
    return None if tags is None else tuple(tags)
