"""Equal requests of one process wait for the first of them here, before they take a connection.

The lock of `idempotency` alone would let fifty equal requests hold the whole pool, each waiting
in its own transaction for one that needs a connection.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import anyio
import msgspec


class Ended(msgspec.Struct, frozen=True):
    """How the first one ended: what it sent, what it was answered."""

    body_hash: bytes
    answer: Any


class Turn:
    """One key in use: who holds it sets `ended` when the answer is committed."""

    __slots__ = ("ended", "lock", "waiting")

    def __init__(self) -> None:
        self.lock = anyio.Lock()
        self.waiting = 0
        self.ended: Ended | None = None


class Turns:
    """The keys in use; one that nobody waits for is forgotten."""

    def __init__(self) -> None:
        self._turns: dict[bytes, Turn] = {}

    def __len__(self) -> int:
        return len(self._turns)

    @asynccontextmanager
    async def take(self, key: bytes) -> AsyncIterator[Turn]:
        """Wait until nobody else uses the key. One who fails leaves it to the next."""
        turn = self._turns.setdefault(key, Turn())
        turn.waiting += 1
        try:
            async with turn.lock:
                yield turn
        finally:
            turn.waiting -= 1
            if not turn.waiting:
                del self._turns[key]
