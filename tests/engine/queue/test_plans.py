"""How the planner reads the queries of a commit, when its numbers know of queued jobs only."""

import asyncpg
import pytest
from leadflood.engine.db.pool import Settings, own_connection
from leadflood.engine.queue.store import SQL

FILL = """
INSERT INTO job (id, created_at, state, stage, payload)
SELECT gen_random_uuid(), '2026-01-05Z', 0, 'a.b', '{}' FROM generate_series(1, 20000)
"""


async def plan_of(connection: asyncpg.Connection, name: str) -> str:
    query = getattr(SQL, name)
    nothing = ", ".join(["NULL"] * len(query.parameters))
    await connection.execute(f"PREPARE q AS {query.text}")
    await connection.execute("SET plan_cache_mode = force_generic_plan")
    rows = await connection.fetch(f"EXPLAIN EXECUTE q({nothing})")
    return "\n".join(row[0] for row in rows)


@pytest.mark.pg
@pytest.mark.parametrize(
    "name", ["settle_completed", "settle_jobs", "postpone_jobs", "list_held", "give_back"]
)
async def test_claims_are_found_by_their_id_though_statistics_know_of_no_claim(
    database_settings: Settings, name: str
) -> None:
    async with own_connection(database_settings) as connection:
        await connection.execute(FILL)
        await connection.execute("ANALYZE job")

        plan = await plan_of(connection, name)

    assert "Index Scan using job_pkey on job" in plan, plan
    assert "Seq Scan on job" not in plan, plan
