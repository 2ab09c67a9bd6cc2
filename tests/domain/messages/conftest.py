from tests.support.shared_database import database, shared_database

__all__ = ["database", "shared_database"]
