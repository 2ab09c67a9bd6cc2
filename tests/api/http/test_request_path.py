"""A request goes straight through the framework to its handler: what it has left it leaves."""

import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from http import HTTPStatus
from types import FrameType

import msgspec
import pytest
from leadflood.api.http.routing import get, post
from leadflood.api.http.unit_of_work import UnitOfWork
from leadflood.api.services import Services
from leadflood.app import Node

from tests.support.api import Client
from tests.support.routes import serving

pytestmark = pytest.mark.pg
EDGE = "leadflood.api."
MAX_PASSED = 9


class Thing(msgspec.Struct, frozen=True):
    name: str


@get("/test/path", permission="self")
async def show_thing(services: Services) -> Thing:
    """Show a thing."""
    del services
    return Thing(name="shown")


@post("/test/path", permission="self", status=HTTPStatus.CREATED)
async def make_thing(body: Thing, uow: UnitOfWork) -> Thing:
    """Make a thing."""
    del uow
    return body


HANDLERS = {show_thing.handler.__code__, make_thing.handler.__code__}


class Path:
    """The modules of the edge that a request enters until its handler begins.

    `passed` are those that wait for the handler, from the outermost to the innermost.
    `returned_to` are those that were waiting when another module called them.
    """

    def __init__(self) -> None:
        self.passed: list[str] = []
        self.returned_to: list[str] = []

    def record(self, frame: FrameType, event: str, _argument: object) -> None:
        if event != "call" or self.passed:
            return
        if frame.f_globals.get("__name__") == __name__:
            if frame.f_code in HANDLERS:
                self.passed = waiting(frame)
            return
        module = edge_module(frame)
        if module is None:
            return
        chain = waiting(frame)
        if module in chain[:-1] and chain[-1] != module:
            self.returned_to.append(module)


def edge_module(frame: FrameType) -> str | None:
    name = str(frame.f_globals.get("__name__", ""))
    return name.removeprefix(EDGE) if name.startswith(EDGE) else None


def waiting(frame: FrameType) -> list[str]:
    """List the modules below a frame, outermost first; neighbours of one module count once."""
    modules: list[str] = []
    below = frame.f_back
    while below is not None:
        module = edge_module(below)
        if module is not None and modules[-1:] != [module]:
            modules.append(module)
        below = below.f_back
    return modules[::-1]


@contextmanager
def traced() -> Iterator[Path]:
    path = Path()
    sys.setprofile(path.record)
    try:
        yield path
    finally:
        sys.setprofile(None)


@pytest.fixture
async def things(node: Node) -> AsyncIterator[Client]:
    async with serving(node, [show_thing, make_thing]) as client:
        yield client


@pytest.mark.parametrize("method", ["GET", "POST"])
async def test_a_request_passes_few_modules_and_returns_to_none(
    things: Client, method: str
) -> None:
    body = None if method == "GET" else {"name": "made"}
    await things.ask(method, "/test/path", body)

    with traced() as path:
        answer = await things.ask(method, "/test/path", body)

    assert answer.status < HTTPStatus.BAD_REQUEST
    assert path.passed[:3] == ["http.middleware", "http.server", "http.endpoint"]
    assert len(path.passed) <= MAX_PASSED
    assert len(path.passed) == len(set(path.passed))
    assert not path.returned_to
