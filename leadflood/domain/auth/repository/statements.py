"""The statements of the slice, loaded once."""

from pathlib import Path

from leadflood.engine.db.sql import load_queries

SQL = load_queries(str(Path(__file__).parent))
