from leadflood.engine.db.pool import Database
from leadflood.engine.db.sql import Query
from leadflood.engine.db.statistics import analyze_grown_tables

FILL = Query(
    "fill",
    "INSERT INTO unsearched_lead SELECT gen_random_uuid(), NULL FROM generate_series(1, $1::int)",
    ("count",),
)
FLUSH = Query("flush", "SELECT pg_stat_force_next_flush()", ())
KNOWN = Query("known", "SELECT reltuples FROM pg_class WHERE relname = 'unsearched_lead'", ())


async def test_what_the_planner_knows_follows_a_table_that_grows(database: Database) -> None:
    known = []
    for count in (500, 1_500, 800, 4_000):  # few; many; some more; twice as many
        async with database.transaction() as tx:
            await tx.execute(FILL, count=count)
            await tx.fetch(FLUSH)
        await database.fetch(FLUSH)
        await analyze_grown_tables(database)
        known.append(await database.fetch_value(KNOWN))

    assert known == [-1, 2_000, 2_000, 6_800]
