"""The slice's statements, loaded once."""

from leadflood.engine.db.sql import load_queries

SQL = load_queries(__file__)
