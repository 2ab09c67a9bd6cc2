"""A process that uses an embedded server: says its URL, waits until its input closes, leaves.

python -m tests.support.use_embedded FOLDER [--watch]
"""

import sys
from pathlib import Path

import anyio
from anyio import to_thread
from leadflood.engine.clock import SystemClock
from leadflood.engine.db.embedded import embedded_postgres
from leadflood.engine.errors import LeadfloodError


async def main(folder: Path, *, watches: bool) -> None:
    async with (
        embedded_postgres(folder, SystemClock(), print_line, durable=False) as server,
        anyio.create_task_group() as tasks,
    ):
        if watches:
            tasks.start_soon(server.watch)
        print(server.url, flush=True)  # noqa: T201 -- the test reads it
        await to_thread.run_sync(sys.stdin.read)
        tasks.cancel_scope.cancel()


def print_line(text: str) -> None:
    print(text, file=sys.stderr, flush=True)  # noqa: T201 -- the test reads it


if __name__ == "__main__":
    try:
        anyio.run(lambda: main(Path(sys.argv[1]), watches="--watch" in sys.argv))
    except LeadfloodError as error:
        print_line(f"{error.error_code}: {error}")
        sys.exit(3)
