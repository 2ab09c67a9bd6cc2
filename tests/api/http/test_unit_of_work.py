"""A change over HTTP: one transaction with its audit record, its answer and what follows it."""

import hashlib
from collections.abc import AsyncIterator
from http import HTTPStatus
from uuid import uuid4

import msgspec
import pytest
from leadflood.api.http.request_context import Caller
from leadflood.api.http.routing import post, put
from leadflood.api.http.unit_of_work import CommitAndRaise, LateUnitOfWork, Subject, UnitOfWork
from leadflood.api.services import Services
from leadflood.app import Node
from leadflood.domain.audit.schemas import AuditEvent, AuditFilter
from leadflood.engine.db.pool import Database
from leadflood.engine.errors import Conflict

from tests.support.api import Client
from tests.support.routes import serving
from tests.support.statements import sql

pytestmark = pytest.mark.pg
ran: list[str] = []


class Thing(msgspec.Struct, frozen=True):
    name: str


@post("/test/things", permission="self", status=HTTPStatus.CREATED)
async def make_thing(body: Thing, uow: UnitOfWork) -> Thing:
    """Make a thing."""
    ran.append(body.name)
    await uow.audit("thing.made", body.name, made_of="wood", kind="chair")
    uow.after_commit(lambda: ran.append(f"{body.name} is committed"))
    return Thing(name=f"{body.name} {len(ran)}")


@post("/test/refused", permission="self", errors=(Conflict,))
async def refuse_thing(body: Thing, uow: UnitOfWork) -> Thing:
    """Refuse a thing; the attempt stays written."""
    ran.append(body.name)
    await uow.audit("thing.refused", Subject("person", body.name))
    raise CommitAndRaise(Conflict("not this thing", code="test.refused"))


@post("/test/broken", permission="self", errors=(Conflict,))
async def break_thing(body: Thing, uow: UnitOfWork) -> Thing:
    """Fail after writing."""
    await uow.audit("thing.broken", body.name)
    uow.after_commit(lambda: ran.append("never"))
    raise Conflict("it broke", code="test.broken")


@post("/test/secrets", permission="self", is_sealed=True)
async def make_secret(body: Thing, uow: UnitOfWork) -> Thing:
    """Make a secret."""
    ran.append(body.name)
    del uow
    return Thing(name=f"the secret of {body.name}")


@post("/test/slow", permission="self")
async def make_slowly(body: Thing, late_uow: LateUnitOfWork[Thing], caller: Caller) -> Thing:
    """Do what needs no transaction first."""
    if (remembered := await late_uow.recall()) is not None:
        return remembered

    async def work(uow: UnitOfWork) -> Thing:
        assert uow.caller == caller
        ran.append(body.name)
        return Thing(name=f"slow {len(ran)}")

    return await late_uow.run(work)


@put("/test/opened", permission="self")
async def open_thing(body: Thing, late_uow: LateUnitOfWork[None]) -> Thing:
    """Do what follows the transaction."""
    async with late_uow.open() as uow:
        await uow.audit("thing.opened", body.name)
        uow.after_commit(lambda: ran.append(f"{body.name} is committed"))
        if body.name.startswith("bad"):
            raise Conflict("not this thing", code="test.refused")
    ran.append("after")
    return body


@pytest.fixture
async def things(node: Node) -> AsyncIterator[Client]:
    ran.clear()
    routes = [make_thing, refuse_thing, break_thing, make_secret, make_slowly]
    async with serving(node, routes) as client:
        yield client


def keyed() -> dict[str, str]:
    return {"Idempotency-Key": uuid4().hex}


async def acts_on(services: Services, subject_id: str) -> list[AuditEvent]:
    """List what is recorded of a thing; only `subject_id` tells one test's from another's."""
    return await services.audit.list(services.db, AuditFilter(subject_id=subject_id), None, 100)


