"""What benchmarks have in common: one stock Postgres, a child process a subject, tables, JSON."""

import asyncio
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import anyio
from anyio.streams.text import TextReceiveStream
from leadflood.engine.clock import SystemClock
from leadflood.engine.db.embedded import EmbeddedServer, embedded_postgres
from leadflood.engine.db.pool import Settings as DatabaseSettings, own_connection
from leadflood.engine.db.sql import Query, load_queries
from leadflood.engine.db.tx import Tx
from rich.console import Console
from rich.table import Table

SQL = load_queries(__file__)
ROOT = Path(__file__).parent.parent
CLOCK = SystemClock()
PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")
CONSOLE = Console(stderr=True)
CHILD_SECONDS = 300
MAX_OUTPUT_BYTES = 2_000


class SubjectFailed(Exception):
    """A subject's process failed; its last output is the text."""


class Server:
    """The Postgres that every subject is measured on."""

    def __init__(self, server: EmbeddedServer) -> None:
        self._server = server

    @property
    def url(self) -> str:
        """The URL of the database of the current measurement."""
        return self._server.url_of("bench")

    async def make_fresh(self) -> None:
        """Create the measurement's database again, after a checkpoint."""
        for query in (SQL.drop_bench, SQL.make_bench, SQL.make_checkpoint):
            await self.fetch_value(query)

    async def fetch_value(self, query: Query) -> Any:
        """Run one statement beside the measurement and return its value."""
        async with own_connection(DatabaseSettings(url=self._server.url)) as connection:
            return await Tx(connection).fetch_value(query)

    async def fetch_bench_value(self, query: Query) -> Any:
        """Run one statement in the measurement's database and return its value."""
        async with own_connection(DatabaseSettings(url=self.url)) as connection:
            return await Tx(connection).fetch_value(query)

    async def settings(self) -> dict[str, str]:
        """Return the settings that the figures depend on."""
        async with own_connection(DatabaseSettings(url=self._server.url)) as connection:
            rows = await Tx(connection).fetch(SQL.server_settings)
        return {row["name"]: row["setting"] for row in rows}


@asynccontextmanager
async def open_server() -> AsyncIterator[Server]:
    """Start a Postgres of our own, stock settings, and remove it afterwards."""
    folder = Path(tempfile.mkdtemp(prefix="leadflood-bench-"))
    os.chmod(folder, 0o711)  # noqa: PTH101, S103 - the server's own user must pass, when root
    task = asyncio.current_task()
    if task is not None:  # ended politely, the server ends too
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)
    try:
        async with embedded_postgres(folder / "data", CLOCK) as server:
            yield Server(server)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


class Child:
    """A subject in a process of its own: JSON in by argument, JSON lines out."""

    def __init__(self, process: anyio.abc.Process, lines: AsyncIterator[dict[str, Any]]) -> None:
        self.process = process
        self._lines = lines

    async def read_line(self) -> dict[str, Any]:
        """Wait for its next JSON line."""
        async for line in self._lines:
            return line
        return {}


@asynccontextmanager
async def running_child(command: Sequence[str], spec: Mapping[str, Any]) -> AsyncIterator[Child]:
    """Start a subject; it is gone when the block ends, which may end it politely itself.

    Raises: Broken with its last words when it fails.
    """
    with tempfile.TemporaryFile() as output:
        process = await anyio.open_process(
            [*command, json.dumps(spec)], cwd=ROOT, stdin=subprocess.DEVNULL, stderr=output
        )
        try:
            yield Child(process, _json_lines(process))
            with anyio.move_on_after(30):
                await process.wait()
        finally:
            if process.returncode is None:
                process.kill()
            with anyio.CancelScope(shield=True):
                await process.aclose()
        if process.returncode not in {0, -signal.SIGTERM}:
            output.seek(max(0, output.seek(0, os.SEEK_END) - MAX_OUTPUT_BYTES))
            raise SubjectFailed(f"{command[-1]}: {output.read().decode(errors='replace')}")


async def _json_lines(process: anyio.abc.Process) -> AsyncIterator[dict[str, Any]]:
    if process.stdout is None:
        return
    rest = ""
    async for text in TextReceiveStream(process.stdout):
        *lines, rest = (rest + text).split("\n")
        for line in lines:
            if line.startswith("{"):
                yield json.loads(line)


async def run_subject(command: Sequence[str], spec: Mapping[str, Any]) -> dict[str, Any]:
    """Run a subject to its end and return the one object that it prints."""
    result: dict[str, Any] = {}
    with anyio.fail_after(CHILD_SECONDS):
        async with running_child(command, spec) as child:
            result = await child.read_line()
    if not result:
        raise SubjectFailed(f"{command[-1]} ended without a word")
    return result


def python(module: str) -> list[str]:
    """Return the command that runs one of our modules."""
    return [sys.executable, "-m", module]


def print_line(data: Mapping[str, Any]) -> None:
    """Print one JSON object for the parent process."""
    sys.stdout.write(json.dumps(data) + "\n")
    sys.stdout.flush()


def rss_mb() -> float:
    """Return the memory that this process holds now."""
    pages = int(Path("/proc/self/statm").read_text("ascii").split()[1])
    return pages * PAGE_BYTES / 1e6


class Peak:
    """The most memory that this process held while it was watched."""

    def __init__(self) -> None:
        self.mb = 0.0

    async def watch(self, every_seconds: float = 0.05) -> None:
        """Measure until cancelled."""
        while True:
            self.mb = max(self.mb, rss_mb())
            await CLOCK.sleep(every_seconds)


def percentile(values: Sequence[float], share: float) -> float:
    """Return the value that this share of them does not exceed."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(len(ordered) * share))] if ordered else 0.0


def print_message(text: str) -> None:
    """Print a message on stderr; data is for stdout."""
    CONSOLE.print(text, highlight=False)


def print_table(
    title: str, rows: Mapping[str, Any], format_value: Callable[[Any], str] = str
) -> None:
    """Print names and values as a table, on stderr."""
    table = Table(title=title, title_justify="left", show_header=False)
    table.add_column(justify="left")
    table.add_column(justify="right")
    for name, value in rows.items():
        table.add_row(name, format_value(value))
    CONSOLE.print(table)


def address_of(url: str) -> Mapping[str, Any]:
    """Return a database's address in pieces, as node wants it."""
    parts = urlsplit(url)
    query = parse_qs(parts.query)
    return {
        "host": query["host"][0],
        "port": int(query["port"][0]),
        "user": parts.username,
        "password": parts.password,
        "database": parts.path.lstrip("/"),
    }
