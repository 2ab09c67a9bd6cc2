"""Group commit: one committer a stage turns whatever finished meanwhile into one transaction.

    settle the claims (this is the fence) → the slice's commit → events → follow-ups → postponed

A claim that is no longer ours is left out before the slice's commit runs. A batch that the
database refuses is halved until the faulty job stands alone; only that one fails. A batch that
meets a locked row is settled job by job, hardly waiting; who needs the row comes back later.
"""

import asyncio
import traceback
from collections.abc import Sequence
from datetime import timedelta
from typing import Any, assert_never
from uuid import UUID

import msgspec

from leadflood.engine.clock import REAL_TIME
from leadflood.engine.db.tx import TIMEOUTS, Tx, sqlstate_of
from leadflood.engine.errors import Bug, LeadfloodError, Permanent, Unsure, code_of
from leadflood.engine.obs.log import log
from leadflood.engine.obs.stage_metrics import StageMetrics
from leadflood.engine.queue import repository
from leadflood.engine.queue.backoff import Backoff
from leadflood.engine.queue.dispatcher import HandOff, NewJob
from leadflood.engine.queue.error_classes import FOREIGN_KEY_VIOLATION, is_environment
from leadflood.engine.queue.job import CANCELLED, COMPLETED, FAILED, Job
from leadflood.engine.queue.outcome import Cancelled, Discard, Done, Retry, Snooze
from leadflood.engine.queue.parts import QueueParts
from leadflood.engine.queue.repository import SQL
from leadflood.engine.queue.stage import FinishedTask, Stage

MOST_AT_ONCE = 1_000
REPEATS_BEFORE_STALL = 3
LONGEST_PAUSE_SECONDS = 10.0
LOCK_WAITS_SECONDS = (2.0, *[0.05] * 10, 0.001)
"""How long a batch waits for a locked row: at first, then for each job that needs one."""
LOCKED_SECONDS = 5.0
"""When a job comes back whose row was locked."""


