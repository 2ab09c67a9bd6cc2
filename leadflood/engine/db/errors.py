"""Why the database cannot be used as it is; the text says what to do."""

from leadflood.engine.errors import Permanent, Transient


class DatabaseRefused(Permanent):
    """The database, its folder or its server cannot be used as it is."""

    code = "database.refused"


class NoDatabase(DatabaseRefused):
    """The data folder holds no database, and the command is not one that makes it."""

    code = "database.missing"


class SessionLost(Transient):
    """A session of the server does not keep what it was set to: it must not be worked in."""

    code = "database.session_lost"


class DiskFull(Transient):
    """The embedded server cannot work for want of room on its disk."""

    code = "database.disk_full"
