"""A large file on a real server: uploaded, imported, undone, with the memory that it takes."""

import io
import random
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from time import perf_counter
from typing import Any

import aiohttp
import anyio
import psutil
from leadflood.engine.db.sql import Queries

from benchmarks.api_servers import Api, RunningServer, leadflood
from benchmarks.report import Figures
from benchmarks.world import CLOCK, Server, SubjectFailed

SQL = Queries(Path(__file__).with_suffix(".sql"))
BAD_SHARE = 0.03
STEP_SECONDS = 0.1
PATIENCE_SECONDS = 1_800
_HEADER = "First Name,Last Name,Email,Email Status,Phone,LinkedIn,Job Title,Company,Website,Country"
NAMES = (
    *("an", "be", "cla", "da", "eli", "fre", "gre", "hol", "ivo", "jon", "kar", "lin", "mar"),
    *("nor", "oda", "pet", "qui", "ros", "sun", "tor", "ula", "vik", "wen", "xan", "yve", "zoe"),
)
_MB = 1 << 20


def write_file(row_count: int, seed: int) -> Iterator[bytes]:
    """Yield a file of people, 3 % of the rows bad and some cells not understood."""
    draw = random.Random(seed)  # noqa: S311 - repeatable
    yield f"{_HEADER}\n".encode()
    for number in range(row_count):
        first, last = (draw.choice(NAMES) + draw.choice(NAMES) for _ in range(2))
        firm = number // 5
        email = f"pat.{number}@firm{firm}-bench.com"
        phone = "on request" if number % 50 == 0 else f"+4930{1_000_000 + number}"
        title = f'"Head, Sales {number}"' if number % 7 == 0 else f"Head of Sales {number}"
        if draw.random() < BAD_SHARE:
            email, title = draw.choice([("not an address", title), (email, f'"Broken {number}"x')])
        yield (
            f"{first.title()},{last.title()},{email},Verified,{phone},linkedin.com/in/pat-{number}-bench,"
            f"{title},Firm {firm},firm{firm}-bench.com,DE\n"
        ).encode()


async def measure_import(server: Server, row_count: int, seed: int) -> Figures:
    """Import a file of so many rows and undo it.

    Raises: SubjectFailed when rows are missing or the undo leaves a trace.
    """
    await server.make_fresh()
    async with (
        leadflood(
            server.url,
            LEADFLOOD_HTTP__IMPORT_BYTES="500000000",
            LEADFLOOD_HTTP__IMPORT_SECONDS="600",
        ) as served,
        Api(served) as api,
    ):
        icp = {"name": "bench", "target": {"titles": ["COO"]}}
        await api.request("POST", "/v1/icps", icp)
        before = await _hashes(server)
        await anyio.sleep(2)  # noqa: TID251 - until the node has settled
        idle_bytes = _rss(served.pid)
        async with _watched(served.pid) as peak:
            cpu_before = _cpu_seconds(served.pid)
            started_at = perf_counter()
            staged = await _upload(served, write_file(row_count, seed))
            uploaded_at = perf_counter()
            path = f"/v1/imports/{staged['id']}"
            await api.request("PUT", f"{path}/mapping", {"enrich": False, "tags": ["bench"]})
            await api.request("POST", f"{path}/start")
            view = await _until(api, path, "completed")
            imported_at, cpu_after = perf_counter(), _cpu_seconds(served.pid)
            await api.request("POST", f"{path}/undo")
            undone = await _until(api, path, "undone")
            undone_at = perf_counter()
        after = await _hashes(server)
    counts = view["counts"]
    if counts["created"] + counts["bad"] != row_count or undone["counts"]["kept"]:
        raise SubjectFailed(f"rows do not add up: {counts}, undone: {undone['counts']}")
    return {
        "rows": row_count,
        "bad": counts["bad"],
        "notes": sum(note["count"] for note in view["notes"]),
        "upload_seconds": round(uploaded_at - started_at, 1),
        "import_seconds": round(imported_at - uploaded_at, 1),
        "rows_per_s": round(row_count / (imported_at - uploaded_at)),
        "rows_per_s_with_upload": round(row_count / (imported_at - started_at)),
        "node_cpu_ms_a_row": round((cpu_after[0] - cpu_before[0]) * 1_000 / row_count, 3),
        "postgres_cpu_ms_a_row": round((cpu_after[1] - cpu_before[1]) * 1_000 / row_count, 3),
        "undo_seconds": round(undone_at - imported_at, 1),
        "undo_is_exact": before == after,
        "idle_mb": round(idle_bytes / _MB),
        "peak_above_idle_mb": round((max(peak) - idle_bytes) / _MB),
    }


async def _upload(served: RunningServer, lines: Iterator[bytes]) -> Any:
    raw = io.BytesIO(b"".join(lines))
    headers = {"Authorization": f"Bearer {served.token}", "Content-Type": "text/csv"}
    timeout = aiohttp.ClientTimeout(PATIENCE_SECONDS)
    async with (
        aiohttp.ClientSession(headers=headers, timeout=timeout) as session,
        session.post(f"{served.address}/v1/imports", data=raw) as answer,
    ):
        if not answer.ok:
            raise SubjectFailed(f"upload: {answer.status} {await answer.text()}")
        return await answer.json()


async def _until(api: Api, path: str, state: str) -> Any:
    with anyio.fail_after(PATIENCE_SECONDS):
        while True:
            view = await api.request("GET", path)
            if view["state"] == "failed":
                raise SubjectFailed(f"the import failed: {view['code']}")
            if view["state"] == state:
                return view
            await CLOCK.sleep(STEP_SECONDS)


def _cpu_seconds(pid: int) -> tuple[float, float]:
    """Return what a node and the Postgres of this benchmark have spent so far, with children."""
    node, postgres = psutil.Process(pid), 0.0
    for process in psutil.Process().children(recursive=True):
        if process.name() == "postgres":
            postgres += _spent(process)
    return sum(_spent(process) for process in (node, *node.children(recursive=True))), postgres


def _spent(process: psutil.Process) -> float:
    times = process.cpu_times()
    return float(times.user + times.system + times.children_user + times.children_system)


def _rss(pid: int) -> int:
    process = psutil.Process(pid)
    total = process.memory_info().rss
    for child in process.children(recursive=True):
        total += child.memory_info().rss if "python" in child.name() else 0
    return int(total)


@asynccontextmanager
async def _watched(pid: int) -> AsyncIterator[list[int]]:
    """Sample the memory of a process and of what it starts while the block runs."""
    samples = [_rss(pid)]

    async def watch() -> None:
        while True:
            await CLOCK.sleep(STEP_SECONDS)
            samples.append(_rss(pid))

    async with anyio.create_task_group() as group:
        group.start_soon(watch)
        yield samples
        group.cancel_scope.cancel()


async def _hashes(server: Server) -> tuple[str, ...]:
    return tuple(
        [
            str(await server.fetch_bench_value(query))
            for query in (SQL.hash_leads, SQL.hash_keys, SQL.hash_values, SQL.hash_companies)
        ]
    )
