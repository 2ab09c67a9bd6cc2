from leadflood.engine.db.pool import Database
from leadflood.engine.db.sql import Query

ONE = Query("one", "SELECT 1", ())


async def test_a_test_gets_a_migrated_database_of_its_own(database: Database) -> None:
    async with database.transaction() as tx:
        assert await tx.fetch_value(ONE) == 1


async def test_a_test_gets_a_second_database_of_its_own(database: Database) -> None:
    async with database.transaction() as tx:
        assert await tx.fetch_value(ONE) == 1
