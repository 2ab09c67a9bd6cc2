"""How the planner reads the queries of a commit, when its numbers know of queued jobs only."""

import asyncpg
import pytest
from leadflood.engine.db.pool import Settings, own_connection
from leadflood.engine.queue.repository import SQL

FILL = """
INSERT INTO job (id, created_at, state, stage, payload)
SELECT gen_random_uuid(), '2026-01-05Z', 0, 'a.b', repeat('x', 200) FROM generate_series(1, 50000)
"""
GIVEN = {
    "ids": "array_fill(gen_random_uuid(), ARRAY[1000])",
    "claims": "array_fill(1::bigint, ARRAY[1000])",
    "node_id": "1",
}


async def plan_of(connection: asyncpg.Connection, name: str) -> str:
    query = getattr(SQL, name)
    arguments = ", ".join(GIVEN.get(parameter, "NULL") for parameter in query.parameters)
    await connection.execute(f"PREPARE q AS {query.text}")
    await connection.execute("SET plan_cache_mode = force_custom_plan")
    rows = await connection.fetch(f"EXPLAIN EXECUTE q({arguments})")
    return "\n".join(row[0] for row in rows)


@pytest.mark.pg
@pytest.mark.parametrize("name", ["settle_completed", "settle_jobs", "postpone_jobs", "list_held"])
async def test_no_claim_is_compared_with_every_other_though_statistics_know_of_none(
    database_settings: Settings, name: str
) -> None:
    async with own_connection(database_settings) as connection:
        await connection.execute(FILL)
        await connection.execute("ANALYZE job")

        plan = await plan_of(connection, name)

    assert not ("Nested Loop" in plan and "Seq Scan on job" in plan), plan