async def test_a_change_is_done_once_for_a_key_with_what_it_records(
    things: Client, node: Node
) -> None:
    name, headers = uuid4().hex, keyed()

    first = await things.post("/test/things", {"name": name}, headers=headers)
    second = await things.post("/test/things", {"name": name}, headers=headers)
    reused = await things.post("/test/things", {"name": "else"}, headers=headers)

    assert (first.status, first.json) == (201, {"name": f"{name} 1"})
    assert second.body == first.body
    assert reused.problem["code"] == "http.idempotency.reused"
    assert ran == [name, f"{name} is committed"]
    (act,) = await acts_on(node.services, name)
    assert (act.action, act.subject_kind) == ("thing.made", "thing")
    assert act.detail == {"madeOf": "wood", "kind": "chair"}


async def test_without_a_key_a_change_is_done_each_time(things: Client) -> None:
    for _ in range(2):
        await things.post("/test/things", {"name": "a"})

    assert ran == ["a", "a is committed"] * 2


async def test_a_refusal_that_must_leave_a_trace_is_committed_and_not_remembered(
    things: Client, node: Node
) -> None:
    name, headers = uuid4().hex, keyed()

    answers = [
        await things.post("/test/refused", {"name": name}, headers=headers) for _ in range(2)
    ]

    assert [answer.problem["code"] for answer in answers] == ["test.refused"] * 2
    acts = await acts_on(node.services, name)
    assert [(act.action, act.subject_kind) for act in acts] == [("thing.refused", "person")] * 2


async def test_a_failure_leaves_nothing_behind_and_starts_nothing(
    things: Client, node: Node
) -> None:
    name = uuid4().hex

    answer = await things.post("/test/broken", {"name": name}, headers=keyed())

    assert answer.problem["code"] == "test.broken"
    assert not await acts_on(node.services, name)
    assert not ran


async def test_an_answer_that_holds_a_secret_is_kept_encrypted(
    things: Client, node_database: Database
) -> None:
    headers = keyed()

    first = await things.post("/test/secrets", {"name": "Ann"}, headers=headers)
    second = await things.post("/test/secrets", {"name": "Ann"}, headers=headers)

    assert first.body == second.body
    assert ran == ["Ann"]
    stored = await node_database.fetch(sql("SELECT answer FROM idempotency"))
    assert not [row for row in stored if b"the secret of" in row["answer"]]


async def test_a_unit_of_work_opened_late_is_done_once_too(things: Client) -> None:
    headers = keyed()

    answers = [await things.post("/test/slow", {"name": "a"}, headers=headers) for _ in range(3)]

    assert {answer.body for answer in answers} == {b'{"name":"slow 1"}'}
    assert ran == ["a"]


async def test_a_unit_of_work_opened_by_the_handler_is_committed_before_it_goes_on(
    node: Node,
) -> None:
    ran.clear()
    good, bad = uuid4().hex, f"bad {uuid4().hex}"

    async with serving(node, [open_thing]) as client:
        answer = await client.ask("PUT", "/test/opened", {"name": good})
        refused = await client.ask("PUT", "/test/opened", {"name": bad})

    assert (answer.status, refused.status) == (200, 409)
    assert ran == [f"{good} is committed", "after"]
    assert [act.action for act in await acts_on(node.services, good)] == ["thing.opened"]
    assert not await acts_on(node.services, bad)


async def test_the_body_of_a_sealed_answer_is_kept_as_a_keyed_hash(
    things: Client, node_database: Database
) -> None:
    """A plain hash of a body gives its password away to whoever tries many."""
    body = b'{"name":"a password"}'

    await things.post("/test/secrets", raw=body, headers={"Idempotency-Key": uuid4().hex})

    kept = await node_database.fetch(sql("SELECT body_hash FROM idempotency"))
    hashes = {bytes(row["body_hash"]) for row in kept}
    assert hashes
    assert not hashes & {
        hashlib.sha256(body).digest(),
        hashlib.sha256(b"/test/secrets\n" + body).digest(),
    }
