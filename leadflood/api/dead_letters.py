"""Dead letters over HTTP: look, try again, forget."""

from collections.abc import Sequence
from http import HTTPStatus
from typing import Annotated
from uuid import UUID

import msgspec

from leadflood.api.edge import Node
from leadflood.api.listing import Listed, Paging, listed
from leadflood.api.route import Route
from leadflood.engine.errors import NotFound
from leadflood.engine.queue import deadletters, store
from leadflood.engine.queue.deadletters import DeadLetter, Ending, Filter, Replayed

PATH = "/v1/admin/dead-letters"
SEND = "message.send"


class LetterQuery(Paging, frozen=True, kw_only=True, forbid_unknown_fields=True, rename="camel"):
    """Which dead letters; null asks for nothing."""

    stage: Annotated[str, msgspec.Meta(max_length=100)] | None = None
    error_code: Annotated[str, msgspec.Meta(max_length=200)] | None = None
    run_id: UUID | None = None


class Replay(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which dead letters to try again."""

    ids: Annotated[tuple[UUID, ...], msgspec.Meta(min_length=1, max_length=500)]


class Subject(msgspec.Struct, frozen=True):
    """What a sending's payload names."""

    intent_id: UUID | None = None


class DeadLetters:
    """The routes of dead letters."""

    def __init__(self, node: Node) -> None:
        self._node = node

    def routes(self) -> tuple[Route, ...]:
        """List the rows of the table."""
        one = PATH + "/{letterId}"
        return (
            Route(method="GET", path=PATH, handler=self.list, permission="admin:read"),
            Route(
                method="GET", path=one, handler=self.get, permission="admin:read",
                errors=(NotFound,),
            ),
            Route(
                method="DELETE", path=one, handler=self.discard, permission="admin:write",
                errors=(NotFound,), status=HTTPStatus.NO_CONTENT,
            ),
            Route(
                method="POST", path="/v1/admin/dead-letter-replays", handler=self.replay,
                permission="admin:write",
            ),
        )  # fmt: skip

    async def list(self, query: LetterQuery) -> Listed[DeadLetter]:
        """List dead letters, newest first."""
        wanted = Filter(stage=query.stage, error_code=query.error_code, run_id=query.run_id)
        letters = await deadletters.list_letters(
            self._node.storage.db, wanted, before=query.place(), limit=query.limit + 1
        )
        return listed(letters, query, lambda letter: letter.id)

    async def get(self, letter_id: UUID) -> DeadLetter:
        """Show a dead letter whole: payload, error, the chain of its causes."""
        return await deadletters.get(self._node.storage.db, letter_id)

    async def discard(self, letter_id: UUID) -> None:
        """Forget a dead letter for good."""
        dropped = await self._node.storage.db.fetch(store.SQL.drop_dead_letters, ids=[letter_id])
        if not dropped:
            raise NotFound(
                f"there is no dead letter {letter_id}", code="engine.dead_letter.not_found"
            )

    async def replay(self, body: Replay) -> Sequence[Replayed]:
        """Queue dead letters again; what may have happened outside is refused as `doubtful`."""
        storage = self._node.storage
        doubtful = await self._find_doubtful(body.ids)
        async with storage.db.transaction() as tx:
            ended = await deadletters.replay(
                tx, body.ids, storage.ids, storage.clock.now(), doubtful
            )
        for stage in {one.stage for one in ended if one.ending is Ending.QUEUED}:
            self._node.engine.wakes.wake(stage)
        return ended

    async def _find_doubtful(self, letter_ids: tuple[UUID, ...]) -> Sequence[UUID]:
        """Find the sends of which nobody knows whether they arrived."""
        db = self._node.storage.db
        rows = [await db.fetch_one(store.SQL.find_dead_letter, id=one) for one in letter_ids]
        intent_of: dict[UUID, UUID] = {}
        for row in rows:
            if row is not None and row["stage"] == SEND:
                subject = msgspec.json.decode(row["payload"], type=Subject)
                if subject.intent_id is not None:
                    intent_of[row["id"]] = subject.intent_id
        unsettled = await self._node.messaging.find_unsettled(list(intent_of.values()))
        return [letter for letter, intent in intent_of.items() if intent in unsettled]