class Committer:
    """Settles one stage's finished jobs. `is_stalled` while the database refuses everything."""

    def __init__(
        self, stage: Stage[Any, Any, Any], parts: QueueParts, metrics: StageMetrics
    ) -> None:
        self._stage = stage
        self._db = parts.db
        self._dispatcher = parts.dispatcher
        self._node = parts.node
        self._wakeups = parts.wakeups
        self._clock = parts.clock
        self._crash_point = parts.crash_point
        self._backoff = Backoff(stage.policy, parts.rng)
        self._metrics = metrics
        self._writes_domain = type(stage).commit is not Stage.commit
        self._loads = type(stage).load is not Stage.load
        self._finished: list[Job] = []
        self._has_work = asyncio.Event()
        self._repeats = 0
        self._locks_met = 0
        self.stall_reason: str | None = None

    def add(self, job: Job) -> None:
        """Hand in a job whose outcome is set."""
        self._finished.append(job)
        self._has_work.set()

    def discard(self, job: Job, error: Exception) -> None:
        """Hand in a claim that ends before anything was loaded for it."""
        job.outcome = Discard(error)
        if self._loads:
            job.input = None
        self.add(job)

    def unsettled(self) -> int:
        """Return how many jobs wait to be settled."""
        return len(self._finished)

    def is_idle(self) -> bool:
        """Whether everything that was added is settled."""
        return not self._has_work.is_set()

    async def run(self) -> None:
        """Settle for ever. Cancelling loses nothing: the rows are the truth."""
        while True:
            await self._has_work.wait()
            batch = self._finished[:MOST_AT_ONCE]
            del self._finished[:MOST_AT_ONCE]
            try:
                await self._settle(batch)
            except BaseException:
                self._forget(batch)  # nobody has them in hand any more: they go back
                self._node.wants_reconcile.set()
                raise
            if not self._finished:
                self._has_work.clear()

    async def _settle(self, batch: list[Job]) -> None:
        """Settle a batch, halving what the database refuses."""
        self._locks_met = 0
        pending = [batch]
        while pending:
            part = pending.pop()
            try:
                await self._attempt(part)
            except Exception as error:  # noqa: BLE001 - every failure of a batch is sorted here
                pending.extend(await self._after_failure(part, error))
            else:
                self._repeats, self.stall_reason = 0, None

    async def _after_failure(self, part: list[Job], error: Exception) -> list[list[Job]]:
        """Decide what to try next: halves, the single culprit as a failure, or all again."""
        state = sqlstate_of(error)
        if state in TIMEOUTS:
            return self._go_past_lock(part, error)
        if is_environment(error) or _is_beyond_blame(part):
            return await self._repeat(part, error)
        if len(part) > 1:
            middle = len(part) // 2
            return [part[middle:], part[:middle]]
        _blame(part[0], error, state)
        return [part]

    def _go_past_lock(self, part: list[Job], error: Exception) -> list[list[Job]]:
        """Nobody is at fault: settle each alone; put back the one that stands alone already."""
        self._locks_met += 1
        if len(part) > 1:
            return [[job] for job in reversed(part)]
        [job] = part
        if isinstance(job.outcome, Snooze):  # its own row is locked: the reconciler gives it back
            self._forget(part)
            self._node.wants_reconcile.set()
            return []
        job.outcome = Snooze(LOCKED_SECONDS, f"the database was busy: {_short(error)}")
        return [part]

    async def _repeat(self, part: list[Job], error: Exception) -> list[list[Job]]:
        """The database is not itself: wait, ask which claims still exist, and go on with those."""
        self._repeats += 1
        if self._repeats > REPEATS_BEFORE_STALL and self.stall_reason is None:
            self.stall_reason = f"{self._stage.name} cannot commit: {error}"
            log.error("engine.stage.stalled", stage=self._stage.name, error=str(error))
        pause = min(0.05 * 2 ** min(self._repeats, 10), LONGEST_PAUSE_SECONDS)
        await REAL_TIME.sleep(pause)
        try:
            held_ids = await repository.list_held(
                self._db, [job.job_id for job in part], [job.claim for job in part]
            )
        except Exception:  # noqa: BLE001 - the next repeat asks again
            return [part]
        self._node.wants_reconcile.set()
        still = self._keep(part, held_ids)
        if not still:
            self._repeats, self.stall_reason = 0, None
        return [still] if still else []

    def _keep(self, part: Sequence[Job], held_ids: set[UUID]) -> list[Job]:
        """Leave out the claims that are gone: settled by another try, or now another node's."""
        still = [job for job in part if job.job_id in held_ids]
        for job in part:
            if job.job_id not in held_ids:
                self._node.held.pop(job.job_id, None)
        if lost := len(part) - len(still):
            self._metrics.lost(lost)
        return still

    async def _attempt(self, part: list[Job]) -> None:
        """Run the one transaction of a batch; an evicted node leaves its claims to others."""
        if self._node.evicted.is_set():
            self._forget(part)
            return
        sorted_part = self._sort(part)
        delivery = HandOff(self._node, self._wakeups)
        try:
            with self._node.claiming():
                async with self._db.transaction() as tx:
                    longest = len(LOCK_WAITS_SECONDS) - 1
                    await tx.limit_lock_waits(LOCK_WAITS_SECONDS[min(self._locks_met, longest)])
                    await self._write(tx, sorted_part, delivery)
                    self._crash_point(f"{self._stage.name}.commit.before")
                self._crash_point(f"{self._stage.name}.commit.after")
                delivery.complete()
        except _LostClaimsError:
            delivery.abandon()
            held_ids = await repository.list_held(
                self._db, [job.job_id for job in part], [job.claim for job in part]
            )
            if still := self._keep(part, held_ids):
                await self._attempt(still)
            return
        except BaseException:
            delivery.abandon()
            raise
        self._forget(part)
        self._metrics.committed(sorted_part.counts(), len(part))

    def _forget(self, part: Sequence[Job]) -> None:
        claims = self._node.held
        for job in part:
            claims.pop(job.job_id, None)

    def _sort(self, part: Sequence[Job]) -> "_Batch":
        """Sort jobs by what becomes of them."""
        batch = _Batch()
        cancelled = self._node.cancelled_runs
        for job in part:
            outcome = job.outcome
            if cancelled and job.run_id in cancelled and not self._stage.effect:
                job.outcome = outcome = Discard(Cancelled("its run was cancelled"))
            if type(outcome) is Done:
                batch.ended.append(job)
                batch.states.append(COMPLETED)
                batch.codes.append(None)
            else:
                self._sort_unhappy(batch, job)
        return batch

    def _sort_unhappy(self, batch: "_Batch", job: Job) -> None:
        outcome = job.outcome
        match outcome:
            case Retry(error=error) if job.attempts + 1 >= self._attempts_for(error):
                job.attempts += 1
                job.outcome = Discard(error)
                batch.add_discard(job, error)
            case Retry(error=error, after_seconds=after):
                seconds = after if after is not None else self._backoff.seconds(job.attempts)
                batch.add_postponed(job, seconds, job.attempts + 1, _short(error))
            case Snooze(after_seconds=seconds, reason=reason):
                batch.add_postponed(job, seconds, job.attempts, _storable(reason))
            case Discard(error=error):
                batch.add_discard(job, error)
            case Done():
                batch.ended.append(job)
                batch.states.append(COMPLETED)
                batch.codes.append(None)
            case None:
                batch.add_discard(job, Bug(f"{self._stage.name} ended without an outcome"))
            case _:
                assert_never(outcome)

    def _attempts_for(self, error: Exception) -> int:
        """A permanent error that asks for one more try (`retries`) gets just that."""
        if isinstance(error, Permanent):
            return 1 + error.retries
        return self._stage.policy.attempts

    async def _write(self, tx: Tx, batch: "_Batch", delivery: HandOff) -> None:
        if batch.ended:
            await self._write_ended(tx, batch, delivery)
        if batch.postponed:
            await self._postpone(tx, batch, delivery)
        if batch.ended:
            await self._check_runs(tx, batch, delivery)

    async def _check_runs(self, tx: Tx, batch: "_Batch", delivery: HandOff) -> None:
        """Write down which runs may have ended: those of which nothing of this batch goes on."""
        ended = {job.run_id for job in batch.ended} - delivery.run_ids
        ended -= {job.run_id for job, _, _, _ in batch.postponed}
        if run_ids := [run_id for run_id in ended if run_id is not None]:
            await tx.execute(SQL.insert_run_checks, run_ids=run_ids)

    async def _write_ended(self, tx: Tx, batch: "_Batch", delivery: HandOff) -> None:
        jobs = batch.ended
        settled = await self._delete(tx, batch)
        if settled.count != len(jobs):
            raise _LostClaimsError
        if batch.dead:
            await self._insert_dead_letters(tx, batch.dead)
        if self._writes_domain:
            follows = await self._stage.commit(
                tx,
                [
                    FinishedTask(job, job.outcome, job.input)  # type: ignore[arg-type]
                    for job in jobs
                    if job.payload is None
                ],
            )
            if follows:
                causes = {job.job_id: job for job in jobs}
                await self._dispatcher.dispatch(tx, follows, causes, delivery)
        if settled.again:
            await self._run_again(tx, jobs, settled.again, delivery)

    async def _delete(self, tx: Tx, batch: "_Batch") -> repository.SettledClaims:
        ids = [job.job_id for job in batch.ended]
        claims = [job.claim for job in batch.ended]
        now = self._clock.now()
        keeps = self._stage.policy.keeps_history
        if not batch.has_failures:
            return await repository.settle_completed(tx, ids, claims, now, keeps_history=keeps)
        return await repository.settle_jobs(
            tx,
            ids,
            claims,
            batch.states,
            batch.codes,
            [job.attempts for job in batch.ended],
            now,
            keeps_history=keeps,
        )

    async def _run_again(
        self, tx: Tx, jobs: Sequence[Job], again: dict[UUID, str], delivery: HandOff
    ) -> None:
        """A running key was asked for again: queue a new job with what was asked last."""
        new_jobs = [
            NewJob(
                job.task,
                again[job.job_id],
                job.run_id,
                job.turn,
                job.priority,
                self._clock.now(),
                job.key,
                job.request_id,
                job.trace_parent,
            )
            for job in jobs
            if job.job_id in again
        ]
        await self._dispatcher.insert(tx, self._stage.name, new_jobs, delivery)

    async def _postpone(self, tx: Tx, batch: "_Batch", delivery: HandOff) -> None:
        now = self._clock.now()
        rows = await tx.fetch(
            SQL.postpone_jobs,
            ids=[job.job_id for job, _, _, _ in batch.postponed],
            claims=[job.claim for job, _, _, _ in batch.postponed],
            run_ats=[
                now + timedelta(seconds=seconds) if seconds > 0 else None
                for _, seconds, _, _ in batch.postponed
            ],
            attempts=[attempts for _, _, attempts, _ in batch.postponed],
            errors=[reason for _, _, _, reason in batch.postponed],
        )
        if len(rows) != len(batch.postponed):
            raise _LostClaimsError
        delivery.record_scheduled()
        delivery.record_queued(self._stage.name)

    async def _insert_dead_letters(self, tx: Tx, dead: Sequence[tuple[Job, Exception]]) -> None:
        jobs = [job for job, _ in dead]
        await tx.execute(
            SQL.insert_dead_letters,
            now=self._clock.now(),
            ids=[job.job_id for job in jobs],
            run_ids=[job.run_id for job in jobs],
            stages=[job.stage for job in jobs],
            keys=[job.key for job in jobs],
            turns=[job.turn for job in jobs],
            priorities=[job.priority for job in jobs],
            attempts=[job.attempts for job in jobs],
            losses=[job.losses for job in jobs],
            payloads=[_payload_of(job) for job in jobs],
            error_codes=[code_of(error) for _, error in dead],
            errors=[_short(error) for _, error in dead],
            chains=[_chain(error) for _, error in dead],
            created_ats=[job.created_at for job in jobs],
        )
        for job, error in dead:
            log.warning(
                "engine.job.failed",
                stage=job.stage,
                job_id=str(job.job_id),
                run_id=str(job.run_id) if job.run_id else None,
                code=code_of(error),
            )


