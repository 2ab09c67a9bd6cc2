import sys
from contextlib import suppress
from datetime import UTC, datetime
from http import HTTPStatus
from uuid import UUID, uuid4

import msgspec
import pytest
from hypothesis import given, strategies as st
from leadflood.api.http.decoding import decode_body, decode_query
from leadflood.api.http.endpoint import Endpoint
from leadflood.api.http.naming import snake_case
from leadflood.api.http.pagination import (
    Paging,
    make_page,
    read_cursor,
    write_cursor,
)
from leadflood.api.http.platform import Platform
from leadflood.api.http.problems import HttpRefused
from leadflood.api.http.request_context import Caller
from leadflood.api.http.routing import (
    Route,
    Signature,
    delete,
    get,
    list_shadowed,
    patch,
    post,
    put,
    routes_of,
)
from leadflood.api.http.unit_of_work import UnitOfWork
from leadflood.api.routes import list_routes

from tests.support.api import Client

CALLER = Caller(request_id="r")


def no_services() -> Platform:
    raise AssertionError("this route takes no services")


class Sent(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    text: str = ""
    inner: tuple["Sent", ...] = ()


async def take(thing_id: UUID, query: Paging, body: Sent, caller: Caller) -> Sent:
    """Take a thing. More words."""
    del thing_id, query, caller
    return body


ROUTE = Route(method="POST", path="/things/{thingId}", handler=take, permission="x:write")
DECODER = msgspec.json.Decoder(Sent)


class Shelf:
    def __init__(self, name: str) -> None:
        self.name = name


@get("/things/{thingId}", permission="things:read")
async def show_thing(thing_id: UUID) -> Sent:
    """Show a thing."""
    return Sent(text=str(thing_id))


@patch("/things/{thingId}", permission="things:write", status=HTTPStatus.ACCEPTED)
async def change_thing(thing_id: UUID, uow: UnitOfWork) -> Sent:
    """Change a thing."""
    del uow
    return Sent(text=str(thing_id))


def test_the_annotations_are_the_contract() -> None:
    contract = Signature.of(ROUTE)

    assert (contract.body, contract.query, contract.answer) == (Sent, Paging, Sent)
    assert contract.path == {"thingId": UUID}
    assert "caller" in contract.takes
    assert contract.summary == "Take a thing. More words"


def test_a_handler_that_does_not_fit_its_path_is_refused_at_the_start() -> None:
    with pytest.raises(TypeError, match="do not fit"):
        Endpoint(msgspec.structs.replace(ROUTE, path="/things"), no_services)


async def test_an_endpoint_passes_its_handler_the_parameters_it_names() -> None:
    path, query = {"thingId": str(uuid4())}, [("limit", "3")]

    answer = await Endpoint(ROUTE, no_services).answer(path, query, b'{"text": "a"}', CALLER)

    assert answer == Sent(text="a")


@given(st.binary(max_size=200))
def test_bytes_are_a_body_or_a_problem_of_the_caller(raw: bytes) -> None:
    with suppress(HttpRefused):
        assert isinstance(decode_body(raw, DECODER), Sent)


@given(st.text(max_size=20))
def test_the_character_nul_is_found_wherever_it_stands(text: str) -> None:
    raw = msgspec.json.encode(Sent(inner=(Sent(text=f"{text}\x00"),)))

    with pytest.raises(HttpRefused) as refused:
        decode_body(raw, DECODER)

    assert refused.value.fields[0].path == "inner[0].text"


def test_an_escaped_backslash_before_u0000_is_no_nul() -> None:
    assert decode_body(b'{"text": "\\\\u0000"}', DECODER) == Sent(text="\\u0000")


@given(st.lists(st.tuples(st.text(max_size=10), st.text(max_size=10)), max_size=4))
def test_parameters_are_understood_or_a_problem_of_the_caller(
    pairs: list[tuple[str, str]],
) -> None:
    with suppress(HttpRefused):
        assert isinstance(decode_query(pairs, Paging), Paging)


@given(st.uuids())
def test_a_cursor_is_read_as_it_was_written(position: UUID) -> None:
    assert read_cursor(write_cursor(position)) == position


@pytest.mark.parametrize(("path", "python"), [("leadId", "lead_id"), ("id", "id")])
def test_names_in_paths_become_snake_case(path: str, python: str) -> None:
    assert snake_case(path) == python


@given(st.integers(), st.datetimes(timezones=st.just(UTC)), st.uuids(), st.text())
def test_a_cursor_of_a_sort_is_read_as_it_was_written_and_for_that_sort_only(
    score: int, at: datetime, thing: UUID, text: str
) -> None:
    position, kind = (score % 2**63, at, thing, text), tuple[int, datetime, UUID, str]
    cursor = write_cursor(position, "score")

    assert read_cursor(cursor, "score", kind) == position
    for sort, other_kind in (("name", kind), ("score", tuple[str, UUID]), ("", UUID)):
        with pytest.raises(HttpRefused):
            read_cursor(cursor, sort, other_kind)


@given(st.text(max_size=60))
def test_no_cursor_is_a_bug(cursor: str) -> None:
    with suppress(HttpRefused):
        read_cursor(cursor, "score", tuple[int, UUID])
    with suppress(HttpRefused):
        read_cursor(cursor)


def test_a_page_by_number_skips_what_is_before_it() -> None:
    query = Paging(limit=2, page=3)

    page = make_page(
        query.skip([UUID(int=n) for n in range(query.fetch_limit)]), query, lambda one: one
    )

    assert page.data == [UUID(int=4), UUID(int=5)]
    assert (page.pagination.page, page.pagination.next_cursor is None) == (3, False)


def test_a_post_without_a_key_says_why() -> None:
    with pytest.raises(TypeError, match="say why"):
        Endpoint(msgspec.structs.replace(ROUTE, idempotent=False), no_services)


def test_a_decorator_makes_a_handler_a_route_and_its_module_lists_it() -> None:
    listed_routes = routes_of(sys.modules[__name__])

    assert listed_routes == (ROUTE, show_thing, change_thing)
    assert (show_thing.name, show_thing.permission) == ("GET /things/{thingId}", "things:read")
    assert change_thing.status is HTTPStatus.ACCEPTED


def test_a_route_that_writes_without_a_unit_of_work_says_why() -> None:
    async def write(body: Sent) -> Sent:
        return body

    for decorate in (post, put, patch, delete):
        with pytest.raises(TypeError, match="uow: UnitOfWork"):
            decorate("/things", permission="things:write")(write)
    with pytest.raises(TypeError, match="say why"):
        post("/things", permission="things:write", idempotent=False)(write)

    assert not post("/things", is_open=True, idempotent=False, reason="it reads")(write).takes_key
    batched = put("/things", permission="things:write", commits_itself="in batches")(write)
    assert batched.commits_itself


def test_a_route_is_open_or_needs_a_permission() -> None:
    async def show() -> Sent:
        return Sent()

    with pytest.raises(TypeError, match="permission"):
        get("/things")(show)
    with pytest.raises(TypeError, match="permission"):
        get("/things", is_open=True, permission="things:read")(show)


async def test_a_handler_is_given_parts_of_the_server_by_their_type() -> None:
    async def show(shelf: Shelf) -> Sent:
        return Sent(text=shelf.name)

    route = get("/shelf", is_open=True)(show)

    answer = await Endpoint(route, no_services, {Shelf: Shelf("oak")}).answer({}, [], b"", CALLER)

    assert answer == Sent(text="oak")
    with pytest.raises(TypeError, match="shelf"):
        Endpoint(route, no_services)


async def test_a_name_in_a_path_is_never_read_as_an_id(api: Client) -> None:
    refused = await api.ask("PATCH", "/v1/leads/bulk", {"title": "COO"})

    assert refused.status == 405
    assert refused.headers["Allow"] == "POST"
    shadowed = {(method, path) for method, path, _ in list_shadowed(list_routes())}
    assert ("PATCH", "/v1/leads/bulk") in shadowed
    assert ("DELETE", "/v1/leads/export") in shadowed
