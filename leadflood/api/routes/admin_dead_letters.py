"""Dead letters over HTTP: look, try again, forget, give a job up."""

from collections import Counter
from collections.abc import Sequence
from http import HTTPStatus
from typing import Annotated
from uuid import UUID

import msgspec

from leadflood.api.http.pagination import Listed, Paging, listed, read_cursor, write_cursor
from leadflood.api.http.request_context import Caller
from leadflood.api.http.routing import Route
from leadflood.api.http.unit_of_work import UnitOfWork, run_once
from leadflood.api.services import Node
from leadflood.domain.accounts.schemas import AuditEntry
from leadflood.engine.db.tx import Tx
from leadflood.engine.errors import FieldProblem, Invalid, NotFound
from leadflood.engine.queue import deadletters
from leadflood.engine.queue.deadletters import DeadLetter, Ending, Filter, Replayed

PATH = "/v1/admin/dead-letters"
SEND = "message.send"
MOST_AT_ONCE = 1_000
StageName = Annotated[str, msgspec.Meta(max_length=100)]
ErrorCode = Annotated[str, msgspec.Meta(max_length=200)]


class LetterQuery(Paging, frozen=True, kw_only=True, forbid_unknown_fields=True, rename="camel"):
    """Which dead letters; null asks for nothing."""

    stage: StageName | None = None
    error_code: ErrorCode | None = None
    run_id: UUID | None = None


class LetterFilter(
    msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, rename="camel"
):
    """Which dead letters; null asks for nothing, so that an empty filter means all."""

    stage: StageName | None = None
    error_code: ErrorCode | None = None
    run_id: UUID | None = None


class Chosen(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, rename="camel"):
    """Dead letters named by their ids, or by a filter: newest first, `limit` at once.

    `cursor` is the `nextCursor` of the answer before: a filter's letters that stay, because they
    are doubtful or their work is queued already, are passed over.
    """

    ids: Annotated[tuple[UUID, ...], msgspec.Meta(min_length=1, max_length=MOST_AT_ONCE)] | None = (
        None
    )
    filter: LetterFilter | None = None
    limit: Annotated[int, msgspec.Meta(ge=1, le=MOST_AT_ONCE)] = 500
    cursor: Annotated[str, msgspec.Meta(max_length=100)] = ""


