"""Batched unit of work: concurrent requests of one route share a transaction and its statements.

Each is answered by itself, once for its Idempotency-Key; one that is refused hurts no other.
"""

from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Generic, Protocol, TypeVar

import msgspec

from leadflood.api.http.idempotency import find_many, record_many
from leadflood.api.http.platform import Platform
from leadflood.api.http.request_context import Caller
from leadflood.engine.db.batching import Batcher, BatchPolicy, Redo
from leadflood.engine.queue.publisher import Publication

RequestT = TypeVar("RequestT")
AnswerT = TypeVar("AnswerT")
AnswerT_co = TypeVar("AnswerT_co", covariant=True)
IN_TURN = BatchPolicy(lanes=1, pause_ratio=0.4)
"""Two batches at once would be two halves that wait for each other's locks and fsyncs."""


class BatchedWork(Protocol[RequestT, AnswerT_co]):
    """One transaction of many requests."""

    async def prepare(self, requests: Sequence[RequestT], /) -> Sequence[RequestT | Exception]:
        """Complete the requests before the transaction, or return why one is refused."""

    async def commit(
        self, publication: Publication, requests: Sequence[RequestT], /
    ) -> Sequence[AnswerT_co | Exception | Redo]:
        """Do the work in the open transaction; REDO puts a request into the next batch."""


class _Submission(msgspec.Struct, Generic[RequestT], frozen=True):
    """A request with its caller."""

    caller: Caller
    request: RequestT


class BatchedUnitOfWork(Generic[RequestT, AnswerT]):
    """Runs the requests that are submitted, a batch a transaction, while `running`.

    `kind` is the type of the answers, `platform` gives the services of the present life.
    """

    def __init__(
        self,
        platform: Callable[[], Platform],
        kind: type[AnswerT],
        work: BatchedWork[RequestT, AnswerT],
    ) -> None:
        self._platform = platform
        self._kind = kind
        self._work = work
        self._batcher: Batcher[_Submission[RequestT], AnswerT] = Batcher(
            lambda batch, _: self._transact(batch), IN_TURN
        )

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Answer while the block runs."""
        async with self._batcher.running():
            yield

    async def submit(self, caller: Caller, read: Callable[[], RequestT]) -> AnswerT:
        """Read a request, put it into the next batch and return its answer.

        Raises: HttpRefused 422 when the key came with another body before; what `read` raises and
        what the work answers for this request.
        """

        async def ask() -> AnswerT:
            return await self._batcher.submit(_Submission(caller, read()))

        return await self._platform().in_flight.share(caller, ask)

    async def _transact(
        self, batch: Sequence[_Submission[RequestT]]
    ) -> Sequence[AnswerT | Exception | Redo]:
        """Answer a batch in one transaction: all that is not refused is there, or nothing."""
        platform = self._platform()
        callers = [submission.caller for submission in batch]
        prepared = await self._work.prepare([submission.request for submission in batch])
        answers: dict[int, AnswerT | Exception | Redo] = {}
        requests: dict[int, RequestT] = {}
        for index, request in enumerate(prepared):
            if isinstance(request, Exception):
                answers[index] = request
            else:
                requests[index] = request
        async with platform.publisher.transaction() as publication:
            answers |= await find_many(publication.tx, callers, self._kind, platform.clock)
            fresh = [index for index in requests if index not in answers]
            results = await self._work.commit(publication, [requests[index] for index in fresh])
            done = dict(zip(fresh, results, strict=True))
            await record_many(
                publication.tx,
                [
                    (callers[index], answer)
                    for index, answer in done.items()
                    if not isinstance(answer, Exception | Redo)
                ],
                platform.clock,
            )
        answers |= done
        return [answers[index] for index in range(len(batch))]
