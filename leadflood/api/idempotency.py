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
from typing import Any, Protocol

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


class Keeper(Protocol):
    """Keeps answers that hold secrets, and bodies that a plain hash would give away."""

    def seal(self, plain: bytes, about: bytes) -> bytes:
        """Encrypt an answer for its request."""

    def open(self, sealed: bytes, about: bytes) -> bytes:
        """Decrypt the answer of that request."""

    def digest(self, body_hash: bytes) -> bytes:
        """Hash a body's hash under a key."""


@asynccontextmanager
async def remembered(
    tx: Tx, caller: Caller, kind: Any, clock: Clock, keeper: Keeper | None = None
) -> AsyncIterator[Memory]:
    """Find the answer that this key got before, or keep the one that it gets now.

    A memory left without an answer keeps nothing. Raises: HttpRefused 422 when the key came with
    another body before.
    """
    if not caller.idempotency_key:
        yield Memory()
        return
    key = key_of(caller)
    await tx.execute(SQL.lock_key, key=int.from_bytes(key[:8], "big", signed=True))
    memory = await recall(tx, caller, kind, clock, keeper)
    is_known = memory.answer is not None
    yield memory
    if is_known or memory.answer is None:
        return
    answer = msgspec.json.encode(memory.answer)
    await tx.execute(
        SQL.keep_answer,
        key=key,
        body_hash=_digest(caller, keeper),
        answer=answer if keeper is None else keeper.seal(answer, key),
        now=clock.now(),
    )


async def recall(
    db: Reader, caller: Caller, kind: Any, clock: Clock, keeper: Keeper | None = None
) -> Memory:
    """Find the answer that this key got before, if any.

    Raises: HttpRefused 422 when the key came with another body before.
    """
    if not caller.idempotency_key:
        return Memory()
    key = key_of(caller)
    row = await db.fetch_one(SQL.find_answer, key=key, since=clock.now() - KEPT)
    if row is None:
        return Memory()
    if row["body_hash"] != _digest(caller, keeper):
        raise another_body()
    answer = row["answer"] if keeper is None else keeper.open(row["answer"], key)
    return Memory(msgspec.json.decode(answer, type=kind))


def _digest(caller: Caller, keeper: Keeper | None) -> bytes:
    return caller.body_hash if keeper is None else keeper.digest(caller.body_hash)


async def recall_all(tx: Tx, callers: Sequence[Caller], kind: Any, clock: Clock) -> dict[int, Any]:
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
