"""Concurrent requests of one route: one transaction, an answer each, once for a key."""

from collections.abc import AsyncIterator, Sequence
from uuid import uuid4

import anyio
import msgspec
import pytest
from leadflood.api.http.batched_unit_of_work import BatchedUnitOfWork
from leadflood.api.http.problems import HttpRefused
from leadflood.api.http.request_context import Caller
from leadflood.app import Node
from leadflood.engine.db.batching import REDO, Redo
from leadflood.engine.errors import Conflict, NotFound
from leadflood.engine.queue.publisher import Publication

pytestmark = pytest.mark.pg


class Made(msgspec.Struct, frozen=True):
    name: str
    batch: int


class Making:
    """Refuses `gone` before the transaction and `known` within, puts `twice` off once."""

    def __init__(self) -> None:
        self.batches: list[list[str]] = []

    async def prepare(self, requests: Sequence[str]) -> list[str | Exception]:
        return [NotFound(name) if name == "gone" else name for name in requests]

    async def commit(
        self, _publication: Publication, requests: Sequence[str]
    ) -> list[Made | Exception | Redo]:
        is_repeat = any("twice" in batch for batch in self.batches)
        self.batches.append(list(requests))
        return [self._answer(name, is_repeat=is_repeat) for name in requests]

    def _answer(self, name: str, *, is_repeat: bool) -> Made | Exception | Redo:
        if name == "known":
            return Conflict(name, code="test.known")
        if name == "twice" and not is_repeat:
            return REDO
        return Made(name, len(self.batches))


@pytest.fixture
def making() -> Making:
    return Making()


@pytest.fixture
async def batched(node: Node, making: Making) -> AsyncIterator[BatchedUnitOfWork[str, Made]]:
    batched = BatchedUnitOfWork(lambda: node.services, Made, making)
    async with batched.running():
        yield batched


def a_caller(key: str = "", body: bytes = b"") -> Caller:
    return Caller(request_id=uuid4().hex, idempotency_key=key, body_hash=body, route="test")


async def test_what_is_refused_hurts_no_other_of_the_batch(
    batched: BatchedUnitOfWork[str, Made],
) -> None:
    answers: dict[str, object] = {}

    async def ask(name: str) -> None:
        try:
            answers[name] = (await batched.submit(a_caller(), lambda: name)).name
        except (Conflict, NotFound) as error:
            answers[name] = type(error)

    async with anyio.create_task_group() as group:
        for name in ("ann", "gone", "known", "twice", "bob"):
            group.start_soon(ask, name)

    assert answers == {
        "ann": "ann",
        "bob": "bob",
        "twice": "twice",
        "gone": NotFound,
        "known": Conflict,
    }


async def test_a_key_is_answered_from_memory_and_with_another_body_refused(
    batched: BatchedUnitOfWork[str, Made], making: Making
) -> None:
    key = uuid4().hex

    first = await batched.submit(a_caller(key, b"1"), lambda: "ann")
    again = await batched.submit(a_caller(key, b"1"), lambda: "ann")

    assert again == first
    assert [name for batch in making.batches for name in batch] == ["ann"]
    with pytest.raises(HttpRefused):
        await batched.submit(a_caller(key, b"2"), lambda: "ann")


async def test_what_was_refused_is_not_remembered(
    batched: BatchedUnitOfWork[str, Made], making: Making
) -> None:
    key = uuid4().hex

    for _ in range(2):
        with pytest.raises(Conflict):
            await batched.submit(a_caller(key), lambda: "known")

    assert making.batches == [["known"], ["known"]]
