"""The worker pool of a stage: cheap coroutines between the channel and the committer."""

import asyncio
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from typing import Any

import anyio
import anyio.abc
import anyio.lowlevel
import msgspec

from leadflood.engine.actors.channel import JobChannel
from leadflood.engine.clock import REAL_TIME
from leadflood.engine.context import CURRENT_JOB
from leadflood.engine.db.pool import Database
from leadflood.engine.db.tx import sqlstate_of
from leadflood.engine.disk import is_full
from leadflood.engine.errors import (
    Bug,
    NodeFenced,
    Permanent,
    Throttled,
    Transient,
    Unsure,
    code_of,
)
from leadflood.engine.obs.log import log
from leadflood.engine.obs.stage_metrics import StageMetrics
from leadflood.engine.obs.tracing import ActiveTracer, Span, spanned
from leadflood.engine.open_files import is_exhausted
from leadflood.engine.queue.error_classes import is_database_away, is_temporary
from leadflood.engine.queue.job import Job
from leadflood.engine.queue.node import Node
from leadflood.engine.queue.outcome import Cancelled, Discard, Done, Outcome, Retry, Snooze
from leadflood.engine.queue.stage import Stage

TURNS_BEFORE_YIELD = 64
WATCH_SECONDS = 0.25
LONGEST_QUIET_SECONDS = 2.0
AWAY_SECONDS = 1.0
ALLOWANCE_SPENT = "net.limit"
BatchStep = Callable[[Sequence[Job]], Awaitable[None]]
OUTCOMES = (Done, Retry, Snooze, Discard)


def outcome_of(error: Exception, *, is_away: bool = False) -> Outcome[Any]:
    """Return what the queue does about an error that `load` or `work` raised.

    `is_away`: the database was busy or away, which spends no attempt.
    """
    if is_away or is_database_away(error) or is_exhausted(error) or is_full(error):
        return Snooze(AWAY_SECONDS, f"the database or this machine was busy or away: {error}")
    match error:
        case NodeFenced() | Throttled():
            return Snooze(error.retry_after_seconds or 0.0, f"{error.error_code}: {error}")
        case Transient():
            return Retry(error, error.retry_after_seconds)
        case Permanent(retries=0) | Unsure() | msgspec.ValidationError() | msgspec.DecodeError():
            return Discard(error)
        case _:  # one more try asked for, or our own mistake: to the limit
            return Retry(error)


def _late(seconds: float) -> Transient:
    return Transient(f"took longer than {seconds} s", code="engine.job.timed_out")


def _as_many(answers: Sequence[Any], jobs: Sequence[Job]) -> Sequence[Any]:
    """Return the answers of a stage. Raises: Bug when they are not one for each job."""
    if len(answers) != len(jobs):
        raise Bug(f"the stage answered {len(answers)} for {len(jobs)} tasks; give one for each")
    return answers


class Worker:
    """One coroutine: what it works on, since when, and how to stop just that."""

    __slots__ = ("began", "job", "scope", "timed_out")

    def __init__(self) -> None:
        self.job: Job | None = None
        self.began = 0.0
        self.scope = anyio.CancelScope()
        self.timed_out = False