class _LostClaimsError(Exception):
    """Some claims of the batch are no longer ours: leave them out and begin again."""


class _Batch:
    """A batch sorted by what becomes of each job."""

    __slots__ = ("codes", "dead", "ended", "has_failures", "postponed", "states")

    def __init__(self) -> None:
        self.ended: list[Job] = []
        self.states: list[int] = []
        self.codes: list[str | None] = []
        self.dead: list[tuple[Job, Exception]] = []
        self.postponed: list[tuple[Job, float, int, str]] = []
        self.has_failures = False

    def add_discard(self, job: Job, error: Exception) -> None:
        """It ends here, failed or cancelled; an effect's doubt is kept by its own slice."""
        self.has_failures = True
        self.ended.append(job)
        is_cancelled = isinstance(error, Cancelled)
        self.states.append(CANCELLED if is_cancelled else FAILED)
        self.codes.append(code_of(error))
        if not is_cancelled and not isinstance(error, Unsure):
            self.dead.append((job, error))

    def add_postponed(self, job: Job, seconds: float, attempts: int, reason: str) -> None:
        """It comes back later."""
        self.postponed.append((job, seconds, attempts, reason[:500]))

    def counts(self) -> tuple[int, int, int]:
        """Return how many completed, failed and were postponed."""
        failed = sum(1 for state in self.states if state != COMPLETED)
        return len(self.ended) - failed, failed, len(self.postponed)


