"""One clone for the whole folder, emptied before each test: cloning costs more than the tests."""

from collections.abc import AsyncIterator

import pytest
from leadflood.engine.db.pool import Database

from tests.support.db import TestServer, opened_clone
from tests.support.statements import sql

__all__ = ["database", "shared_database"]


@pytest.fixture(scope="package")
async def shared_database(database_server: TestServer) -> AsyncIterator[Database]:
    async with opened_clone(database_server) as opened:
        yield opened


@pytest.fixture
async def database(shared_database: Database) -> Database:
    tables = await shared_database.fetch_value(
        sql(
            "SELECT string_agg(quote_ident(tablename), ', ') FROM pg_tables"
            " WHERE schemaname = 'public' AND tablename NOT IN ('alembic_version', 'audit_event')"
        )
    )
    await shared_database.execute(sql(f"TRUNCATE {tables} CASCADE"))
    return shared_database
