"""Requests in flight: equal ones of one process follow one another outside of the database.

In transactions of their own fifty of them would hold the whole pool.
"""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any, TypeVar

import anyio
import msgspec

from leadflood.api.http.idempotency import key_of, reused_key
from leadflood.api.http.request_context import Caller

AnswerT = TypeVar("AnswerT")


class StoredResponse(msgspec.Struct, frozen=True):
    """A request sent with a key, by its hash, and its answer."""

    body_hash: bytes
    answer: Any


class InFlight:
    """A key in use: whoever holds its lock sets `response` when the answer is committed."""

    __slots__ = ("lock", "response", "waiting")

    def __init__(self) -> None:
        self.lock = anyio.Lock()
        self.waiting = 0
        self.response: StoredResponse | None = None


class InFlightRequests:
    """The keys in use in this process; one that nobody waits for is dropped."""

    def __init__(self) -> None:
        self._keys: dict[bytes, InFlight] = {}

    def __len__(self) -> int:
        return len(self._keys)

    @asynccontextmanager
    async def lock(self, key: bytes) -> AsyncIterator[InFlight]:
        """Wait until nobody else uses the key. A request that fails leaves it to the next."""
        flight = self._keys.setdefault(key, InFlight())
        flight.waiting += 1
        try:
            async with flight.lock:
                yield flight
        finally:
            flight.waiting -= 1
            if not flight.waiting:
                del self._keys[key]

    async def share(self, caller: Caller, work: Callable[[], Awaitable[AnswerT]]) -> AnswerT:
        """Do the work, or return the answer of an equal request that did it meanwhile.

        Raises: HttpRefused 422 when the key came with another body, and what `work` raises.
        """
        if not caller.idempotency_key:
            return await work()
        async with self.lock(key_of(caller, caller.body_hash)) as flight:
            if flight.response is None:
                answer = await work()
                flight.response = StoredResponse(caller.body_hash, answer)
            elif flight.response.body_hash != caller.body_hash:
                raise reused_key()
            else:
                answer = flight.response.answer
        return answer
