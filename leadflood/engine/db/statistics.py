"""Planner statistics: what Postgres knows of tables, brought up to date while they grow.

Autovacuum looks once a minute. Within it an empty table takes 60,000 rows, and all statements keep
the plans of an empty one: they read it from end to end.
"""

from leadflood.engine.db.pool import Database
from leadflood.engine.db.sql import load_queries

SQL = load_queries(__file__)


async def analyze_grown_tables(db: Database) -> None:
    """Analyze tables that have doubled since it was done last; who is at it is left alone."""
    await db.execute(SQL.analyze_grown_tables)
