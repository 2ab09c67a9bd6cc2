"""Lists walk an index, whatever is asked: with scans and sorts forbidden, none is planned."""

import re
from collections.abc import AsyncIterator
from typing import Any
from uuid import UUID

import pytest
from benchmarks.million import fill
from leadflood.domain.lead_views.repository import lists
from leadflood.domain.lead_views.schemas import LeadSort
from leadflood.engine.db.pool import Database, open_database
from leadflood.engine.db.sql import Query
from tests.support.db import TestServer, cloned_database
from tests.support.statements import sql

pytestmark = pytest.mark.pg
SOME = UUID(int=7)
FILTERS: dict[str, dict[str, Any]] = {
    "all": {},
    "status": {"status": "failed"},
    "source": {"source": "csv"},
    "country": {"country": "MX"},
    "owner": {"owner": "x"},
    "own": {"visible_owner": "x"},
    "tag": {"tags": ["tag-9"]},
    "company": {"company_id": SOME},
    "ids": {"lead_ids": [SOME]},
    "band": {"band": "HIGH"},
    "points": {"min_milli": 90_000},
    "words": {"words": "'anna':*"},
    "icp": {"is_scoped": True, "icp_id": SOME},
    "run": {"is_scoped": True, "run_id": SOME},
}
WALKS = {
    LeadSort.NEWEST: "lead_pkey",
    LeadSort.OLDEST: "lead_pkey",
    LeadSort.BEST: "lead_best",
    LeadSort.WORST: "lead_best",
    LeadSort.LATEST: "lead_latest",
    LeadSort.NAME: "lead_named",
}


async def plan_of(database: Database, query: Query, params: dict[str, Any], off: str) -> str:
    nothing = dict.fromkeys(query.parameters)
    start = {"is_scoped": False, "is_unowned": False, "is_common": False, "limit": 51, "offset": 0}
    defaults = {name: value for name, value in start.items() if name in nothing}
    explained = Query("explained", f"EXPLAIN {query.text}", query.parameters)
    async with database.transaction() as tx:
        await tx.execute(sql(f"SET LOCAL enable_{off} = off"))
        await lists.plan_by_values(tx)
        rows = await tx.fetch(explained, **{**nothing, **defaults, **params})
    return "\n".join(row[0] for row in rows)


@pytest.fixture(scope="module")
async def filled(database_server: TestServer) -> AsyncIterator[Database]:
    async with cloned_database(database_server) as settings, open_database(settings) as database:
        await fill(database, 2_000)
        yield database


@pytest.mark.parametrize("params", FILTERS.values(), ids=list(FILTERS))
@pytest.mark.parametrize(
    "query", [lists.SQL.list_leads, lists.SQL.count_leads], ids=["list", "count"]
)
async def test_no_filter_scans_the_leads(
    filled: Database, query: Query, params: dict[str, Any]
) -> None:
    more = {"sort": "-createdAt"} if query is lists.SQL.list_leads else {"bound": 10_001}

    plan = await plan_of(filled, query, {**params, **more}, "seqscan")

    assert not re.findall(r"Seq Scan on (?:lead|lead_text|score_prediction)\b", plan), plan


@pytest.mark.parametrize("sort", list(LeadSort))
async def test_every_order_is_an_index_from_its_beginning_and_from_a_position(
    filled: Database, sort: LeadSort
) -> None:
    position = {
        "after_id": SOME,
        "after_at": None,
        "after_milli": 5,
        "after_name": "m",
        "sort": sort.value,
    }
    moment = await filled.fetch_value(sql("SELECT max(updated_at) FROM lead"))

    first = await plan_of(filled, lists.SQL.list_leads, {"sort": sort.value}, "sort")
    later = await plan_of(filled, lists.SQL.list_leads, {**position, "after_at": moment}, "sort")

    for plan in (first, later):
        assert "Sort" not in plan, plan
        assert WALKS[sort] in plan, plan
    assert "Index Cond" in later, later


async def test_the_best_of_a_run_or_an_icp_are_walked_too(filled: Database) -> None:
    for scope, index in (("run_id", "score_prediction_run"), ("icp_id", "score_prediction_icp")):
        params = {"sort": "-score", "is_scoped": True, scope: SOME}

        plan = await plan_of(filled, lists.SQL.list_leads, params, "seqscan")

        assert index in plan, plan
