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

from benchmarks.api_servers import Api, RunningServer
from benchmarks.million import Filled
from benchmarks.world import CLOCK, SubjectFailed, percentile

USERS = 20
THINK_SECONDS = 0.25
INCOMING_PER_S = 20
FIRST_PAGES = 20
PAGE = "limit=50"
KINDS = ("list", "filter", "search", "record")
SORTS = ("-createdAt", "-score", "name", "-updatedAt")


class Users:
    """The users, and how long they waited for what."""

    def __init__(self, served: RunningServer, filled: Filled) -> None:
        self._served = served
        self._filled = filled
        self.waits_ms: dict[str, list[float]] = {kind: [] for kind in KINDS}
        self.incoming = 0
        self.faults: list[str] = []

    async def first_page(self) -> float:
        """Return how long the first page takes on an idle server."""
        waits, total = [], 0
        async with Api(self._served) as api:
            for _ in range(FIRST_PAGES):
                started_at = perf_counter()
                page = await api.request("GET", f"/v1/leads?{PAGE}")
                waits.append((perf_counter() - started_at) * 1000)
                total = page["pagination"]["total"]
        if not 0.5 * self._filled.count <= total <= 2 * self._filled.count:
            self.faults.append(f"the list tells a total of {total}")
        return percentile(waits, 0.5)

    async def work(self, seconds: float) -> dict[str, float]:
        """Let the users work for a while; return the 95th percentiles."""
        until = perf_counter() + seconds
        async with anyio.create_task_group() as group:
            group.start_soon(self._bring_in, until)
            for number in range(USERS):
                group.start_soon(self._be_one, random.Random(number), until)  # noqa: S311
        if not self.incoming:
            self.faults.append("no lead came in meanwhile")
        return {kind: percentile(waits, 0.95) for kind, waits in self.waits_ms.items()}

    async def _be_one(self, rng: random.Random, until: float) -> None:
        lead_ids: list[str] = []
        next_path = ""
        async with Api(self._served) as api:
            while perf_counter() < until:
                await CLOCK.sleep(rng.uniform(0, 2 * THINK_SECONDS))
                kind = rng.choice(KINDS if lead_ids else KINDS[:1])
                path = self._path(kind, rng, lead_ids, next_path)
                started_at = perf_counter()
                try:
                    page = await api.request("GET", path)
                except SubjectFailed as error:
                    self.faults.append(str(error)[:300])
                    return
                self.waits_ms[kind].append((perf_counter() - started_at) * 1000)
                if kind != "record":
                    lead_ids = [lead["id"] for lead in page["data"]] or lead_ids
                next_path = _rest_of(path, page) if kind == "list" else ""

    def _path(self, kind: str, rng: random.Random, lead_ids: list[str], next_path: str) -> str:
        filled = self._filled
        if kind == "record":
            return f"/v1/leads/{rng.choice(lead_ids)}"
        if kind == "list":
            # half go on where they are, half begin anew in another order
            if next_path and rng.random() < 0.5:  # noqa: PLR2004
                return next_path
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
        chosen_filters = rng.sample(filters, rng.randint(1, 3))
        return f"/v1/leads?{PAGE}&{'&'.join(chosen_filters)}"

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
                    await api.request("POST", "/v1/leads", lead)
                except SubjectFailed as error:
                    self.faults.append(str(error)[:300])
                    return
                self.incoming += 1
                await CLOCK.sleep(1 / INCOMING_PER_S)


def _rest_of(path: str, page: Mapping[str, Any]) -> str:
    """Return the path of the next page; empty at the end."""
    cursor = page["pagination"]["nextCursor"]
    return f"{path.partition('&cursor=')[0]}&cursor={cursor}" if cursor else ""


def _skewed(names: Any, rng: random.Random) -> Any:
    """Choose one: the frequent ones, which stand first, more often."""
    return names[min(int(rng.expovariate(4 / len(names))), len(names) - 1)]
