"""Idempotency: the same request with the same key is done once, and answered alike.

An answer is kept in the transaction that does the work, under a lock of its key: equal requests
follow one another, those of other nodes too, and after a crash either both the work and its answer
are there or neither. Equal requests of one process wait for one another before that (`in_flight`).
"""

import hashlib
from collections.abc import Sequence
from datetime import datetime, timedelta
from http import HTTPStatus
from typing import Any, Protocol

import msgspec

from leadflood.api.http.problems import HttpRefused
from leadflood.api.http.request_context import Caller
from leadflood.domain.auth.schemas.principals import PrincipalKind
from leadflood.engine.clock import Clock
from leadflood.engine.db.sql import load_queries
from leadflood.engine.db.tx import Reader, Tx
from leadflood.engine.errors import FieldProblem

SQL = load_queries(__file__)
HEADER = "Idempotency-Key"
KEPT = timedelta(days=1)
PRUNED_AT_ONCE = 5_000


class AnswerSeal(Protocol):
    """Encrypts answers that hold secrets, and hashes bodies that a plain hash would give away."""

    def seal(self, plain: bytes, about: bytes) -> bytes:
        """Encrypt an answer for its request."""

    def open(self, sealed: bytes, about: bytes) -> bytes:
        """Decrypt the answer of that request."""

    def digest(self, body_hash: bytes) -> bytes:
        """Hash a body's hash under a key."""


class AnswerMemory(msgspec.Struct, frozen=True, kw_only=True):
    """How answers are kept: for how long, and encrypted where there is a `seal`."""

    seal: AnswerSeal | None = None
    kept: timedelta = KEPT


PLAIN_MEMORY = AnswerMemory()


class IdempotencyStore:
    """The answers in the database."""

    def __init__(self, clock: Clock, memory: AnswerMemory = PLAIN_MEMORY) -> None:
        self._clock = clock
        self._seal = memory.seal
        self._kept = memory.kept

    async def lock(self, tx: Tx, caller: Caller) -> None:
        """Lock out equal requests, also those of other nodes, until the transaction ends."""
        await tx.execute(SQL.lock_key, key=_lock_of(self._key_of(caller)))

    async def find(self, db: Reader, caller: Caller, kind: Any) -> Any:
        """Find the answer that this key got before; None: it got none.

        Raises: HttpRefused 422 when the key came with another body.
        """
        if not caller.idempotency_key:
            return None
        key = self._key_of(caller)
        row = await db.fetch_one(SQL.find_answer, key=key, now=self._clock.now())
        if row is None:
            return None
        if row["body_hash"] != self._digest(caller):
            raise reused_key()
        answer = row["answer"] if self._seal is None else self._seal.open(row["answer"], key)
        return msgspec.json.decode(answer, type=kind)

    async def record(self, tx: Tx, caller: Caller, answer: Any) -> None:
        """Store a response, in the transaction whose result it is."""
        key, body = self._key_of(caller), msgspec.json.encode(answer)
        await tx.execute(
            SQL.keep_answer,
            key=key,
            body_hash=self._digest(caller),
            answer=body if self._seal is None else self._seal.seal(body, key),
            expires_at=self._clock.now() + self._kept,
        )

    def _key_of(self, caller: Caller) -> bytes:
        return key_of(caller, self._digest(caller))

    def _digest(self, caller: Caller) -> bytes:
        return caller.body_hash if self._seal is None else self._seal.digest(caller.body_hash)


async def find_many(tx: Tx, callers: Sequence[Caller], kind: Any, clock: Clock) -> dict[int, Any]:
    """Lock the keys of a batch, all different, and find their answers, by index.

    A key that came with another body gets that refusal as its answer.
    """
    indexes = {
        key_of(caller, caller.body_hash): i
        for i, caller in enumerate(callers)
        if caller.idempotency_key
    }
    if not indexes:
        return {}
    await tx.execute(SQL.lock_keys, keys=[_lock_of(key) for key in indexes])
    answers: dict[int, Any] = {}
    for row in await tx.fetch(SQL.find_answers, keys=list(indexes), now=clock.now()):
        index = indexes[row["key"]]
        is_same = row["body_hash"] == callers[index].body_hash
        answers[index] = msgspec.json.decode(row["answer"], type=kind) if is_same else reused_key()
    return answers


async def record_many(tx: Tx, answers: Sequence[tuple[Caller, Any]], clock: Clock) -> None:
    """Keep the answers of those in a batch who sent a key."""
    sent = [(caller, answer) for caller, answer in answers if caller.idempotency_key]
    if sent:
        await tx.execute(
            SQL.keep_answers,
            keys=[key_of(caller, caller.body_hash) for caller, _ in sent],
            body_hashes=[caller.body_hash for caller, _ in sent],
            answers=[msgspec.json.encode(answer) for _, answer in sent],
            expires_at=clock.now() + KEPT,
        )


async def prune(db: Reader, now: datetime) -> int:
    """Delete answers past their time, a few thousand at once; return how many."""
    return await db.execute(SQL.prune_answers, now=now, limit=PRUNED_AT_ONCE)


def key_of(caller: Caller, body_digest: bytes) -> bytes:
    """Return what a key is kept under: it is its caller's own, and the route's.

    Who sent no credential owns nothing but what they sent: strangers do not share their keys.
    """
    name = f"{caller.by}\n{caller.route}\n{caller.idempotency_key}\n".encode()
    is_nobody = caller.principal.kind is PrincipalKind.NOBODY
    return hashlib.sha256(name + body_digest if is_nobody else name).digest()


def reused_key() -> HttpRefused:
    """Return the refusal of a key that came with another body before."""
    return HttpRefused(
        HTTPStatus.UNPROCESSABLE_ENTITY,
        "http.idempotency.reused",
        f"this {HEADER} came with another body before: take a new key for a new request",
        (FieldProblem(HEADER, "belongs to another request"),),
    )


def _lock_of(key: bytes) -> int:
    return int.from_bytes(key[:8], "big", signed=True)
