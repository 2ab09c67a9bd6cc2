"""The statements of the slice, loaded once."""

from leadflood.engine.db.sql import load_queries

SQL = load_queries(__file__)
