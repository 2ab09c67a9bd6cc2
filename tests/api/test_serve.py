"""`leadflood serve` as a process of its own."""

import os
import signal
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path

import aiohttp
import anyio
import pytest
from anyio.abc import Process
from anyio.streams.buffered import BufferedByteReceiveStream
from leadflood.engine.db.pool import Settings

pytestmark = pytest.mark.pg
QUICK = 60


@asynccontextmanager
async def serving(
    folder: Path, database: Settings | None, **over: str
) -> AsyncIterator[tuple[Process, BufferedByteReceiveStream]]:
    command = [sys.executable, "-m", "leadflood", "serve", "--port", "0"]
    async with await anyio.open_process(
        command, env=environment(folder, database, over)
    ) as process:
        assert process.stderr is not None
        try:
            with anyio.fail_after(QUICK):
                yield process, BufferedByteReceiveStream(process.stderr)
        finally:
            if process.returncode is None:
                process.kill()


def environment(folder: Path, database: Settings | None, over: Mapping[str, str]) -> dict[str, str]:
    ours = ("LEADFLOOD", "DATABASE_URL")
    known = {name: value for name, value in os.environ.items() if not name.startswith(ours)}  # noqa: TID251 - a child's
    url = {"DATABASE_URL": database.url} if database is not None else {}
    return {**known, **url, "LEADFLOOD_DATA": str(folder), "LEADFLOOD_MODE": "sandbox", **over}


async def address_in(told: BufferedByteReceiveStream) -> str:
    while True:
        line = (await told.receive_until(b"\n", 65_536)).decode()
        if "listening on" in line:
            return line.partition("listening on ")[2].split()[0]


async def test_it_says_where_it_listens_answers_and_ends_in_order_on_sigterm(
    tmp_path: Path, database_settings: Settings
) -> None:
    async with serving(tmp_path, database_settings) as (process, told):
        address = await address_in(told)
        async with aiohttp.ClientSession() as session:
            for path in ("/health", "/ready"):
                async with session.get(address + path) as response:
                    assert response.status == 200

        process.send_signal(signal.SIGTERM)

        assert await process.wait() == 0


async def test_without_a_token_it_refuses_an_address_that_others_reach(tmp_path: Path) -> None:
    anywhere = "0.0.0.0"  # noqa: S104 - to see it refused
    async with serving(tmp_path, None, LEADFLOOD_HTTP__HOST=anywhere) as (process, told):
        assert await process.wait() == 1

        assert b"http.token" in await told.receive()
    assert not (tmp_path / "postgres").exists()
