"""What the benchmarks share: one stock Postgres, a process for each subject, tables and JSON."""

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
TALK = Console(stderr=True)
CHILD_SECONDS = 300
MOST_WORDS_BYTES = 2_000


class Broken(Exception):
    """A subject's process failed; its last words are the text."""


class Server:
    """The Postgres that every subject is measured on."""

    def __init__(self, server: EmbeddedServer) -> None:
        self._server = server

    @property
    def url(self) -> str:
        """Tell where the database of the current measurement is."""
        return self._server.url_of("bench")

    async def make_fresh(self) -> None:
        """Make the measurement's database anew, with nothing left to write from before."""
        for query in (SQL.drop_bench, SQL.make_bench, SQL.make_checkpoint):
            await self.ask(query)

    async def ask(self, query: Query) -> Any:
        """Run one statement beside the measurement and tell its value."""
        async with own_connection(DatabaseSettings(url=self._server.url)) as connection:
            return await Tx(connection).fetch_value(query)

    async def ask_bench(self, query: Query) -> Any:
        """Run one statement in the measurement's database and tell its value."""
        async with own_connection(DatabaseSettings(url=self.url)) as connection:
            return await Tx(connection).fetch_value(query)

    async def settings(self) -> dict[str, str]:
        """Tell the settings that the figures depend on."""
        async with own_connection(DatabaseSettings(url=self._server.url)) as connection:
            rows = await Tx(connection).fetch(SQL.server_settings)
        return {row["name"]: row["setting"] for row in rows}


@asynccontextmanager
async def open_server() -> AsyncIterator[Server]:
    """Start a Postgres of our own, stock settings, and remove it afterwards."""
    folder = Path(tempfile.mkdtemp(prefix="leadflood-bench-"))
    os.chmod(folder, 0o711)  # noqa: PTH101, S103 - the server's own user must pass, when root
    me = asyncio.current_task()
    if me is not None:  # ended politely, the server ends too
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, me.cancel)
    try:
        async with embedded_postgres(folder / "data", CLOCK) as server:
            yield Server(server)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


class Child:
    """A subject at work in a process of its own: JSON in by argument, JSON lines out."""

    def __init__(self, process: anyio.abc.Process, lines: AsyncIterator[dict[str, Any]]) -> None:
        self.process = process
        self._lines = lines

    async def tell(self) -> dict[str, Any]:
        """Wait for its next JSON line."""
        async for line in self._lines:
            return line
        return {}


@asynccontextmanager
async def running_child(command: Sequence[str], spec: Mapping[str, Any]) -> AsyncIterator[Child]:
    """Start a subject; it is gone when the block ends, which may end it politely itself.

    Raises: Broken with its last words when it fails.
    """
    with tempfile.TemporaryFile() as words:
        process = await anyio.open_process(
            [*command, json.dumps(spec)], cwd=ROOT, stdin=subprocess.DEVNULL, stderr=words
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
            words.seek(max(0, words.seek(0, os.SEEK_END) - MOST_WORDS_BYTES))
            raise Broken(f"{command[-1]}: {words.read().decode(errors='replace')}")


async def _json_lines(process: anyio.abc.Process) -> AsyncIterator[dict[str, Any]]:
    if process.stdout is None:
        return
    rest = ""
    async for text in TextReceiveStream(process.stdout):
        *lines, rest = (rest + text).split("\n")
        for line in lines:
            if line.startswith("{"):
                yield json.loads(line)


async def measure(command: Sequence[str], spec: Mapping[str, Any]) -> dict[str, Any]:
    """Run a subject to its end and return the one object that it prints."""
    told: dict[str, Any] = {}
    with anyio.fail_after(CHILD_SECONDS):
        async with running_child(command, spec) as child:
            told = await child.tell()
    if not told:
        raise Broken(f"{command[-1]} ended without a word")
    return told


def python(module: str) -> list[str]:
    """Tell how to run one of our modules in a process of its own."""
    return [sys.executable, "-m", module]


def print_line(found: Mapping[str, Any]) -> None:
    """Say one JSON object to the process that started this one."""
    sys.stdout.write(json.dumps(found) + "\n")
    sys.stdout.flush()


def rss_mb() -> float:
    """Tell the memory that this process holds now."""
    pages = int(Path("/proc/self/statm").read_text("ascii").split()[1])
    return pages * PAGE_BYTES / 1e6


class Peak:
    """The most memory that this process held while it was watched."""

    def __init__(self) -> None:
        self.mb = 0.0

    async def watch(self, every_seconds: float = 0.05) -> None:
        """Look for ever."""
        while True:
            self.mb = max(self.mb, rss_mb())
            await CLOCK.sleep(every_seconds)


def percentile(values: Sequence[float], share: float) -> float:
    """Tell the value that this share of them does not pass."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(len(ordered) * share))] if ordered else 0.0


def say(text: str) -> None:
    """Talk to the person on stderr; data is for stdout."""
    TALK.print(text, highlight=False)


def print_table(title: str, rows: Mapping[str, Any], tell: Callable[[Any], str] = str) -> None:
    """Print names and values as a table, on stderr."""
    table = Table(title=title, title_justify="left", show_header=False)
    table.add_column(justify="left")
    table.add_column(justify="right")
    for name, value in rows.items():
        table.add_row(name, tell(value))
    TALK.print(table)
