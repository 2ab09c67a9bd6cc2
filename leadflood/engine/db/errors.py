"""Why the database cannot be used as it is; the text says what to do."""

from leadflood.engine.errors import Permanent


class DatabaseRefused(Permanent):
    """The database, its folder or its server cannot be used as it is."""

    code = "database.refused"
