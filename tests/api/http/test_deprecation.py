from datetime import UTC, datetime, timedelta, timezone

import pytest
from leadflood.api.http.deprecation import Deprecation
from leadflood.api.http.openapi import describe
from leadflood.api.http.routing import Route
from leadflood.api.routes.liveness import Alive
from leadflood.app import Node
from leadflood.engine.errors import NotFound

from tests.support.routes import serving

pytestmark = pytest.mark.pg
GOING = Deprecation(
    deprecated_at=datetime(2026, 7, 1, tzinfo=UTC),
    sunset_at=datetime(2027, 1, 1, tzinfo=UTC),
    replaced_by="/v2/things",
    why="https://leads.example/changes",
)


async def show() -> Alive:
    """Show a thing."""
    return Alive()


async def fail() -> Alive:
    """Fail to show a thing."""
    raise NotFound("gone")


TABLE = (
    Route(
        method="GET",
        path="/v1/things",
        handler=show,
        permission="",
        is_open=True,
        deprecation=GOING,
    ),
    Route(
        method="GET",
        path="/v1/lost",
        handler=fail,
        permission="",
        is_open=True,
        deprecation=Deprecation(deprecated_at=GOING.deprecated_at),
    ),
    Route(method="GET", path="/v2/things", handler=show, permission="", is_open=True),
)


async def test_a_route_that_will_go_says_so_in_good_and_bad_answers(node: Node) -> None:
    async with serving(node, TABLE) as api:
        going, lost = await api.get("/v1/things"), await api.get("/v1/lost")
        staying = await api.get("/v2/things")

    assert (going.status, lost.status) == (200, 404)
    assert going.headers["Deprecation"] == lost.headers["Deprecation"] == "@1782864000"
    assert going.headers["Sunset"] == "Fri, 01 Jan 2027 00:00:00 GMT"
    assert going.headers["Link"] == (
        '</v2/things>; rel="successor-version",'
        ' <https://leads.example/changes>; rel="deprecation"; type="text/html"'
    )
    assert not {"Sunset", "Link"} & set(lost.headers)
    assert not {"Deprecation", "Sunset", "Link"} & set(staying.headers)


def test_the_document_marks_a_deprecated_route() -> None:
    paths = describe(TABLE)["paths"]

    assert paths["/v1/things"]["get"]["deprecated"] is True
    assert "deprecated" not in paths["/v2/things"]["get"]


def test_an_instant_is_written_in_utc() -> None:
    local_time = datetime(2027, 1, 1, 2, tzinfo=timezone(timedelta(hours=2)))

    headers = Deprecation(deprecated_at=GOING.deprecated_at, sunset_at=local_time).headers()

    assert headers["Sunset"] == "Fri, 01 Jan 2027 00:00:00 GMT"
