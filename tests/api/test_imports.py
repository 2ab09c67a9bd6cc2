"""Files of leads over HTTP: upload, map, look ahead, start, watch, undo."""

from collections.abc import Mapping
from typing import Any

import anyio
import pytest
from anyio import create_task_group
from leadflood.app import Node
from leadflood.engine.clock import REAL_TIME
from leadflood.engine.db.pool import Database
from leadflood.engine.db.sql import Query

from tests.support.api import Client

pytestmark = pytest.mark.pg
CSV = {"Content-Type": "text/csv"}
ENDED = {"completed", "failed", "undone"}
HASHES = Query(
    "hashes",
    """
    SELECT 'company' AS name, md5(coalesce(string_agg(md5(company::text), '' ORDER BY id), '')) AS md5 FROM company
    UNION ALL
    SELECT 'identity', md5(coalesce(string_agg(md5(identity::text), '' ORDER BY kind, value), '')) FROM identity
    UNION ALL
    SELECT 'field_value', md5(coalesce(string_agg(md5(field_value::text), '' ORDER BY id), ''))
    FROM field_value
    UNION ALL
    SELECT 'lead_text', md5(coalesce(string_agg(md5(lead_text::text), '' ORDER BY lead_id), ''))
    FROM lead_text
    UNION ALL
    SELECT 'lead', md5(coalesce(string_agg(
        md5((to_jsonb(lead) - 'version' - 'updated_at')::text), '' ORDER BY id), ''))
    FROM lead
    """,
    (),
)


async def hashes(database: Database) -> dict[str, str]:
    return {row["name"]: row["md5"] for row in await database.fetch(HASHES)}


def a_file(tag: str, count: int = 3, start: int = 0) -> bytes:
    lines = ["First Name,Last Name,Email,Company,Website,Job Title"]
    lines += [
        f"Ann{n},Lee{n},ann{n}@{tag}{n % 3}.example,Acme {tag},https://{tag}{n % 3}.example,COO"
        for n in range(start, start + count)
    ]
    return "\n".join(lines).encode()


async def upload(api: Client, raw: bytes, **headers: str) -> Any:
    answer = await api.post("/v1/imports?name=leads.csv", raw=raw, headers={**CSV, **headers})
    assert answer.status == 201, answer.body
    return answer.json


async def map_it(api: Client, given: Any, **mapping: Any) -> Any:
    answer = await api.ask("PUT", f"/v1/imports/{given['id']}/mapping", mapping)
    assert answer.status == 200, answer.body
    return answer.json


async def ended(api: Client, given: Any, *, after: str = "running") -> Any:
    with anyio.fail_after(20):
        while True:
            told = (await api.get(f"/v1/imports/{given['id']}")).json
            if told["state"] in ENDED and told["state"] != after:
                return told
            await REAL_TIME.sleep(0.02)


async def imported(api: Client, raw: bytes, **mapping: Any) -> Any:
    given = await upload(api, raw)
    if mapping:
        await map_it(api, given, **mapping)
    begun = await api.post(f"/v1/imports/{given['id']}/start")
    assert begun.status == 202, begun.body
    return await ended(api, given)


async def undone(api: Client, given: Any) -> Any:
    answer = await api.post(f"/v1/imports/{given['id']}/undo")
    assert answer.status == 202, answer.body
    return await ended(api, given, after=given["state"])


async def test_an_upload_shows_how_the_file_was_understood(api: Client, icp_id: str) -> None:
    told = await upload(api, a_file("shown"))

    assert (told["state"], told["encoding"], told["delimiter"]) == ("uploaded", "utf-8", ",")
    assert told["rowCount"] == 3
    assert [column["guess"] for column in told["columns"]] == [
        "first_name", "last_name", "email", "company_name", "company_domain", "title",
    ]  # fmt: skip
    assert told["columns"][2]["samples"] == [
        "ann0@shown0.example", "ann1@shown1.example", "ann2@shown2.example",
    ]  # fmt: skip


async def test_undo_leaves_no_trace(api: Client, icp_id: str, node_database: Database) -> None:
    before = await hashes(node_database)

    done = await imported(api, a_file("trace", 700), enrich=False, tags=["Fair"])
    there = (await api.get("/v1/leads?tag=fair&limit=1")).json
    gone = await undone(api, done)

    assert done["counts"]["created"] == 700
    assert there["data"]
    assert gone["counts"] == {**done["counts"], "undone": 700, "kept": 0}
    assert await hashes(node_database) == before
