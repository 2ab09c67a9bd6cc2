"""What the peers' processes in Python share: the phases, told in a peer's own verbs."""

from collections.abc import Awaitable, Callable
from random import Random
from time import perf_counter, perf_counter_ns
from typing import Any

import anyio
from anyio.abc import TaskGroup

from benchmarks.world import CLOCK, percentile, print_line

LEGS = 5
POLL_SECONDS = 0.005
LEAST_GAP_SECONDS = 0.010
LONGEST_GAP_SECONDS = 0.040
X18 = "x" * 18
PAD = {"field_0": X18, "field_1": X18, "field_2": X18, "field_3": X18, "field_4": X18}


class Going:
    """What the handlers have seen. `enqueue` queues one job of a leg by the peer's normal call."""

    def __init__(self, spec: dict[str, Any]) -> None:
        self.spec = spec
        self.is_chain = spec["phase"] == "chain"
        self.times = bytearray(spec["jobs"])
        self.hops = [0] * spec["items"]
        self.handled = 0
        self.is_over = False
        self.waits_ms: list[float] = []
        self.faults: list[str] = []

    async def handle(
        self, task: dict[str, Any], enqueue: Callable[[int, dict[str, Any]], Awaitable[Any]]
    ) -> None:
        """Handle a job."""
        if sent_ns := task.get("sent_ns"):
            self.waits_ms.append((perf_counter_ns() - sent_ns) / 1e6)
        self.handled += 1
        if not self.is_chain:
            self.times[task["n"]] += 1
            return
        n, hop = task["n"], task["hop"]
        if self.hops[n] != hop:
            self.faults.append(f"hop {hop} of item {n} came after {self.hops[n]} hops")
        self.hops[n] = hop + 1
        if not (self.is_over and (hop + 1) % LEGS == 0):
            await enqueue((hop + 1) % LEGS, {"n": n, "hop": hop + 1, **PAD})

    def tasks(self) -> list[dict[str, Any]]:
        """List the tasks that are queued at the beginning."""
        if self.is_chain:
            return [{"n": n, "hop": 0, **PAD} for n in range(self.spec["items"])]
        return [{"n": n, **PAD} for n in range(self.spec["jobs"])]

    async def measure(
        self,
        run: Callable[[], Awaitable[Any]],
        count_left: Callable[[], Awaitable[int]],
    ) -> dict[str, Any]:
        """Let the peer's worker run until nothing is left, or the time is up."""
        phase = {"drain": self._drain, "chain": self._chain, "idle": self._idle}
        async with anyio.create_task_group() as group:
            self._start(group, run)
            result = await phase[self.spec["phase"]](count_left)
            group.cancel_scope.cancel()
        return {**result, "faults": self.faults[:3]}

    def _start(self, group: TaskGroup, run: Callable[[], Awaitable[Any]]) -> None:
        async def go() -> None:
            await run()

        group.start_soon(go)

    async def _drain(self, count_left: Callable[[], Awaitable[int]]) -> dict[str, Any]:
        jobs, started_at = self.spec["jobs"], perf_counter()
        end_at = started_at + self.spec["cut_seconds"]
        while self.handled < jobs and perf_counter() < end_at:
            await CLOCK.sleep(POLL_SECONDS)
        remaining = await count_left()
        while remaining and perf_counter() < end_at:
            await CLOCK.sleep(POLL_SECONDS)
            remaining = await count_left()
        spent = perf_counter() - started_at
        if max(self.times) > 1:
            self.faults.append("a handler ran twice")
        return {"per_s": (jobs - remaining) / spent, "jobs": jobs - remaining, "seconds": spent}

    async def _chain(self, count_left: Callable[[], Awaitable[int]]) -> dict[str, Any]:
        started_at = perf_counter()
        await CLOCK.sleep(self.spec["seconds"])
        self.is_over = True
        while await count_left() and perf_counter() < started_at + self.spec["cut_seconds"]:
            await CLOCK.sleep(POLL_SECONDS)
        spent, hops = perf_counter() - started_at, sum(self.hops)
        return {"per_s": hops / spent, "jobs": hops, "seconds": spent}

    async def _idle(self, count_left: Callable[[], Awaitable[int]]) -> dict[str, Any]:
        await CLOCK.sleep(1)
        print_line({"ready": True})
        jobs, end_at = self.spec["jobs"], perf_counter() + 60
        while self.handled < jobs and perf_counter() < end_at:
            await CLOCK.sleep(POLL_SECONDS)
        while (remaining := await count_left()) and perf_counter() < end_at:
            await CLOCK.sleep(POLL_SECONDS)
        if self.handled != jobs or remaining:
            self.faults.append(f"{self.handled} of {jobs} jobs arrived")
        return {"p50": percentile(self.waits_ms, 0.5), "p99": percentile(self.waits_ms, 0.99)}


async def produce(jobs: int, enqueue: Callable[[dict[str, Any]], Awaitable[Any]]) -> None:
    """Queue one job after each random gap, at the gaps that ours has."""
    rng = Random(7)  # noqa: S311 - gaps, not secrets
    for n in range(jobs):
        await CLOCK.sleep(rng.uniform(LEAST_GAP_SECONDS, LONGEST_GAP_SECONDS))
        await enqueue({"n": n, "sent_ns": perf_counter_ns(), **PAD})
