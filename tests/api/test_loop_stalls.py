"""The costliest body that each operation allows, and what it does to everybody else's requests.

The loop is watched from within: what counts is the time for which nothing else could run, less
what other processes of the machine took.
"""

import time
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import asynccontextmanager
from typing import Any
from uuid import UUID, uuid4

import anyio
import msgspec
import pytest
from leadflood.engine.clock import SystemClock

from tests.api.routes.test_leads import a_lead
from tests.support.api import Client, running_installation
from tests.support.db import TestServer
from tests.support.messaging import World
from tests.support.routes import UNLIMITED

pytestmark = pytest.mark.pg
BODY_BYTES = 950_000
TICK_SECONDS = 0.005
MOST_SECONDS = 0.25
P99_SECONDS = 0.1
LEADS = 12

LETTERS = ("ab", "\ufdfa")
"""Plain ones, and one that becomes eighteen where it is normalized."""
PATTERNS = (r"[\pL]{500}", r"(\pL|\pN){10}", r"[ab]{1,1000}z", r"(?:.?){300}q", r"\w+")
HOSTILE = (
    b'{"name": ' + b"9" * BODY_BYTES + b"}",
    b'{"name": ' + b"[" * BODY_BYTES,
    b"{" + b",".join(b'"k%d":1' % number for number in range(80_000)) + b"}",
)
"""What no operation allows, and the decoder, which all share, has to read."""


class Stalls:
    """For how long the loop did nothing else, tick by tick."""

    def __init__(self) -> None:
        self.seconds: list[float] = []

    async def watch(self) -> None:
        while True:
            wall_s, busy_s = time.perf_counter(), time.process_time()
            await SystemClock().sleep(TICK_SECONDS)
            wall_s, busy_s = time.perf_counter() - wall_s, time.process_time() - busy_s
            self.seconds.append(max(0.0, min(wall_s - TICK_SECONDS, busy_s)))


@asynccontextmanager
async def watching() -> AsyncIterator[Stalls]:
    stalls = Stalls()
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(stalls.watch)
        yield stalls
        tasks.cancel_scope.cancel()


@pytest.fixture(scope="module")
async def alone(
    database_server: TestServer, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Client]:
    """A node of its own, with leads: what is asked here changes a lot."""
    folder = tmp_path_factory.mktemp("stalls")
    async with running_installation(database_server, folder, rates=UNLIMITED) as (node, client):
        world = World(node.storage.db)
        for number in range(LEADS):
            await world.lead(title="ab" * 500, email=f"{number}@acme.example", full_name="P Q")
        yield client


