"""The job fetcher: claims a stage's queued jobs from Postgres while its channel has room."""

import asyncio
from collections.abc import Callable, Sequence
from operator import itemgetter
from typing import Any
from uuid import UUID

import anyio
import msgspec

from leadflood.engine.actors.channel import JobChannel
from leadflood.engine.clock import REAL_TIME
from leadflood.engine.db.pool import Database
from leadflood.engine.db.tx import Row, sqlstate_of
from leadflood.engine.errors import Invalid
from leadflood.engine.queue import repository
from leadflood.engine.queue.job import Job
from leadflood.engine.queue.node import Node
from leadflood.engine.queue.outcome import Discard
from leadflood.engine.queue.stage import Stage

MOST_AT_ONCE = 1_000
POLL_SECONDS = 5.0
LEAST_RESCAN_SECONDS = 1.0
RESCAN_SHARE = 10.0
FAILURE_PAUSE_SECONDS = 0.5
CLAIM_COLUMNS = 12
"""The result of a claim: the columns of a `Job`, in its order, and the payload."""


class JobFetcher:
    """Claims for one stage. Woken by commits of this process and by NOTIFY; polls as a safety net.

    It starts each claim behind the last claimed position, since the index before it may be full of
    dead entries that an old snapshot keeps; it scans from the start again every second or so, at
    most a tenth of its time, and at once when something may have been queued earlier.
    """

    def __init__(
        self,
        stage: Stage[Any, Any, Any],
        channel: JobChannel[Job],
        db: Database,
        node: Node,
        may_claim: Callable[[], bool],
        only_runs: Sequence[UUID] = (),
    ) -> None:
        self._stage = stage
        self._channel = channel
        self._db = db
        self._node = node
        self._may_claim = may_claim
        self._only_runs = only_runs
        self._decode = msgspec.json.Decoder(stage.task).decode
        self._woken = asyncio.Event()
        self._woken.set()
        self._place = repository.START
        self._rescan_at = 0.0

    def wake(self) -> None:
        """Fetch from the start of the queue: there may be work."""
        self._woken.set()

    async def run(self) -> None:
        """Claim for ever. Cancelling between claim and push is mended by the reconciler."""
        while True:
            await self._wait_for_reason()
            if not self._may_claim():
                await REAL_TIME.sleep(0.05)
                self._woken.set()
                continue
            await self._channel.has_room.wait()
            try:
                await self._claim()
            except Exception as error:
                if sqlstate_of(error) is None and not isinstance(error, TimeoutError):
                    raise
                self._node.wants_reconcile.set()
                self._woken.set()
                await REAL_TIME.sleep(FAILURE_PAUSE_SECONDS)

    async def _wait_for_reason(self) -> None:
        if self._channel.has_backlog:
            return
        with anyio.move_on_after(POLL_SECONDS):
            await self._woken.wait()

    async def _claim(self) -> None:
        limit = self._channel.reserve(MOST_AT_ONCE)
        if limit == 0:  # hand-offs were quicker: what waits in the database still waits
            self._woken.set()
            return
        was_woken = self._woken.is_set()
        self._woken.clear()
        now = REAL_TIME.monotonic()
        is_whole = self._place == repository.START or now >= self._rescan_at
        if is_whole or (was_woken and not self._channel.has_backlog):
            self._place, is_whole = repository.START, True
        pushed: list[Job] = []
        try:
            with self._node.claiming():
                pushed = self._register(await self._fetch(limit))
        finally:
            self._channel.push(pushed, limit)
        if is_whole:
            took = REAL_TIME.monotonic() - now
            self._rescan_at = now + max(LEAST_RESCAN_SECONDS, took * RESCAN_SHARE)
        self._channel.has_backlog = len(pushed) == limit
        if not pushed and not is_whole:
            self._place, self._channel.has_backlog = repository.START, True

    async def _fetch(self, limit: int) -> Sequence[Row]:
        name, node_id = self._stage.name, self._node.id
        if self._only_runs:
            return await repository.claim_run_jobs(self._db, name, node_id, self._only_runs, limit)
        return await repository.claim_jobs(self._db, name, node_id, self._place, limit)

    def _register(self, rows: Sequence[Row]) -> list[Job]:
        """Turn rows into claims, in the order of the queue."""
        jobs = [job_of(row, self._stage.name, self._decode) for row in rows]
        held = self._node.held
        for job in jobs:
            held[job.job_id] = job.claim
        if jobs:
            last = max(rows, key=_PLACE)
            self._place = (last["priority"], last["turn"], last["id"])
            if any(job.turn != jobs[0].turn or job.priority != jobs[0].priority for job in jobs):
                jobs.sort(key=_order)
        return jobs


_PLACE = itemgetter("priority", "turn", "id")


def _order(job: Job) -> tuple[int, int]:
    return job.priority, job.turn


def job_of(row: Row, stage: str, decode: Callable[[str], Any]) -> Job:
    """Turn a claimed row into a job; one that cannot be read ends as a dead letter."""
    *columns, payload = tuple(row)[:CLAIM_COLUMNS]
    try:
        task, problem = decode(payload), None
    except (msgspec.ValidationError, msgspec.DecodeError) as error:
        task, problem = None, error
    job = Job(task, stage, *columns)
    if problem is not None:
        job.payload = payload
        job.outcome = Discard(
            Invalid(f"its task cannot be read: {problem}", code="engine.task.unreadable")
        )
    return job
