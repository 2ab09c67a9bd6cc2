"""The servers that are measured: ours as `leadflood serve`, and the same routes by hand."""

import json
import os
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Self

import aiohttp
import anyio
import msgspec
from leadflood.engine.db.sql import load_queries

from benchmarks import peers
from benchmarks.peers import FASTIFY
from benchmarks.world import (
    CLOCK,
    PAGE_BYTES,
    ROOT,
    SubjectFailed,
    address_of,
    python,
    running_child,
)

SQL = load_queries(peers.__file__)
START_SECONDS = 60
STOP_SECONDS = 40
MAX_OUTPUT_BYTES = 3_000
UNLIMITED = {
    f"LEADFLOOD_HTTP__RATES__NORMAL__{who}__PER_MINUTE": "0" for who in ("CALLER", "ADDRESS")
}
TICKS = os.sysconf("SC_CLK_TCK")


class RunningServer(msgspec.Struct, frozen=True):
    """A server at work."""

    name: str
    address: str
    token: str
    pid: int

    def cpu_seconds(self) -> float:
        """Return the processor time it has used."""
        stat = Path(f"/proc/{self.pid}/stat").read_text("ascii").rpartition(")")[2].split()
        return (int(stat[11]) + int(stat[12])) / TICKS

    def rss_kb(self) -> float:
        """Return the memory it holds now."""
        pages = int(Path(f"/proc/{self.pid}/statm").read_text("ascii").split()[1])
        return pages * PAGE_BYTES / 1024


class Api:
    """Sends a server one request after the other."""

    def __init__(self, served: RunningServer) -> None:
        self._served = served
        self._session: aiohttp.ClientSession

    async def __aenter__(self) -> Self:
        headers = {"Authorization": f"Bearer {self._served.token}"}
        self._session = aiohttp.ClientSession(headers=headers)
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._session.close()

    async def request(self, method: str, path: str, body: Any = None) -> Any:
        """Ask, and read the JSON. Raises: Broken with what was answered."""
        async with self._session.request(method, self._served.address + path, json=body) as answer:
            raw = await answer.read()
            if not answer.ok:
                raise SubjectFailed(f"{method} {path}: {answer.status} {raw[:500].decode()}")
            return json.loads(raw) if raw else None


@asynccontextmanager
async def leadflood(url: str, **settings: str) -> AsyncIterator[RunningServer]:
    """Run `leadflood serve` on a database; it is ready, and gone when the block ends.

    Raises: Broken with its last words.
    """
    token, port = secrets.token_hex(16), _free_port()
    folder = Path(tempfile.mkdtemp(prefix="leadflood-bench-node-"))
    own_environment = {
        "DATABASE_URL": url,
        "LEADFLOOD_DATA": str(folder),
        "LEADFLOOD_MODE": "sandbox",
        "LEADFLOOD_HTTP__TOKEN": token,
        "LEADFLOOD_HTTP__CONNECTIONS_PER_ADDRESS": "5000",
        "LEADFLOOD_HTTP__STREAMS_PER_USER": "5000",
        **UNLIMITED,
        "LEADFLOOD_LOG__LEVEL": "warning",
        **settings,
    }
    command = [sys.executable, "-m", "leadflood", "serve", "--port", str(port)]
    inherited = {name: value for name, value in os.environ.items() if name[:10] != "LEADFLOOD_"}  # noqa: TID251 - handed on, but for our settings
    address = f"http://127.0.0.1:{port}"
    with tempfile.TemporaryFile() as output:
        process = await anyio.open_process(
            command,
            cwd=ROOT,
            env=inherited | own_environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=output,
        )
        try:
            await _until_ready(process, address)
            yield RunningServer("leadflood", address, token, process.pid)
        finally:
            with anyio.CancelScope(shield=True):
                await _stop(process)
            shutil.rmtree(folder, ignore_errors=True)
            if process.returncode not in {0, -signal.SIGKILL}:
                output.seek(max(0, output.seek(0, os.SEEK_END) - MAX_OUTPUT_BYTES))
                raise SubjectFailed(f"leadflood serve: {output.read().decode(errors='replace')}")


async def with_key(served: RunningServer, operator: Api) -> RunningServer:
    """Create an API key for leads, their scores and messages; return the server with that key."""
    password = secrets.token_hex(16)
    address = {"email": "bench@bench-leads.com"}
    invited = await operator.request("POST", "/v1/users", {**address, "role": "ADMIN"})
    registration = {"token": invited["token"], "password": password}
    await operator.request("POST", "/v1/auth/register", registration)
    session = await operator.request("POST", "/v1/auth/login", {**address, "password": password})
    key_request = {
        "name": "bench",
        "scopes": ["leads:read", "leads:write", "icps:read", "messages:read"],
    }
    async with Api(msgspec.structs.replace(served, token=session["accessToken"])) as user:
        api_key = await user.request("POST", "/v1/api-keys", key_request)
    return msgspec.structs.replace(served, token=api_key["secret"])


async def _until_ready(process: anyio.abc.Process, address: str) -> None:
    with anyio.fail_after(START_SECONDS):
        async with aiohttp.ClientSession() as session:
            while process.returncode is None:
                try:
                    async with session.get(f"{address}/health") as answer:
                        if answer.status == 200:  # noqa: PLR2004
                            return
                except aiohttp.ClientConnectionError:
                    pass
                await CLOCK.sleep(0.05)
    raise SubjectFailed("leadflood serve ended before it was ready")


async def _stop(process: anyio.abc.Process) -> None:
    if process.returncode is None:
        process.terminate()
        with anyio.move_on_after(STOP_SECONDS):
            await process.wait()
    if process.returncode is None:
        process.kill()
    await process.aclose()


def _free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port: int = listener.getsockname()[1]
        return port


@asynccontextmanager
async def bare(url: str) -> AsyncIterator[RunningServer]:
    """Run the handler written by hand."""
    async with _by_hand("bare", python("benchmarks.peers.bare_api"), url) as served:
        yield served


@asynccontextmanager
async def fastify(url: str) -> AsyncIterator[RunningServer]:
    """Run the same with Fastify and pg. Raises: Unavailable."""
    async with _by_hand("fastify", await peers.command_of(FASTIFY), url) as served:
        yield served


@asynccontextmanager
async def _by_hand(name: str, command: list[str], url: str) -> AsyncIterator[RunningServer]:
    spec = {**address_of(url), "url": url, "token": secrets.token_hex(16), **_statements()}
    async with running_child(command, spec) as child:
        with anyio.fail_after(START_SECONDS):
            announcement = await child.read_line()
        if "port" not in announcement:
            raise SubjectFailed(f"{name} ended without a word")
        yield RunningServer(
            name, f"http://127.0.0.1:{announcement['port']}", spec["token"], child.process.pid
        )
        child.process.terminate()


def _statements() -> dict[str, Any]:
    return {
        "show_lead": SQL.show_lead.text,
        "add_lead": SQL.add_lead.text,
        "add_lead_names": SQL.add_lead.parameters,
    }