class CostliestBodies:
    """Writes about the largest value that a schema of a document allows."""

    def __init__(self, schemas: Mapping[str, Any], letters: str) -> None:
        self._schemas = schemas
        self._letters = letters

    def write(self, schema: Mapping[str, Any], size: int) -> Any:
        """Return a value of about `size` bytes of JSON."""
        schema = self._resolve(schema)
        if "enum" in schema:
            return schema["enum"][-1]
        writers: dict[str, Callable[[Mapping[str, Any], int], Any]] = {
            "object": self._object,
            "array": self._array,
            "string": self._text,
            "integer": _number,
            "number": _number,
        }
        writer = writers.get(schema.get("type", ""))
        return True if writer is None else writer(schema, size)

    def _resolve(self, schema: Mapping[str, Any]) -> Mapping[str, Any]:
        """Return a plain schema: of a union the array, as it may be the largest."""
        while "type" not in schema and "enum" not in schema:
            if "$ref" in schema:
                schema = self._schemas[schema["$ref"].rpartition("/")[2]]
                continue
            choices = schema.get("anyOf") or schema.get("oneOf") or [{"type": "boolean"}]
            choices = [each for each in choices if each.get("type") != "null"]
            arrays = [each for each in choices if each.get("type") == "array"]
            schema = (arrays or choices)[0]
        return schema

    def _object(self, schema: Mapping[str, Any], size: int) -> Any:
        fields = schema.get("properties", {})
        share = size // max(len(fields), 1)
        return {name: self.write(field, share) for name, field in fields.items()}

    def _array(self, schema: Mapping[str, Any], size: int) -> Any:
        items: list[Any] = []
        while size > 0 and len(items) < schema.get("maxItems", 50_000):
            items.append(self.write(schema.get("items", {}), min(size // 8, 400)))
            size -= len(msgspec.json.encode(items[-1])) + 1
        return items

    def _text(self, schema: Mapping[str, Any], size: int) -> str:
        match schema.get("format"), schema.get("pattern", ""):
            case "uuid", _:
                return str(uuid4())
            case "date-time", _:
                return "2026-11-01T00:00:00Z"
            case _, "^[A-Z]{2}$":
                return "DE"
            case _:
                count = size // len(self._letters.encode())
                return (self._letters * count)[: schema.get("maxLength", size)]


def _number(schema: Mapping[str, Any], _size: int) -> Any:
    return schema.get("maximum", schema.get("minimum", 1))


def rules_of(pattern: str, count: int = 100) -> list[dict[str, Any]]:
    return [
        {"field": "title", "operator": "MATCHES", "value": f"{pattern}|{number}"}
        for number in range(count)
    ]


def costly_bodies(path: str) -> Iterator[Any]:
    """Yield what costs more than its size tells."""
    if path in {"/v1/icps/preview", "/v1/icps", "/v1/icps/{icpId}", "/v1/icps/{icpId}/rules"}:
        names = [f"{'head of ' * 20}{number}" for number in range(1_000)]
        phrases = [f"{'word ' * 30}{number}" for number in range(1_000)]
        is_whole = not path.endswith("/rules")
        top = {"name": "costly", "target": {"titles": names}} if is_whole else {}
        for pattern in PATTERNS:
            yield {**top, "rules": rules_of(pattern, 100)}
        yield {**top, "rules": rules_of(PATTERNS[2], 3)}
        listed = {"field": "technologies", "operator": "CONTAINS", "value": phrases[:50]}
        yield {**top, "rules": [listed] * 90}
    if path.startswith("/v1/templates"):
        yield {"name": "t", "channel": "email", "subject": "s", "body": "{{ offer }}" * 100}
        yield {"name": "t", "channel": "email", "subject": "s", "body": "{% if a %}" * 1_500}
        yield {"name": "t", "channel": "email", "subject": "s", "body": "{" * 19_000}
    words = ("Zoë de la " * 400)[:3_900]
    if path == "/v1/leads":
        texts = dict.fromkeys(("title", "city", "companyName", "companyIndustry"), words)
        technologies = [f"{number} {words}" for number in range(200)]
        yield {"email": "much@acme.example", **texts, "companyTechnologies": technologies}
    if path == "/v1/leads/{leadId}":
        yield {"companyTechnologies": [f"{number} {words}"[:500] for number in range(200)]}
    if path == "/v1/leads/bulk":
        ids = [str(uuid4()) for _ in range(10_000)]
        yield {"action": "tag", "tag": "x", "ids": ids, "preview": True}
        yield {"action": "tag", "tag": "x", "filter": {"q": "ab " * 60}, "preview": True}


async def test_no_body_that_an_operation_allows_stops_the_loop(alone: Client) -> None:
    document = (await alone.get("/openapi.json")).json
    schemas = document["components"]["schemas"]
    writers = [CostliestBodies(schemas, letters) for letters in LETTERS]
    icp = (await alone.post("/v1/icps", {"name": "Ops", "target": {"titles": ["COO"]}})).json
    lead = (await alone.post("/v1/leads", a_lead(icp["id"]))).json
    ids = {"icpId": icp["profileId"], "leadId": lead["leadId"], "position": "0"}
    worst: dict[str, float] = {}
    everything: list[float] = []

    async def send(name: str, method: str, path: str, raw: bytes, kind: str) -> None:
        headers = {"Content-Type": kind}
        async with watching() as stalls:
            answer = await alone.ask(method, path, raw=raw, headers=headers)
            await SystemClock().sleep(TICK_SECONDS)
        assert answer.status < 500, (name, answer.status, answer.body[:300])
        worst[name] = max(worst.get(name, 0.0), *stalls.seconds)
        everything.extend(stalls.seconds)

    for template, operations in document["paths"].items():
        for method, operation in operations.items():
            content = operation.get("requestBody", {}).get("content", {})
            name = f"{method.upper()} {template}"
            path = _fill(template, ids)
            for kind, media in content.items():
                if kind != "application/json":
                    continue
                bodies = [writer.write(media["schema"], BODY_BYTES) for writer in writers]
                costly = [msgspec.json.encode(each) for each in (*bodies, *costly_bodies(template))]
                for raw in (*costly, *(HOSTILE if template == "/v1/leads" else ())):
                    await send(name, method.upper(), path, raw, kind)
    csv = b"Email,Name,Title\n" + b"a@acme.example,Ann,COO\n" * 40_000
    await send("POST /v1/imports", "POST", "/v1/imports", csv, "text/csv")

    slow = {name: seconds for name, seconds in worst.items() if seconds > MOST_SECONDS}
    assert not slow
    assert sorted(everything)[int(len(everything) * 0.99)] < P99_SECONDS


def _fill(template: str, ids: Mapping[str, str]) -> str:
    path = template
    for part in template.split("/"):
        if part.startswith("{"):
            path = path.replace(part, ids.get(part[1:-1], str(UUID(int=7))))
    return path
