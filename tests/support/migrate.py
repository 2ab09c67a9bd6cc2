"""A process that migrates: python -m tests.support.migrate URL FOLDER."""

import sys
from pathlib import Path

import anyio
from leadflood.engine.db import migrations
from leadflood.engine.db.pool import Settings

if __name__ == "__main__":
    anyio.run(migrations.upgrade, Settings(url=sys.argv[1]), Path(sys.argv[2]))
