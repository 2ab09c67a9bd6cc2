"""The routing table as tests generate from it: its routes sealed off, its paths filled in."""

import functools
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from enum import Enum
from http import HTTPStatus
from typing import Any
from uuid import UUID

import aiohttp
import msgspec
from leadflood.api.application import listening
from leadflood.api.http.problems import HttpRefused
from leadflood.api.http.rate_limit import RateClass, Settings as Rates
from leadflood.api.http.routing import Route, Signature
from leadflood.api.http.settings import Settings as HttpSettings
from leadflood.app import Node

from tests.support.api import OPERATOR_TOKEN, Client

REACHED = HTTPStatus.IM_A_TEAPOT
"""The answer of a sealed route: the caller was let in."""
OFF = RateClass()
UNLIMITED = Rates(normal=OFF, auth=OFF, heavy=OFF, public=OFF, watch=OFF)
SOMETHING = UUID(int=1)


@asynccontextmanager
async def serving(node: Node, routes: Sequence[Route], **http: Any) -> AsyncIterator[Client]:
    """Serve a route table of the test behind the middleware; the client is the operator."""
    settings = HttpSettings(**{"port": 0, "token": OPERATOR_TOKEN, "rates": UNLIMITED, **http})
    async with (
        listening(node, settings, routes) as address,
        aiohttp.ClientSession(cookie_jar=aiohttp.DummyCookieJar()) as session,
    ):
        yield Client(address, session, OPERATOR_TOKEN)


def seal_routes(routes: Sequence[Route], ran: list[str]) -> list[Route]:
    """Replace each handler by one that records its name: only the access rules are left."""
    return [msgspec.structs.replace(route, handler=_seal(route, ran)) for route in routes]


def _seal(route: Route, ran: list[str]) -> Any:
    @functools.wraps(route.handler)
    async def reached(**_: object) -> None:
        ran.append(route.name)
        raise HttpRefused(REACHED, "http.test.reached", "the caller was let in")

    return reached


def path_of(route: Route) -> str:
    """Return a route's path with a valid value for each name."""
    path = route.path
    for name, kind in Signature.of(route).path.items():
        path = path.replace("{" + name + "}", _something(kind))
    return path


def _something(kind: Any) -> str:
    if isinstance(kind, type) and issubclass(kind, Enum):
        return str(next(iter(kind)).value)
    return str(SOMETHING) if kind is UUID else "something"