def _is_beyond_blame(part: Sequence[Job]) -> bool:
    """Whether a job is a failure that stands alone already: blame would go in circles."""
    return len(part) == 1 and part[0].payload is not None


def _blame(job: Job, error: Exception, state: str | None) -> None:
    """Turn the one job that cannot be committed into a failure."""
    if isinstance(job.outcome, Discard) and job.payload is None:
        job.payload = _payload_of(job)  # its commit refuses even the failure: settle it alone
        return
    if state == FOREIGN_KEY_VIOLATION:
        job.outcome = Discard(
            Permanent(f"its subject is gone: {error}", code="engine.subject_gone")
        )
        return
    blamed = error if isinstance(error, LeadfloodError) else Bug(_short(error), code=_code(state))
    blamed.__cause__ = error if blamed is not error else error.__cause__
    job.outcome = Discard(blamed)


def _code(state: str | None) -> str:
    return f"engine.commit.{state}" if state else "engine.commit_failed"


def _short(error: BaseException) -> str:
    return _storable(str(error) or type(error).__name__)[:500]


def _chain(error: BaseException) -> str:
    lines = traceback.format_exception(error)
    return _storable("".join(lines))[-8_000:]


def _storable(text: str) -> str:
    """Leave out what Postgres text cannot hold."""
    return text.replace("\x00", "").encode("utf-8", "replace").decode()


def _payload_of(job: Job) -> str:
    if job.payload is not None:
        return job.payload
    return msgspec.json.encode(job.task).decode()
