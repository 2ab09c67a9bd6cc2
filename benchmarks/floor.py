"""The floor's process: `raw.py` on a database of its own, one phase at a time."""

import json
import sys
from typing import Any

import asyncpg
import uvloop

from benchmarks import raw
from benchmarks.world import print_line


async def main(spec: dict[str, Any]) -> None:
    connection = await asyncpg.connect(spec["url"])
    await connection.execute(raw.SCHEMA)
    move = raw.drain if spec["phase"] == "drain" else raw.chain
    print_line({"per_s": await move(connection, spec["seconds"]), "faults": []})
    await connection.close()


if __name__ == "__main__":
    uvloop.run(main(json.loads(sys.argv[1])))
