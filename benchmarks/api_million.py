"""Many leads, many users: lists, filters, searches and records while the pipeline runs.

A user asks, reads for a quarter of a second on average, and asks the next thing. Meanwhile leads
come in all the time and go through every stage.
"""

import random
from collections.abc import Mapping
from time import perf_counter
from typing import Any
from uuid import uuid4

import anyio

from benchmarks.api_servers import Api, Served
from benchmarks.million import Filled
from benchmarks.world import CLOCK, Broken, percentile

USERS = 20
THINK_SECONDS = 0.25
INCOMING_PER_S = 20
FIRST_PAGES = 20
PAGE = "limit=50"
KINDS = ("list", "filter", "search", "record")
SORTS = ("-createdAt", "-score", "name", "-updatedAt")


class Users:
    """The users, and how long they waited for what."""

    def __init__(self, served: Served, filled: Filled) -> None:
        self._served = served
        self._filled = filled
        self.waits_ms: dict[str, list[float]] = {kind: [] for kind in KINDS}
        self.incoming = 0
        self.faults: list[str] = []

    async def first_page(self) -> float:
        """Tell how long the first page takes on an idle server."""
        waits = []
        async with Api(self._served) as api:
            for _ in range(FIRST_PAGES):
                began = perf_counter()
                page = await api.ask("GET", f"/v1/leads?{PAGE}")
                waits.append((perf_counter() - began) * 1000)
        total = page["pagination"]["total"]
        if not 0.5 * self._filled.count <= total <= 2 * self._filled.count:
            self.faults.append(f"the list tells a total of {total}")
        return percentile(waits, 0.5)

    async def work(self, seconds: float) -> dict[str, float]:
        """Let them work for a while; tell the 95th percentiles."""
        until = perf_counter() + seconds
        async with anyio.create_task_group() as group:
            group.start_soon(self._bring_in, until)
            for number in range(USERS):
                group.start_soon(self._be_one, random.Random(number), until)  # noqa: S311
        if not self.incoming:
            self.faults.append("no lead came in meanwhile")
        return {kind: percentile(waits, 0.95) for kind, waits in self.waits_ms.items()}

    async def _be_one(self, rng: random.Random, until: float) -> None:
        seen: list[str] = []
        rest = ""
        async with Api(self._served) as api:
            while perf_counter() < until:
                await CLOCK.sleep(rng.uniform(0, 2 * THINK_SECONDS))
                kind = rng.choice(KINDS if seen else KINDS[:1])
                path = self._path(kind, rng, seen, rest)
                began = perf_counter()
                try:
                    told = await api.ask("GET", path)
                except Broken as error:
                    self.faults.append(str(error)[:300])
                    return
                self.waits_ms[kind].append((perf_counter() - began) * 1000)
                if kind != "record":
                    seen = [one["id"] for one in told["data"]] or seen
                rest = _rest_of(path, told) if kind == "list" else ""

    def _path(self, kind: str, rng: random.Random, seen: list[str], rest: str) -> str:
        filled = self._filled
        if kind == "record":
            return f"/v1/leads/{rng.choice(seen)}"
        if kind == "list":
            # half go on where they are, half begin anew in another order
            if rest and rng.random() < 0.5:  # noqa: PLR2004
                return rest
            return f"/v1/leads?{PAGE}&sort={rng.choice(SORTS)}"
        if kind == "search":
            word = _skewed(filled.last_names, rng)
            return f"/v1/leads?{PAGE}&q={word[: rng.randint(4, len(word))]}"
        filters = (
            "status=enriched",
            f"band={rng.choice(('HIGH', 'MEDIUM', 'LOW'))}",
            f"country={_skewed(filled.countries, rng)}",
            f"owner={_skewed(filled.owners, rng)}",
            f"icpId={_skewed(filled.icp_ids, rng)}",
            f"tag={_skewed(filled.tags, rng)}",
            f"companyDomain={_skewed(filled.domains, rng)}",
            f"minScore={rng.randint(10, 95)}",
        )
        chosen = rng.sample(filters, rng.randint(1, 3))
        return f"/v1/leads?{PAGE}&{'&'.join(chosen)}"

    async def _bring_in(self, until: float) -> None:
        icp_id = str(self._filled.icp_ids[0])
        async with Api(self._served) as api:
            while perf_counter() < until:
                lead = {
                    "email": f"{uuid4().hex}@c{self.incoming % 50}-bench.com",
                    "title": "COO",
                    "fullName": f"Ann Incoming{self.incoming}",
                    "icpId": icp_id,
                    "providers": [],
                }
                try:
                    await api.ask("POST", "/v1/leads", lead)
                except Broken as error:
                    self.faults.append(str(error)[:300])
                    return
                self.incoming += 1
                await CLOCK.sleep(1 / INCOMING_PER_S)


def _rest_of(path: str, page: Mapping[str, Any]) -> str:
    """Tell where a list goes on; empty at its end."""
    cursor = page["pagination"]["nextCursor"]
    return f"{path.partition('&cursor=')[0]}&cursor={cursor}" if cursor else ""


def _skewed(names: Any, rng: random.Random) -> Any:
    """Choose one: the frequent ones, which stand first, more often."""
    return names[min(int(rng.expovariate(4 / len(names))), len(names) - 1)]