class WorkerPool:
    """Runs a stage's `load` and `work`. `scale` changes how many wait at once."""

    def __init__(
        self,
        stage: Stage[Any, Any, Any],
        channel: JobChannel[Job],
        db: Database,
        node: Node,
        finish: Callable[[Job], None],
        metrics: StageMetrics,
    ) -> None:
        self._stage = stage
        self._channel = channel
        self._db = db
        self._node = node
        self._finish = finish
        self._metrics = metrics
        self._loads = type(stage).load is not Stage.load
        self._workers: list[Worker] = []
        self._group: anyio.abc.TaskGroup | None = None
        self._loaded: JobChannel[Job] = JobChannel(stage.policy.concurrency)
        self.concurrency = stage.policy.concurrency
        self.quiet_until = 0.0
        self._monotonic = REAL_TIME.monotonic
        self._in_batch = 0
        self._is_short = asyncio.Event()
        self._source().on_unserved = self._is_short.set

    def in_flight(self) -> int:
        """Return how many jobs are at work or being loaded."""
        return self._in_batch + sum(worker.job is not None for worker in self._workers)

    def is_idle(self) -> bool:
        """Whether the pool has nothing in hand."""
        return self.in_flight() == 0 and not self._loaded.jobs

    def drain_loaded(self) -> list[Job]:
        """Take what is loaded but not started."""
        return self._loaded.drain()

    def scale(self, concurrency: int) -> None:
        """Change how many jobs are at work at once, on this node.

        What is at work is finished; idle workers above the number are woken to leave.
        """
        self.concurrency = concurrency
        source = self._source()
        source.wake(len(self._workers) - concurrency)
        if source.jobs:
            self._is_short.set()

    async def run(self) -> None:
        """Work for ever. Cancelling drops what is at work; the rows still hold the claims."""
        self._workers = []
        async with anyio.create_task_group() as group:
            self._group = group
            if self._stage.in_batches:
                group.start_soon(self._run_batches)
                return
            group.start_soon(self._watch_deadlines)
            group.start_soon(self._grow_when_short)
            self._grow()
            if self._loads:
                group.start_soon(self._load_for_ever)

    def _source(self) -> JobChannel[Job]:
        return self._loaded if self._loads else self._channel

    def _grow(self) -> None:
        """Add a worker up to the concurrency; idle ones cost little. It adds the next by itself."""
        if self._group is not None and len(self._workers) < self.concurrency:
            worker = Worker()
            self._workers.append(worker)
            self._group.start_soon(self._work_for_ever, worker)

    async def _grow_when_short(self) -> None:
        """Add a worker when jobs come while all are at work.

        In a task of the pool: a worker must not inherit the context of whoever brought the jobs.
        """
        while True:
            await self._is_short.wait()
            self._is_short.clear()
            self._grow()

    async def _work_for_ever(self, worker: Worker) -> None:
        try:
            while len(self._workers) <= self.concurrency:
                with anyio.CancelScope() as scope:
                    worker.scope = scope
                    await self._work_until_cancelled(worker)
                self._finish_timed_out(worker)
        finally:
            if worker.job is not None:
                self._drop([worker.job])
        self._workers.remove(worker)
        if (source := self._source()).jobs:  # it was woken for a job and left: wake another
            source.wake(1)

    def _drop(self, jobs: Sequence[Job]) -> None:
        """Nobody has them in hand any more: memory forgets them, so that they go back."""
        for job in jobs:
            self._node.held.pop(job.job_id, None)
        self._node.wants_reconcile.set()

    @contextmanager
    def _in_hand(self, batch: Sequence[Job]) -> Iterator[None]:
        """Count a batch as in flight; drop it when the pool is cancelled meanwhile."""
        self._in_batch = len(batch)
        try:
            yield
        except BaseException:
            self._drop(batch)
            raise
        finally:
            self._in_batch = 0

    def _finish_timed_out(self, worker: Worker) -> None:
        job, worker.job = worker.job, None
        worker.timed_out = False
        if job is None:
            return
        seconds = self._stage.policy.timeout_seconds
        now = REAL_TIME.monotonic()
        if now - worker.began - job.seconds_queued(now) >= seconds:
            job.outcome = Retry(_late(seconds))
        else:  # the late one ended just before the cancel came: this one is innocent
            job.outcome = Snooze(0.0, "interrupted")
        self._finish(job)

    async def _work_until_cancelled(self, worker: Worker) -> None:
        source = self._source()
        turns = 0
        while len(self._workers) <= self.concurrency:
            if not source.jobs:
                turns = 0
                await source.wait_for_jobs()
                continue
            job = source.take()
            if source.jobs and not source.wake(1):
                self._grow()
            if (outcome := self._outcome_before_work(job)) is not None:
                job.outcome = outcome
                self._finish(job)
                continue
            await self._work_on(worker, job)
            turns += 1
            if turns >= TURNS_BEFORE_YIELD:
                turns = 0
                await anyio.lowlevel.checkpoint()

    async def _work_on(self, worker: Worker, job: Job) -> None:
        """Work on one claim and hand its outcome in."""
        worker.job, worker.began = job, self._monotonic()
        CURRENT_JOB.set(job)
        if self._stage.effect:
            job.authorize, job.record = self._stage.authorize, self._stage.record
            job.record_many = self._stage.record_many
        try:
            is_traced = ActiveTracer.tracer.is_on
            job.outcome = await (self._traced(job) if is_traced else self._stage.work(job.input))
        except Exception as error:  # noqa: BLE001 - the worker is where errors become outcomes
            job.outcome = self._note(outcome_of(error), error)
        self._metrics.work_seconds.observe(self._monotonic() - worker.began)
        worker.job = None
        self._finish(job)

    async def _traced(self, job: Job) -> Outcome[Any]:
        """Work on a claim as a part of the request that began it."""
        with self._span(job):
            return await self._stage.work(job.input)

    def _span(self, job: Job) -> AbstractContextManager[Span]:
        """Open a job's span, below the request that began it."""
        fields = {"job.id": str(job.job_id)}
        return spanned(f"job {self._stage.name}", "consumer", job.trace_parent or "", **fields)

    def _outcome_before_work(self, job: Job) -> Outcome[Any] | None:
        if job.outcome is not None:
            return job.outcome
        if job.run_id is not None and job.run_id in self._node.cancelled_runs:
            return Discard(Cancelled("its run was cancelled"))
        return None

    def _note(self, outcome: Outcome[Any], error: Exception) -> Outcome[Any]:
        if isinstance(outcome, Snooze):
            if isinstance(error, NodeFenced):
                self._node.evicted.set()
            if code_of(error) == ALLOWANCE_SPENT:
                self._be_quiet(outcome.after_seconds)
            return outcome
        self._metrics.last_error = f"{type(error).__name__}: {error}"[:300]
        if isinstance(outcome, Retry) and not isinstance(error, Transient | Permanent):
            log.error("engine.job.crashed", stage=self._stage.name, exc_info=error)
            if not isinstance(error, Bug) and sqlstate_of(error) is None:
                bug = Bug(f"{type(error).__name__}: {error}")
                bug.__cause__ = error
                return Retry(bug)
        return outcome

    def _be_quiet(self, seconds: float) -> None:
        """Claim no faster than allowance comes up: the next job would only be snoozed too."""
        until = REAL_TIME.monotonic() + min(seconds, LONGEST_QUIET_SECONDS)
        self.quiet_until = max(self.quiet_until, until)

    async def _watch_deadlines(self) -> None:
        """Stop what is past its time: one timer for the pool, not one a job."""
        timeout = self._stage.policy.timeout_seconds
        while True:
            await REAL_TIME.sleep(WATCH_SECONDS)
            now = REAL_TIME.monotonic()
            for worker in self._workers:
                if worker.job is None or worker.timed_out:
                    continue
                if now - worker.began - worker.job.seconds_queued(now) > timeout:
                    worker.timed_out = True
                    worker.scope.cancel()

    async def _load_for_ever(self) -> None:
        """Read what the tasks need, a batch at once, as far as workers will take it soon."""
        batch_limit = self._stage.policy.batch
        while True:
            await self._loaded.has_room.wait()
            if not self._channel.jobs:
                await self._channel.wait_for_jobs()
                continue
            room = self._loaded.reserve(batch_limit)
            batch = self._channel.take_batch(room)
            try:
                with self._in_hand(batch):
                    await self._do_in_time(batch, self._load)
            except BaseException:
                self._loaded.release(room)
                raise
            self._loaded.push(batch, room)

    async def _load(self, batch: Sequence[Job]) -> None:
        """Set each job's input, or its outcome where there is nothing to work on."""
        if fresh := [job for job in batch if job.outcome is None]:
            await self._load_some(fresh)

    async def _load_some(self, jobs: Sequence[Job]) -> None:
        try:
            inputs = _as_many(await self._stage.load(self._db, jobs), jobs)
        except Exception as error:  # noqa: BLE001 - see outcome_of
            await self._after_failed_load(jobs, error)
            return
        for job, loaded in zip(jobs, inputs, strict=True):
            is_over = isinstance(loaded, OUTCOMES)
            job.outcome, job.input = (loaded, None) if is_over else (None, loaded)

    async def _after_failed_load(self, jobs: Sequence[Job], error: Exception) -> None:
        """Only the faulty task fails: the others are loaded without it."""
        outcome = outcome_of(error, is_away=is_temporary(error))
        if len(jobs) > 1 and not isinstance(outcome, Snooze):
            middle = len(jobs) // 2
            await self._load_some(jobs[:middle])
            await self._load_some(jobs[middle:])
            return
        outcome = self._note(outcome, error)
        for job in jobs:
            job.outcome, job.input = outcome, None

    async def _run_batches(self) -> None:
        """For stages that compute a whole batch at once."""
        while True:
            if not self._channel.jobs:
                await self._channel.wait_for_jobs()
                continue
            batch = self._channel.take_batch(self._stage.policy.batch)
            with self._in_hand(batch):
                await self._do_in_time(batch, self._load_and_work)
                for job in batch:
                    self._finish(job)
            await anyio.lowlevel.checkpoint()

    async def _work_batch(self, batch: Sequence[Job]) -> None:
        for job in batch:
            if job.outcome is None:
                job.outcome = self._outcome_before_work(job)
        ready = [job for job in batch if job.outcome is None]
        began = REAL_TIME.monotonic()
        for job, outcome in zip(ready, await self._work_many(ready), strict=True):
            job.outcome = outcome
        if ready:
            self._metrics.work_seconds.observe((REAL_TIME.monotonic() - began) / len(ready))

    async def _load_and_work(self, batch: Sequence[Job]) -> None:
        if self._loads:
            await self._load(batch)
        await self._work_batch(batch)

    async def _do_in_time(self, jobs: Sequence[Job], do: BatchStep) -> None:
        """Give a batch one deadline; what is late then is done one by one, each with its own."""
        seconds = self._stage.policy.timeout_seconds
        with anyio.move_on_after(seconds) as scope:
            await do(jobs)
        late = [job for job in jobs if job.outcome is None] if scope.cancelled_caught else []
        if len(jobs) == 1:
            for job in late:
                job.outcome = self._note(Retry(error := _late(seconds)), error)
            return
        slots = anyio.CapacityLimiter(max(1, self.concurrency))
        async with anyio.create_task_group() as group:
            for job in late:
                group.start_soon(self._do_alone, job, do, slots)

    async def _do_alone(self, job: Job, do: BatchStep, slots: anyio.CapacityLimiter) -> None:
        async with slots:
            await self._do_in_time([job], do)

    @contextmanager
    def _traced_batch(self, ready: Sequence[Job]) -> Iterator[None]:
        """Record a span of each job of a batch: shared work takes each of them as long."""
        if not ActiveTracer.tracer.is_on:
            yield
            return
        with ExitStack() as stack:
            for job in ready:
                stack.enter_context(self._span(job))
            yield

    async def _work_many(self, ready: Sequence[Job]) -> Sequence[Outcome[Any]]:
        """Work on all at once; when that fails, one by one, so that only the faulty one fails."""
        if not ready:
            return ()
        try:
            with self._traced_batch(ready):
                return _as_many(await self._stage.work_batch([job.input for job in ready]), ready)
        except Exception as error:  # noqa: BLE001 - see outcome_of
            outcome = outcome_of(error)
            if len(ready) == 1 or isinstance(outcome, Snooze):
                return [self._note(outcome, error)] * len(ready)
        return [(await self._work_many([job]))[0] for job in ready]
