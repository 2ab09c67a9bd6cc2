"""Keeps bulk actions and their items: one function per query."""

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

import msgspec

from leadflood.domain.bulk_actions.schemas import (
    Action,
    Before,
    ChunkWanted,
    CodeCount,
    Decision,
    Item,
    ItemProblem,
    ItemState,
    NewBulk,
    Parameters,
    Verb,
)
from leadflood.domain.leads.schemas import LeadState
from leadflood.engine.db.sql import load_queries
from leadflood.engine.db.tx import Reader, Row, Tx

SQL = load_queries(__file__)
_BETWEEN = "\x1f"


class Ending(msgspec.Struct, frozen=True):
    """An item, what was decided of it, and the lead as it was."""

    item: Item
    decision: Decision
    before: LeadState | None


class Counts(msgspec.Struct, frozen=True):
    """How far an action is: items by state, and those with a code by it."""

    by_state: dict[ItemState, int]
    codes: tuple[CodeCount, ...]


async def record_action(
    tx: Tx, run_id: UUID, new: NewBulk, undoes: UUID | None, count: int, now: datetime
) -> bool:
    """Write an action; False when it undoes one that is undone already."""
    written = await tx.fetch_value(
        SQL.add_action,
        run_id=run_id,
        action=new.verb.value,
        parameters=msgspec.json.encode(new.parameters).decode(),
        filter=new.filter_text,
        item_count=count,
        undoes=undoes,
        sees_owner=new.sees_owner,
        by=new.by,
        now=now,
    )
    return written is not None


async def record_items(tx: Tx, run_id: UUID, lead_ids: Sequence[UUID]) -> None:
    """Fix the leads of an action, numbered from 1."""
    await tx.execute(SQL.add_items, run_id=run_id, lead_ids=list(lead_ids))


async def record_undo_items(tx: Tx, run_id: UUID, undoes: UUID) -> None:
    """Fix what undoing an action is about."""
    await tx.execute(SQL.add_undo_items, run_id=run_id, undoes=undoes)


async def count_done(db: Reader, run_id: UUID) -> tuple[int, int]:
    """Tell how many leads an action has changed, and the last of their numbers."""
    row = await db.fetch_one(SQL.count_done, run_id=run_id)
    return (0, 0) if row is None else (row["done_count"], row["last"])


async def find_actions(db: Reader, run_ids: Sequence[UUID]) -> dict[UUID, Action]:
    """Find actions by their runs; unknown ones are left out."""
    rows = await db.fetch(SQL.find_actions, run_ids=list(run_ids))
    return {row["run_id"]: _action(row) for row in rows}


async def find_undoing(db: Reader, run_id: UUID) -> UUID | None:
    """Find the action that undoes another."""
    found: UUID | None = await db.fetch_value(SQL.find_undoing, run_id=run_id)
    return found


async def find_waiting(db: Reader, chunks: Sequence[ChunkWanted]) -> list[Item]:
    """Find what of these chunks is still to do."""
    rows = await db.fetch(
        SQL.find_waiting,
        run_ids=[chunk.bulk_id for chunk in chunks],
        firsts=[chunk.first for chunk in chunks],
        lasts=[chunk.last for chunk in chunks],
    )
    return [_item(row) for row in rows]


async def end_items(tx: Tx, run_id: UUID, ended: Sequence[Ending], now: datetime) -> None:
    """Write what became of leads, and what those that were changed had before."""
    kept = [one.before if one.decision.after is not None else None for one in ended]
    await tx.execute(
        SQL.end_items,
        run_id=run_id,
        numbers=[one.item.number for one in ended],
        states=[one.decision.state.value for one in ended],
        codes=[one.decision.code for one in ended],
        owners=[None if lead is None else lead.owner for lead in kept],
        tags=[None if lead is None else _BETWEEN.join(lead.tags) for lead in kept],
        tags_afters=[
            None if one.decision.after is None else _BETWEEN.join(one.decision.after.tags)
            for one in ended
        ],
        deleted_ats=[None if lead is None else lead.deleted_at for lead in kept],
        deleted_bys=[None if lead is None else lead.deleted_by for lead in kept],
        now=now,
    )


async def close_items(
    tx: Tx, chunks: Sequence[tuple[ChunkWanted, ItemState, str]], now: datetime
) -> None:
    """Write that chunks end without having been done, and why."""
    await tx.execute(
        SQL.close_items,
        run_ids=[chunk.bulk_id for chunk, _, _ in chunks],
        firsts=[chunk.first for chunk, _, _ in chunks],
        lasts=[chunk.last for chunk, _, _ in chunks],
        states=[state.value for _, state, _ in chunks],
        codes=[code for _, _, code in chunks],
        now=now,
    )


async def count_items(db: Reader, run_id: UUID) -> Counts:
    """Tell how far an action is."""
    by_state: dict[ItemState, int] = {}
    codes: dict[str, int] = {}
    for row in await db.fetch(SQL.count_items, run_id=run_id):
        state, count = ItemState(row["state"]), row["item_count"]
        by_state[state] = by_state.get(state, 0) + count
        if row["code"] is not None:
            codes[row["code"]] = codes.get(row["code"], 0) + count
    return Counts(by_state, tuple(CodeCount(code=code, count=codes[code]) for code in codes))


async def list_problems(db: Reader, run_id: UUID, limit: int) -> tuple[ItemProblem, ...]:
    """List the first leads that an action was not done for."""
    rows = await db.fetch(SQL.list_problems, run_id=run_id, limit=limit)
    return tuple(
        ItemProblem(lead_id=row["lead_id"], state=ItemState(row["state"]), code=row["code"])
        for row in rows
    )


def _action(row: Row) -> Action:
    return Action(
        run_id=row["run_id"],
        verb=Verb(row["action"]),
        parameters=msgspec.json.decode(row["parameters"], type=Parameters),
        filter_text=row["filter"],
        item_count=row["item_count"],
        undoes=row["undoes"],
        sees_owner=row["sees_owner"],
        created_at=row["created_at"],
        created_by=row["created_by"],
    )


def _item(row: Row) -> Item:
    undone = None
    if row["is_undo"]:
        undone = Before(
            owner=row["owner_before"],
            tags=_tags(row["tags_before"]),
            tags_after=_tags(row["tags_after"]),
            deleted_at=row["deleted_at_before"],
            deleted_by=row["deleted_by_before"],
            ended_at=row["ended_at"],
        )
    return Item(run_id=row["run_id"], number=row["number"], lead_id=row["lead_id"], undone=undone)


def _tags(told: Sequence[str] | None) -> tuple[str, ...] | None:
    return None if told is None else tuple(told)
