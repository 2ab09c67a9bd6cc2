"""Audit events in the database."""

from leadflood.engine.db.sql import load_queries

SQL = load_queries(__file__)
