"""Unit of work: one transaction with its events, its audit record and its remembered answer."""

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from functools import partial
from inspect import isawaitable
from typing import Any, Generic, Protocol, TypeVar
from uuid import UUID

import msgspec

from leadflood.api.http.idempotency import PLAIN_MEMORY, AnswerMemory, IdempotencyStore
from leadflood.api.http.naming import camel_case
from leadflood.api.http.platform import Platform
from leadflood.api.http.request_context import Caller
from leadflood.domain.audit.schemas import AuditEntry
from leadflood.engine.db.tx import Tx
from leadflood.engine.errors import Bug, LeadfloodError
from leadflood.engine.queue.event import Event
from leadflood.engine.queue.publisher import Publication

AnswerT = TypeVar("AnswerT")
AnswerT_co = TypeVar("AnswerT_co", covariant=True)
Holds = Callable[[Tx, AnswerT], Awaitable[bool]]
"""Whether a remembered answer still is true."""
AfterCommit = Callable[[], object]


class CommitAndRaise(Exception):
    """Commits what was written, then raises the error; no Idempotency-Key remembers it.

    For refusals that must leave a trace: a failed login, a token that was stolen.
    """

    def __init__(self, error: LeadfloodError) -> None:
        super().__init__(error.detail)
        self.error = error


class Subject(msgspec.Struct, frozen=True):
    """The subject of an act, where its kind is not the first word of the act."""

    kind: str
    id: UUID | str | None = None


class UnitOfWork:
    """The open transaction of a change; committed when its handler returns."""

    def __init__(self, platform: Platform, caller: Caller, publication: Publication) -> None:
        self.caller = caller
        self.publication = publication
        self._platform = platform
        self._after_commit: list[AfterCommit] = []

    @property
    def tx(self) -> Tx:
        """The transaction."""
        return self.publication.tx

    async def publish(
        self, events: Sequence[Event], *, run_id: UUID | None = None
    ) -> Sequence[UUID]:
        """Publish events with the request they come from; return the ids of the jobs they start."""
        return await self.publication.publish(
            events,
            run_id=run_id,
            request_id=self.caller.request_id,
            trace_parent=self.caller.trace_parent,
        )

    async def audit(
        self, action: str, subject: Subject | UUID | str | None = None, /, **detail: object
    ) -> None:
        """Record a privileged act beside what it changes.

        `action` is `noun.past_verb`; a plain `subject` is the id of such a noun. The names of the
        details are written in camelCase.
        """
        if not isinstance(subject, Subject):
            subject = Subject(action.partition(".")[0], subject)
        entry = AuditEntry(
            action=action,
            subject_kind=subject.kind,
            subject_id=None if subject.id is None else str(subject.id),
            detail={camel_case(name): value for name, value in detail.items()},
        )
        await self.record(entry)

    async def record(self, *entries: AuditEntry) -> None:
        """Record privileged acts that are described elsewhere."""
        if entries:
            await self._platform.audit.record(self.tx, self.caller.actor, entries)

    def after_commit(self, act: AfterCommit) -> None:
        """Call something, awaited where need be, once the transaction is committed."""
        self._after_commit.append(act)

    async def run_after_commit(self) -> None:
        """Call what waits for the commit, in the order in which it was registered."""
        for act in self._after_commit:
            result = act()
            if isawaitable(result):
                await result


class Work(Protocol[AnswerT_co]):
    """The work of a unit of work: a handler with its other arguments bound."""

    def __call__(self, *, uow: UnitOfWork) -> Awaitable[AnswerT_co]:
        """Do it."""


class LateUnitOfWork(Generic[AnswerT]):
    """A unit of work that the handler opens by itself, so that it may work before and after it.

    Hashing a password takes as long as a hundred transactions; what a switch did is seen once it
    is committed. `recall` and `run` are for routes that take an Idempotency-Key, `open` for others.
    """

    def __init__(self, platform: Platform, caller: Caller, kind: Any, memory: AnswerMemory) -> None:
        self._platform = platform
        self._caller = caller
        self._kind = kind
        self._memory = memory

    async def recall(self) -> AnswerT | None:
        """Return the answer that this request got before, if any; nothing is locked.

        Raises: HttpRefused 422 when its key came with another body.
        """
        store = IdempotencyStore(self._platform.clock, self._memory)
        answer: AnswerT | None = await store.find(self._platform.db, self._caller, self._kind)
        return answer

    async def run(self, work: Work[AnswerT], holds: Holds[AnswerT] | None = None) -> AnswerT:
        """Do the work once; again where the remembered answer no longer holds. See `run_once`."""
        return await run_once(
            self._platform, self._caller, self._kind, work, memory=self._memory, holds=holds
        )

    @asynccontextmanager
    async def open(self) -> AsyncIterator[UnitOfWork]:
        """Open the unit of work; it is committed when the block ends, and no answer is kept."""
        if self._caller.idempotency_key:
            raise Bug("an Idempotency-Key came: `run` remembers the answer")
        async with self._platform.publisher.transaction() as publication:
            uow = UnitOfWork(self._platform, self._caller, publication)
            yield uow
        await uow.run_after_commit()


def run_once(
    platform: Platform,
    caller: Caller,
    kind: Any,
    work: Work[AnswerT],
    *,
    memory: AnswerMemory = PLAIN_MEMORY,
    holds: Holds[AnswerT] | None = None,
) -> Awaitable[AnswerT]:
    """Do a change once: with an Idempotency-Key seen before, its first answer is given again.

    `work` runs in one transaction with what it publishes and audits, and with its answer, which is
    of the `kind`. `memory`: how it is kept; `holds`: whether a remembered one still is true.
    Raises: HttpRefused 422 when the key came with another body before, and what `work` raises.
    """
    store = IdempotencyStore(platform.clock, memory)
    transact = partial(_transact, platform, caller, store, partial(_answer, kind, work, holds))
    return platform.in_flight.share(caller, transact)


async def _transact(
    platform: Platform,
    caller: Caller,
    store: IdempotencyStore,
    find_answer: Callable[[UnitOfWork, IdempotencyStore], Awaitable[AnswerT | CommitAndRaise]],
) -> AnswerT:
    async with platform.publisher.transaction() as publication:
        uow = UnitOfWork(platform, caller, publication)
        answer = await find_answer(uow, store)
    await uow.run_after_commit()
    if isinstance(answer, CommitAndRaise):
        raise answer.error
    return answer


async def _answer(
    kind: Any,
    work: Work[AnswerT],
    holds: Holds[AnswerT] | None,
    uow: UnitOfWork,
    store: IdempotencyStore,
) -> AnswerT | CommitAndRaise:
    """Return the remembered answer, or do the work and remember what it answers."""
    caller = uow.caller
    if caller.idempotency_key:
        await store.lock(uow.tx, caller)
        remembered: AnswerT | None = await store.find(uow.tx, caller, kind)
        if remembered is not None and (holds is None or await holds(uow.tx, remembered)):
            return remembered
    try:
        answer = await work(uow=uow)
    except CommitAndRaise as order:
        return order
    if caller.idempotency_key and answer is not None:
        await store.record(uow.tx, caller, answer)
    return answer
