"""The slice's queries, loaded once for the modules that make up its store."""

from leadflood.engine.db.sql import load_queries

SQL = load_queries(__file__)
