"""`leadflood serve` as a process of its own."""

import os
import signal
import sys
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import aiohttp
import anyio
import pytest
from anyio.abc import Process
from anyio.streams.buffered import BufferedByteReceiveStream
from leadflood.engine.clock import REAL_TIME
from leadflood.engine.db.pool import Settings

pytestmark = pytest.mark.pg
QUICK = 60


@asynccontextmanager
async def serving(
    folder: Path, database: Settings | None, *, before: Sequence[str] = (), **over: str
) -> AsyncIterator[tuple[Process, BufferedByteReceiveStream]]:
    command = [*before, sys.executable, "-m", "leadflood", "serve", "--port", "0"]
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
    return (await lines_until(told, "listening on"))[-1].partition("listening on ")[2].split()[0]


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
        assert process.stdout is not None
        assert [chunk async for chunk in process.stdout] == []  # logs go to stderr, by level


IMPORT_IS_INTERRUPTED = """
import os, signal, sys

class Interrupt:
    def find_spec(self, name, path=None, target=None):
        if name == "leadflood.cli":
            os.kill(os.getpid(), signal.SIGTERM)

sys.meta_path.insert(0, Interrupt())
sys.argv = ["leadflood", "serve"]
from leadflood.__main__ import main
main()
"""


async def test_a_sigterm_while_it_is_still_being_loaded_ends_in_order(tmp_path: Path) -> None:
    command = [sys.executable, "-c", IMPORT_IS_INTERRUPTED]

    ended = await anyio.run_process(command, check=False, env=environment(tmp_path, None, {}))

    assert (ended.returncode, ended.stderr) == (0, b"serve: stopped before it started\n")


async def test_an_address_that_others_reach_is_warned_of_and_served(
    tmp_path: Path, database_settings: Settings
) -> None:
    anywhere = "0.0.0.0"  # noqa: S104 - to see the warning
    async with serving(tmp_path, database_settings, LEADFLOOD_HTTP__HOST=anywhere) as (_, told):
        lines = await lines_until(told, "listening on")

    assert any("unencrypted" in line for line in lines)


async def test_the_first_start_prints_a_claim_link_that_makes_the_first_admin(
    tmp_path: Path, database_settings: Settings
) -> None:
    async with serving(tmp_path, database_settings) as (_, told):
        lines = await lines_until(told, "/claim/")
        caps = await lines_until(told, "at most is spent")
        told_line = next(line for line in lines if "listening on" in line)
        address = told_line.partition("listening on ")[2].split()[0]
        token = lines[-1].partition("/claim/")[2].split()[0]
        assert "in EUR: 50.00 a day in all, 20.00 a day for each user, 5.00 a run" in caps[-1]
        given = {"token": token, "email": "Owner@Team.example", "password": "my own pass phrase"}
        async with aiohttp.ClientSession() as session:
            async with session.post(f"{address}/v1/auth/claim", json=given) as claimed:
                assert claimed.status == 201
            del given["token"]
            async with session.post(f"{address}/v1/auth/login", json=given) as entered:
                assert entered.status == 200
                assert (await entered.json())["user"]["role"] == "ADMIN"

    assert oct((tmp_path / "accounts.secret").stat().st_mode)[-3:] == "600"


async def lines_until(told: BufferedByteReceiveStream, text: str) -> list[str]:
    lines: list[str] = []
    while not lines or text not in lines[-1]:
        lines.append((await told.receive_until(b"\n", 65_536)).decode())
    return lines


FEW_FILES = 400
"""Leaves room for 144 connections."""
WITH_FEW_FILES = ("/bin/sh", "-c", f'ulimit -n {FEW_FILES}; exec "$@"', "sh")


async def test_twice_as_many_connections_as_files_neither_end_nor_block_the_server(
    tmp_path: Path, database_settings: Settings
) -> None:
    async with serving(tmp_path, database_settings, before=WITH_FEW_FILES) as (process, output):
        await outlive_connections(process, await address_in(output), seconds=2.0)


@pytest.mark.long
async def test_its_own_database_server_outlives_them_too(tmp_path: Path) -> None:
    async with serving(tmp_path, None, before=WITH_FEW_FILES) as (process, output):
        await outlive_connections(process, await address_in(output), seconds=35.0)


async def outlive_connections(process: Process, address: str, seconds: float) -> None:
    """Hold twice as many connections as files, of many addresses; ask all the while."""
    host, _, port = address.removeprefix("http://").partition(":")
    open_files = f"/proc/{process.pid}/fd"
    async with AsyncExitStack() as stack, aiohttp.ClientSession() as session:
        for number in range(2 * FEW_FILES):
            # 40 of each address: each alone is allowed that many
            connecting = anyio.connect_tcp(host, int(port), local_host=f"127.0.1.{number // 40}")
            await stack.enter_async_context(await connecting)
        with anyio.move_on_after(seconds):
            while True:
                for path in ("/health", "/ready"):
                    async with session.get(address + path) as response:
                        assert response.status == 200
                await REAL_TIME.sleep(0.2)
        assert len(await anyio.to_thread.run_sync(os.listdir, open_files)) < FEW_FILES
    assert process.returncode is None
