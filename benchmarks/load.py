"""Load on an HTTP server: `wrk` where it is installed, else a small client of our own.

Both hold a number of connections, each asking again as soon as it is answered.
"""

import asyncio
import json
import random
import shutil
import sys
import tempfile
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from time import perf_counter

import anyio
import msgspec
import uvloop

from benchmarks.world import ROOT, SubjectFailed, percentile, print_line, python

CONNECTIONS = 32
MARGIN_SECONDS = 30
_TELL = """
done = function(summary, latency, requests)
  local e = summary.errors
  io.write(string.format(
    '\\n{"answered": %d, "seconds": %.6f, "refused": %d, "broken": %d, ' ..
    '"p50_ms": %.3f, "p99_ms": %.3f}\\n',
    summary.requests, summary.duration / 1e6, e.status,
    e.connect + e.read + e.write + e.timeout,
    latency:percentile(50) / 1000, latency:percentile(99) / 1000))
end
"""
_GET = """
local asks = {}
init = function(args)
  math.randomseed(tonumber(args[3]))
  for id in io.lines(args[2]) do
    asks[#asks + 1] = wrk.format("GET", "/v1/leads/" .. id, {["Authorization"] = args[1]})
  end
end
request = function() return asks[math.random(#asks)] end
"""
_POST = """
local n = 0
local headers, icp, mark
init = function(args)
  headers = {["Authorization"] = args[1], ["Content-Type"] = "application/json"}
  icp, mark = args[2], args[3]
end
request = function()
  n = n + 1
  local body = string.format(
    '{"email":"p%s.%d@c%d-bench.com","fullName":"Ann %s Number%d","title":"COO",' ..
    '"country":"DE","icpId":"%s","providers":[]}', mark, n, n % 2000, mark, n, icp)
  return wrk.format("POST", "/v1/leads", headers, body)
end
"""


class Task(msgspec.Struct, frozen=True, kw_only=True):
    """What to ask of whom: GET of the ids in `ids_file`, or POST of people marked `mark`."""

    address: str
    token: str
    seconds: float
    connections: int = CONNECTIONS
    ids_file: str = ""
    icp_id: str = ""
    mark: str = ""


class Tally(msgspec.Struct, frozen=True, kw_only=True):
    """What came of it. `refused`: answered, but not with 2xx; `broken`: not answered."""

    answered: int
    seconds: float
    refused: int
    broken: int
    p50_ms: float
    p99_ms: float

    @property
    def good(self) -> int:
        """Count the answers that were good."""
        return self.answered - self.refused

    @property
    def per_s(self) -> float:
        """Return the good answers a second."""
        return self.good / self.seconds


async def put_load(task: Task) -> Tally:
    """Load a server for a while. Raises: Broken."""
    wrk = shutil.which("wrk")
    command = _wrk_command(wrk, task) if wrk else [*python("benchmarks.load"), _words(task)]
    with anyio.fail_after(task.seconds + MARGIN_SECONDS):
        result = await anyio.run_process(command, cwd=ROOT, check=False)
    for line in reversed(result.stdout.decode().splitlines()):
        if line.startswith("{"):
            return msgspec.json.decode(line, type=Tally)
    raise SubjectFailed(f"{command[0]}: {result.stderr.decode()[-500:]}")


def tool() -> str:
    """Name what puts the load."""
    return "wrk" if shutil.which("wrk") else "own"


def _words(task: Task) -> str:
    return msgspec.json.encode(task).decode()


def _wrk_command(wrk: str, task: Task) -> list[str]:
    script = Path(tempfile.gettempdir()) / f"leadflood-wrk-{'get' if task.ids_file else 'post'}.lua"
    script.write_text((_GET if task.ids_file else _POST) + _TELL, "utf-8")
    arguments = (
        [task.ids_file, str(random.randrange(10**9))]  # noqa: S311 - a seed
        if task.ids_file
        else [
            task.icp_id,
            task.mark,
        ]
    )
    return [
        wrk,
        "-t1",
        f"-c{task.connections}",
        f"-d{max(1, round(task.seconds))}s",
        "--timeout",
        "10s",
        "-s",
        str(script),
        task.address,
        "--",
        f"Bearer {task.token}",
        *arguments,
    ]


class _Client:
    """Our own load: raw HTTP/1.1 over kept connections."""

    def __init__(self, task: Task) -> None:
        self._task = task
        self._count = 0
        self.statuses: Counter[int] = Counter()
        self.waits_ms: list[float] = []
        self.broken = 0
        self._ask: Callable[[], bytes] = self._post
        if task.ids_file:
            self._ids = Path(task.ids_file).read_text("ascii").split()
            self._ask = self._get

    def _get(self) -> bytes:
        return self._request("GET", f"/v1/leads/{random.choice(self._ids)}", b"")  # noqa: S311

    def _post(self) -> bytes:
        self._count += 1
        n, mark = self._count, self._task.mark
        person = {
            "email": f"p{mark}.{n}@c{n % 2000}-bench.com",
            "fullName": f"Ann {mark} Number{n}",
            "title": "COO",
            "country": "DE",
            "icpId": self._task.icp_id,
            "providers": [],
        }
        return self._request("POST", "/v1/leads", json.dumps(person).encode())

    def _request(self, method: str, path: str, body: bytes) -> bytes:
        head = f"{method} {path} HTTP/1.1\r\nHost: 127.0.0.1\r\n"
        head += f"Authorization: Bearer {self._task.token}\r\n"
        if body:
            head += f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n"
        return head.encode() + b"\r\n" + body

    async def hold(self, until: float) -> None:
        """Hold one connection until the time is over."""
        host, port = self._task.address.removeprefix("http://").split(":")
        reader, writer = await asyncio.open_connection(host, int(port))
        try:
            while perf_counter() < until:
                started_at = perf_counter()
                writer.write(self._ask())
                head = await reader.readuntil(b"\r\n\r\n")
                length = int(head.lower().partition(b"content-length: ")[2].split(b"\r\n")[0])
                await reader.readexactly(length)
                self.statuses[int(head[9:12])] += 1
                self.waits_ms.append((perf_counter() - started_at) * 1000)
        except (OSError, asyncio.IncompleteReadError):
            self.broken += 1
        finally:
            writer.close()


async def _main(task: Task) -> None:
    client = _Client(task)
    started_at = perf_counter()
    async with anyio.create_task_group() as group:
        for _ in range(task.connections):
            group.start_soon(client.hold, started_at + task.seconds)
    answered = sum(client.statuses.values())
    good = sum(count for status, count in client.statuses.items() if status // 100 == 2)  # noqa: PLR2004
    print_line(
        {
            "answered": answered,
            "seconds": perf_counter() - started_at,
            "refused": answered - good,
            "broken": client.broken,
            "p50_ms": percentile(client.waits_ms, 0.5),
            "p99_ms": percentile(client.waits_ms, 0.99),
        }
    )


if __name__ == "__main__":
    uvloop.run(_main(msgspec.json.decode(sys.argv[1], type=Task)))