class Replays(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """What came of each; `counts` by ending. `nextCursor` null: the filter means no more."""

    data: Sequence[Replayed]
    counts: dict[Ending, int]
    next_cursor: str | None


class Discards(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """How many were forgotten. `nextCursor` null: the filter means no more."""

    discarded: int
    next_cursor: str | None


class Subject(msgspec.Struct, frozen=True):
    """What a sending's payload names."""

    intent_id: UUID | None = None


class DeadLetters:
    """The routes of dead letters."""

    def __init__(self, node: Node) -> None:
        self._node = node

    def routes(self) -> tuple[Route, ...]:
        """List the rows of the table."""
        one, read, write = PATH + "/{letterId}", "admin:read", "admin:write"
        return (
            Route(method="GET", path=PATH, handler=self.list, permission=read),
            Route(method="GET", path=one, handler=self.get, permission=read, errors=(NotFound,)),
            Route(
                method="DELETE", path=one, handler=self.discard, permission=write,
                errors=(NotFound,), status=HTTPStatus.NO_CONTENT,
            ),
            Route(
                method="POST", path="/v1/admin/dead-letter-replays", handler=self.replay,
                permission=write, errors=(Invalid,),
            ),
            Route(
                method="POST", path="/v1/admin/dead-letter-discards", handler=self.discard_many,
                permission=write, errors=(Invalid,),
            ),
            Route(
                method="POST", path="/v1/admin/jobs/{jobId}/bury", handler=self.bury,
                permission=write, errors=(NotFound,),
            ),
        )  # fmt: skip

    async def list(self, query: LetterQuery) -> Listed[DeadLetter]:
        """List dead letters, newest first."""
        wanted = Filter(stage=query.stage, error_code=query.error_code, run_id=query.run_id)
        letters = await deadletters.list_letters(
            self._node.services.db, wanted, before=query.place(), limit=query.reach
        )
        return listed(query.skip(letters), query, lambda letter: letter.id)

    async def get(self, letter_id: UUID) -> DeadLetter:
        """Show a dead letter whole: payload, error, the chain of its causes."""
        return await deadletters.get(self._node.services.db, letter_id)

    async def discard(self, letter_id: UUID, caller: Caller) -> None:
        """Forget a dead letter for good."""

        async def do(uow: UnitOfWork) -> None:
            if not await deadletters.discard(uow.tx, [letter_id]):
                raise NotFound(
                    f"there is no dead letter {letter_id}", code="engine.dead_letter.not_found"
                )
            await uow.record(_entry("dead_letter.discarded", str(letter_id), {}))

        await run_once(self._node.services, caller, type(None), do)

    async def discard_many(self, body: Chosen, caller: Caller) -> Discards:
        """Forget dead letters for good: those named, or those that a filter means."""
        _require_choice(body)

        async def do(uow: UnitOfWork) -> Discards:
            letter_ids, following = await _choose(uow.tx, body)
            gone = await deadletters.discard(uow.tx, letter_ids)
            await uow.record(_entry("dead_letter.discarded", None, _detail(body, len(gone))))
            return Discards(discarded=len(gone), next_cursor=following)

        return await run_once(self._node.services, caller, Discards, do)

    async def replay(self, body: Chosen, caller: Caller) -> Replays:
        """Queue dead letters again; what may have happened outside is refused as `doubtful`."""
        _require_choice(body)

        async def do(uow: UnitOfWork) -> Replays:
            letter_ids, following = await _choose(uow.tx, body)
            doubtful = await self._find_doubtful(uow.tx, letter_ids)
            services = self._node.services
            ended = await deadletters.replay(
                uow.tx, letter_ids, services.ids, services.clock.now(), doubtful
            )
            counts = Counter(one.ending for one in ended)
            detail = _detail(body, counts[Ending.QUEUED])
            await uow.record(_entry("dead_letter.replayed", None, detail))
            return Replays(data=ended, counts=dict(counts), next_cursor=following)

        answer = await run_once(self._node.services, caller, Replays, do)
        for stage in {one.stage for one in answer.data if one.ending is Ending.QUEUED}:
            self._node.services.engine.wakes.wake(stage)
        return answer

    async def bury(self, job_id: UUID, caller: Caller) -> DeadLetter:
        """Give a waiting job up, one that kills its process again and again: a dead letter."""

        async def do(uow: UnitOfWork) -> DeadLetter:
            now = self._node.services.clock.now()
            letter = await deadletters.bury(uow.tx, job_id, caller.by, now)
            entry = AuditEntry(
                action="job.buried", subject_kind="job", subject_id=str(job_id),
                detail={"stage": letter.stage},
            )  # fmt: skip
            await uow.record(entry)
            return letter

        return await run_once(self._node.services, caller, DeadLetter, do)

    async def _find_doubtful(self, tx: Tx, letter_ids: Sequence[UUID]) -> Sequence[UUID]:
        """Find the sends of which nobody knows whether they arrived."""
        payloads = await deadletters.find_payloads(tx, letter_ids, SEND)
        subjects = {one: _SUBJECT.decode(payload) for one, payload in payloads.items()}
        intent_of = {one: subject.intent_id for one, subject in subjects.items()
                     if subject.intent_id is not None}  # fmt: skip
        unsettled = await self._node.services.messaging.find_unsettled(list(intent_of.values()))
        return [letter for letter, intent in intent_of.items() if intent in unsettled]


_SUBJECT = msgspec.json.Decoder(Subject)


def _require_choice(body: Chosen) -> None:
    if (body.ids is None) == (body.filter is None):
        problem = "give either ids or a filter (an empty filter means all)"
        raise Invalid(problem, (FieldProblem("ids", problem), FieldProblem("filter", problem)))


async def _choose(tx: Tx, body: Chosen) -> tuple[Sequence[UUID], str | None]:
    """Tell which letters are meant, and the cursor to the following ones, where there are any."""
    if body.filter is None:
        return body.ids or (), None
    wanted = Filter(
        stage=body.filter.stage, error_code=body.filter.error_code, run_id=body.filter.run_id
    )
    before = read_cursor(body.cursor) if body.cursor else None
    found = await deadletters.list_ids(tx, wanted, before=before, limit=body.limit + 1)
    chosen = found[: body.limit]
    return chosen, write_cursor(chosen[-1]) if len(found) > body.limit else None


def _detail(body: Chosen, count: int) -> dict[str, object]:
    if body.filter is not None:
        return {"filter": msgspec.to_builtins(body.filter), "count": count}
    return {"ids": [str(one) for one in body.ids or ()], "count": count}


def _entry(action: str, subject_id: str | None, detail: dict[str, object]) -> AuditEntry:
    return AuditEntry(
        action=action, subject_kind="dead_letter", subject_id=subject_id, detail=detail
    )
