"""The same POST once: its answer is kept in the transaction that does it.

The key is locked in that transaction, so equal requests at the same moment follow one another,
also those of other nodes, and after a crash either both the deed and its answer are there or
neither. `turns` keeps those of one process from waiting in transactions of their own.
"""

import hashlib
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from http import HTTPStatus
from typing import Any

import msgspec

from leadflood.api.edge import Caller
from leadflood.api.problems import HttpRefused
from leadflood.engine.clock import Clock
from leadflood.engine.db.sql import load_queries
from leadflood.engine.db.tx import Reader, Tx
from leadflood.engine.errors import FieldProblem

SQL = load_queries(__file__)
HEADER = "Idempotency-Key"
KEPT = timedelta(days=1)
MOST_CHARS = 200


class Memory:
    """What is known of a request: set `answer` when the deed is done; None: it is still to do."""

    def __init__(self, answer: Any = None) -> None:
        self.answer = answer


@asynccontextmanager
async def remembered(tx: Tx, caller: Caller, kind: Any, clock: Clock) -> AsyncIterator[Memory]:
    """Find the answer that this key got before, or keep the one that it gets now.

    Raises: HttpRefused 422 when the key came with another body before.
    """
    if not caller.idempotency_key:
        yield Memory()
        return
    key = key_of(caller)
    await tx.execute(SQL.lock_key, key=int.from_bytes(key[:8], "big", signed=True))
    row = await tx.fetch_one(SQL.find_answer, key=key, since=clock.now() - KEPT)
    if row is not None:
        if row["body_hash"] != caller.body_hash:
            raise another_body()
        yield Memory(msgspec.json.decode(row["answer"], type=kind))
        return
    memory = Memory()
    yield memory
    await tx.execute(
        SQL.keep_answer,
        key=key,
        body_hash=caller.body_hash,
        answer=msgspec.json.encode(memory.answer),
        now=clock.now(),
    )


async def recall_all(
    tx: Tx, callers: Sequence[Caller], kind: Any, clock: Clock
) -> dict[int, Any]:
    """Lock the keys of a batch, all different, and find what they were answered, by place.

    Who sent another body before gets that refusal as his answer.
    """
    keys = {key_of(one): place for place, one in enumerate(callers) if one.idempotency_key}
    if not keys:
        return {}
    await tx.execute(
        SQL.lock_keys, keys=[int.from_bytes(key[:8], "big", signed=True) for key in keys]
    )
    found: dict[int, Any] = {}
    for row in await tx.fetch(SQL.find_answers, keys=list(keys), since=clock.now() - KEPT):
        place = keys[row["key"]]
        is_same = row["body_hash"] == callers[place].body_hash
        found[place] = msgspec.json.decode(row["answer"], type=kind) if is_same else another_body()
    return found


async def keep_all(tx: Tx, answers: Sequence[tuple[Caller, Any]], clock: Clock) -> None:
    """Keep the answers of a batch for those who sent a key."""
    kept = [(key_of(one), one.body_hash, answer) for one, answer in answers if one.idempotency_key]
    if kept:
        await tx.execute(
            SQL.keep_answers,
            keys=[key for key, _, _ in kept],
            body_hashes=[body_hash for _, body_hash, _ in kept],
            answers=[msgspec.json.encode(answer) for _, _, answer in kept],
            now=clock.now(),
        )


async def forget(db: Reader, now: datetime) -> int:
    """Forget answers past their time, a few thousand at once; tell how many."""
    return await db.execute(SQL.prune_answers, before=now - KEPT, limit=5_000)


def key_of(caller: Caller) -> bytes:
    """Tell what a key is kept under: it is its caller's own, and the route's."""
    return hashlib.sha256(
        f"{caller.by}\n{caller.route}\n{caller.idempotency_key}".encode()
    ).digest()


def another_body() -> HttpRefused:
    """Say that a key came with another body before."""
    return HttpRefused(
        HTTPStatus.UNPROCESSABLE_ENTITY,
        "http.idempotency.reused",
        f"this {HEADER} came with another body before: take a new key for a new request",
        (FieldProblem(HEADER, "belongs to another request"),),
    )
