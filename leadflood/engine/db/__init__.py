"""Postgres: queries from files, one pool, transactions, the embedded server, migrations.

The only folder that imports asyncpg.
"""
