"""Dead letters over HTTP: list, replay, discard, give a job up."""

from collections import Counter
from collections.abc import Sequence
from functools import partial
from http import HTTPStatus
from typing import Annotated
from uuid import UUID

import msgspec

from leadflood.api.http.pagination import Listed, Paging, paginate, read_cursor, write_cursor
from leadflood.api.http.request_context import Caller
from leadflood.api.http.routing import delete, get, post
from leadflood.api.http.unit_of_work import UnitOfWork
from leadflood.api.services import Services
from leadflood.engine.db.tx import Tx
from leadflood.engine.errors import FieldProblem, Invalid, NotFound
from leadflood.engine.queue import dead_letters
from leadflood.engine.queue.dead_letters import DeadLetter, DeadLetterFilter, Ending, Replayed

PATH = "/v1/admin/dead-letters"
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
    """Results of a replay; `counts` by ending. `nextCursor` null: the filter means no more."""

    data: Sequence[Replayed]
    counts: dict[Ending, int]
    next_cursor: str | None


class Discards(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """How many were forgotten. `nextCursor` null: the filter means no more."""

    discarded: int
    next_cursor: str | None


@get(PATH, permission="admin:read")
async def list_dead_letters(query: LetterQuery, services: Services) -> Listed[DeadLetter]:
    """List dead letters, newest first."""
    letter_filter = DeadLetterFilter(
        stage=query.stage, error_code=query.error_code, run_id=query.run_id
    )
    letters = await dead_letters.list_letters(
        services.db, letter_filter, before=query.position(), limit=query.fetch_limit
    )
    return paginate(letters, query)


@get(PATH + "/{letterId}", permission="admin:read", errors=(NotFound,))
async def get_dead_letter(letter_id: UUID, services: Services) -> DeadLetter:
    """Show a dead letter whole: payload, error, the chain of its causes."""
    return await dead_letters.get(services.db, letter_id)


@delete(
    PATH + "/{letterId}",
    permission="admin:write",
    status=HTTPStatus.NO_CONTENT,
    errors=(NotFound,),
)
async def discard_dead_letter(letter_id: UUID, uow: UnitOfWork) -> None:
    """Forget a dead letter for good."""
    if not await dead_letters.discard(uow.tx, [letter_id]):
        raise NotFound(f"there is no dead letter {letter_id}", code="engine.dead_letter.not_found")
    await uow.audit("dead_letter.discarded", letter_id)


@post("/v1/admin/dead-letter-replays", permission="admin:write", errors=(Invalid,))
async def replay_dead_letters(body: Chosen, services: Services, uow: UnitOfWork) -> Replays:
    """Queue dead letters again; what may have happened outside is refused as `doubtful`."""
    _require_choice(body)
    letter_ids, next_cursor = await _choose(uow.tx, body)
    results = await services.dead_letters.replay(uow.tx, letter_ids)
    counts = Counter(result.ending for result in results)
    await uow.audit("dead_letter.replayed", **_detail_of(body), count=counts[Ending.QUEUED])
    for stage in {result.stage for result in results if result.ending is Ending.QUEUED}:
        uow.after_commit(partial(services.engine.wakeups.wake, stage))
    return Replays(data=results, counts=dict(counts), next_cursor=next_cursor)


@post("/v1/admin/dead-letter-discards", permission="admin:write", errors=(Invalid,))
async def discard_dead_letters(body: Chosen, uow: UnitOfWork) -> Discards:
    """Forget dead letters for good: those named, or those that a filter means."""
    _require_choice(body)
    letter_ids, next_cursor = await _choose(uow.tx, body)
    discarded = await dead_letters.discard(uow.tx, letter_ids)
    await uow.audit("dead_letter.discarded", **_detail_of(body), count=len(discarded))
    return Discards(discarded=len(discarded), next_cursor=next_cursor)


@post("/v1/admin/jobs/{jobId}/bury", permission="admin:write", errors=(NotFound,))
async def bury_job(job_id: UUID, caller: Caller, services: Services, uow: UnitOfWork) -> DeadLetter:
    """Discard a waiting job that kills its process again and again: it becomes a dead letter."""
    letter = await services.dead_letters.bury(uow.tx, job_id, caller.by)
    await uow.audit("job.buried", job_id, stage=letter.stage)
    return letter


def _require_choice(body: Chosen) -> None:
    if (body.ids is None) == (body.filter is None):
        problem = "give either ids or a filter (an empty filter means all)"
        raise Invalid(problem, (FieldProblem("ids", problem), FieldProblem("filter", problem)))


async def _choose(tx: Tx, body: Chosen) -> tuple[Sequence[UUID], str | None]:
    """Return the letters meant, and the cursor to the following ones, where there are any."""
    if body.filter is None:
        return body.ids or (), None
    letter_filter = DeadLetterFilter(
        stage=body.filter.stage, error_code=body.filter.error_code, run_id=body.filter.run_id
    )
    before = read_cursor(body.cursor) if body.cursor else None
    letter_ids = await dead_letters.list_ids(tx, letter_filter, before=before, limit=body.limit + 1)
    page = letter_ids[: body.limit]
    return page, write_cursor(page[-1]) if len(letter_ids) > body.limit else None


def _detail_of(body: Chosen) -> dict[str, object]:
    """Return which letters were meant, for the audit record."""
    return {"ids": body.ids} if body.filter is None else {"filter": body.filter}
