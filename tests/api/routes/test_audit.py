import csv
import io
from uuid import uuid4

import pytest
from leadflood.engine.db.pool import Database

from tests.support.api import Client
from tests.support.statements import sql

pytestmark = pytest.mark.pg
FILL = sql(
    "INSERT INTO audit_event SELECT ('01980000-0000-7000-8000-' || lpad($1 || n::text, 12, '0'))"
    "::uuid, '2025-07-01Z'::timestamptz, 'user', $2::uuid, 'eve', '', '', 'thing.changed',"
    " 'thing', n::text, $3 FROM generate_series(1, 5) AS n",
    "prefix",
    "actor",
    "detail",
)


async def test_acts_are_listed_by_actor_kind_subject_and_time_page_by_page(
    api: Client, node_database: Database
) -> None:
    actor = str(uuid4())
    await node_database.execute(FILL, prefix="1", actor=actor, detail='{"a":1}')

    first = (await api.get(f"/v1/audit?actor=user:{actor}&limit=3")).json
    cursor = first["pagination"]["nextCursor"]
    rest = (await api.get(f"/v1/audit?actor=user:{actor}&limit=3&cursor={cursor}")).json
    of_one = (await api.get(f"/v1/audit?actor=user:{actor}&subjectKind=thing&subjectId=2")).json
    before = (await api.get(f"/v1/audit?actor=user:{actor}&to=2020-01-01T00:00:00Z")).json
    after = (await api.get(f"/v1/audit?actor=user:{actor}&from=2020-01-01T00:00:00Z")).json

    listed = [act["subjectId"] for act in [*first["data"], *rest["data"]]]
    assert listed == ["5", "4", "3", "2", "1"]
    assert first["data"][0]["detail"] == {"a": 1}
    assert [act["subjectId"] for act in of_one["data"]] == ["2"]
    by_id = (await api.get("/v1/audit?subjectId=2&subjectKind=thing&action=thing.changed")).json
    assert {act["subjectId"] for act in by_id["data"]} == {"2"}
    assert (len(before["data"]), len(after["data"])) == (0, 5)


async def test_the_operator_s_acts_are_listed_too(api: Client) -> None:
    await api.ask("PUT", "/v1/admin/providers/apollo/stop", {"reason": "bill"})
    await api.ask("DELETE", "/v1/admin/providers/apollo/stop")

    listed = (await api.get("/v1/audit?actor=operator&subjectKind=provider&limit=2")).json["data"]

    assert [act["action"] for act in listed] == ["provider.started", "provider.stopped"]
    assert listed[1]["detail"] == {"reason": "bill"}
    assert listed[0]["actorId"] is None


@pytest.mark.parametrize(
    "query", ["actor=somebody", "actor=user:x", "actor=operator:1", "from=soon", "from=5", "to=1e9"]
)
async def test_a_filter_that_means_nothing_is_refused(api: Client, query: str) -> None:
    assert (await api.get(f"/v1/audit?{query}")).status == 422


async def test_the_record_is_exported_as_csv_without_formulas_and_as_json(
    api: Client, node_database: Database
) -> None:
    actor = str(uuid4())
    await node_database.execute(FILL, prefix="2", actor=actor, detail='{"x":"=1+1"}')
    path = f"/v1/audit/export?actor=user:{actor}"

    as_csv = await api.get(f"{path}&format=csv")
    as_json = await api.get(f"{path}&format=json")
    exported = (await api.get("/v1/audit?action=audit.exported&limit=2")).json["data"]

    rows = list(csv.DictReader(io.StringIO(as_csv.body.decode())))
    assert [row["subjectId"] for row in rows] == ["5", "4", "3", "2", "1"]
    assert [act["subjectId"] for act in as_json.json] == ["5", "4", "3", "2", "1"]
    assert as_csv.headers["Content-Disposition"] == 'attachment; filename="audit.csv"'
    assert [act["detail"]["format"] for act in exported] == ["json", "csv"]


@pytest.mark.parametrize("query", ["from=-1", "to=-1&format=json", "from=1700000000"])
async def test_an_export_that_cannot_be_read_is_refused_before_it_begins(
    api: Client, query: str
) -> None:
    refused = await api.get(f"/v1/audit/export?{query}")

    assert refused.status == 422, refused.body


async def test_an_empty_export_is_still_a_file(api: Client) -> None:
    path = f"/v1/audit/export?actor=user:{uuid4()}"

    assert (await api.get(f"{path}&format=json")).json == []
    assert (await api.get(path)).body.decode().count("\n") == 1


async def test_the_record_needs_the_permission_to_read_it(api: Client) -> None:
    manager = await api.client_of("MANAGER")

    assert (await manager.get("/v1/audit")).status == 403
    assert (await manager.get("/v1/audit/export")).status == 403
