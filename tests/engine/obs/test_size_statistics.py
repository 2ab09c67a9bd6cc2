import pytest
from leadflood.engine.db.pool import Database
from leadflood.engine.obs.size_statistics import COUNTED_UP_TO, count_queue, list_tables
from tests.support.statements import sql

pytestmark = pytest.mark.pg
FILL = sql(
    "INSERT INTO job (id, created_at, run_at, state, node_id, stage, payload)"
    " SELECT gen_random_uuid(), '2026-01-05Z'::timestamptz + n * interval '1 second',"
    " CASE WHEN $3::smallint = 2 THEN '2099-01-01Z'::timestamptz END, $3::smallint,"
    " CASE WHEN $3::smallint = 1 THEN 1 END, $1::text, '{}' FROM generate_series(1, $2::int) AS n",
    "stage",
    "count",
    "state",
)


async def test_a_short_queue_is_counted_exactly(database: Database) -> None:
    for state, count in ((0, 3), (1, 2), (2, 1)):
        await database.execute(FILL, stage="a.b", count=count, state=state)

    [empty, short] = await count_queue(database, ["a.a", "a.b"])

    assert (empty.queued, empty.oldest_at) == (0, None)
    assert (short.queued, short.running, short.scheduled, short.is_estimate) == (3, 2, 1, False)
    assert short.oldest_at is not None
    assert short.oldest_at.second == 1


async def test_the_depth_of_a_long_queue_is_estimated(database: Database) -> None:
    await database.execute(FILL, stage="a.b", count=3 * COUNTED_UP_TO, state=0)
    await database.execute(FILL, stage="c.d", count=5, state=0)
    await database.execute(sql("ANALYZE job"))

    [long, short] = await count_queue(database, ["a.b", "c.d"])

    assert (short.queued, short.is_estimate) == (5, False)
    assert long.is_estimate
    assert 2 * COUNTED_UP_TO < long.queued < 4 * COUNTED_UP_TO


async def test_table_sizes_come_from_statistics_alone(database: Database) -> None:
    await database.execute(FILL, stage="a.b", count=5_000, state=0)
    await database.execute(sql("ANALYZE job"))

    tables = {table.name: table for table in await list_tables(database)}

    assert tables["job"].rows_estimate == 5_000
    assert tables["job"].bytes > 100_000
    assert tables["job"].last_analyze_at is not None
