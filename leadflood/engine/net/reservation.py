"""Reservations: the shared transactions around every call, which pay for it and record its end.

    before   node alive, money reserved, the guard's word and the stage's `authorize`
    after    line settled, answers stored, the stage's `record`

Concurrent calls share these transactions. Buying may be turned away; settling never is: it is tried
again, whoever is cancelled, until it is written or the process ends.
"""

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from uuid import UUID

import anyio
import msgspec
import structlog
from anyio import CancelScope

from leadflood.engine.clock import REAL_TIME, Clock
from leadflood.engine.context import Allow, Defer, Deny, JobContext, RecordMany, SendDecision
from leadflood.engine.db.batching import LATER, Batcher, NotRunning
from leadflood.engine.db.group_commit import Settings as GroupSettings, group_commit
from leadflood.engine.db.pool import Database
from leadflood.engine.db.tx import Tx
from leadflood.engine.errors import (
    Denied,
    LeadfloodError,
    NodeFenced,
    Throttled,
    Unsure,
)
from leadflood.engine.net.calls import Reply
from leadflood.engine.net.crash_points import CrashPoints
from leadflood.engine.net.ledger_port import Ledger, LedgerReceipt, LineState, Purchase
from leadflood.engine.net.settlement import NOT_SENT

log = structlog.get_logger(__name__)

_PAUSE_SECONDS = 0.02


FindObstacle = Callable[[Tx], Awaitable[str | None]]
OBSTACLE_RETRY_SECONDS = 5.0


async def no_obstacle(_tx: Tx) -> str | None:
    """Return None: there is no guard."""
    return None


class NodeStanding(msgspec.Struct, frozen=True):
    """Whose name calls are made in.

    `node_id` returns this node's id now, `find_obstacle` why it may send nothing in a transaction.
    """

    node_id: Callable[[], int]
    find_obstacle: FindObstacle = no_obstacle


class Reservation(msgspec.Struct, frozen=True):
    """A purchase to be made; `job` is whose stage must authorize it, None: nobody."""

    purchase: Purchase
    job: JobContext | None


class Settlement(msgspec.Struct, frozen=True):
    """The settlement of a call; `job` is whose stage records it, with the error or the reply."""

    receipt: LedgerReceipt
    job: JobContext | None = None
    error: BaseException | None = None
    reply: Reply | None = None


class Reservations:
    """Reserves and settles while `running`.

    `open` are the lines of calls under way: reserved, or about to be, and not settled yet.
    """

    def __init__(
        self,
        db: Database,
        ledger: Ledger,
        clock: Clock,
        settings: GroupSettings,
        standing: NodeStanding,
        crash_points: CrashPoints,
    ) -> None:
        self._db = db
        self._ledger = ledger
        self._clock = clock
        self._standing = standing
        self._crash_points = crash_points
        self._flush_seconds = settings.flush_seconds
        self._is_stopped = False
        self._suspects: frozenset[UUID] = frozenset()
        self.open: set[UUID] = set()
        self._before: Batcher[Reservation, bool] = group_commit(
            db, self._reserve_batch, clock, settings
        )
        self._after: Batcher[Settlement, bool] = group_commit(
            db, self._settle_batch, clock, settings, when_locked=LATER
        )
        self._run_checks: Batcher[Purchase, bool] = group_commit(
            db, self._check_runs_batch, clock, settings, is_reading=True
        )

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Run the shared transactions while the block runs.

        Waits: cancelled, for the calls under way, which are cancelled too: what happened outside is
        still written, for at most `flush_seconds`.
        """
        self._is_stopped = False
        async with self._after.running():
            try:
                async with self._before.running(), self._run_checks.running():
                    yield
            except anyio.get_cancelled_exc_class():
                with anyio.move_on_after(self._flush_seconds, shield=True):
                    while self.open:
                        await REAL_TIME.sleep(_PAUSE_SECONDS)
                self._is_stopped = True
                raise

    async def release_unknown(self) -> int:
        """Release the reserved lines of this node that no call under way knows; return how many.

        Their reservation was committed, but its caller never learned it, so nothing was sent. A
        line counts as unknown when two looks in a row find it so: it may have ended in between.
        """
        reserved = await self._ledger.list_reserved(self._db, self._standing.node_id())
        unknown = [purchase for purchase in reserved if purchase.reference not in self.open]
        lost = [purchase for purchase in unknown if purchase.reference in self._suspects]
        self._suspects = frozenset(purchase.reference for purchase in unknown)
        for purchase in lost:
            receipt = LedgerReceipt(
                purchase=purchase,
                state=LineState.RELEASED,
                outcome=NOT_SENT,
                ended_at=self._clock.now(),
            )
            await self._after.submit(Settlement(receipt))
        return len(lost)

    async def require_allowed(self, purchase: Purchase) -> None:
        """Check that the run of a purchase may make it; concurrent checks share one query.

        Raises: Denied when the run is gone or cancelled, or does not name the provider.
        """
        await self._run_checks.submit(purchase)

    async def reserve(self, reservation: Reservation) -> None:
        """Buy. Cancelled meanwhile, the purchase may have been made.

        Raises: NodeFenced, DatabaseBusy, or why the ledger or the stage refuses.
        """
        reference = reservation.purchase.reference
        self.open.add(reference)
        try:
            with CancelScope(shield=True):
                await self._before.submit(reservation)
        except BaseException:
            self.open.discard(reference)
            raise
        self._crash_points.reach("reserve.after", [reservation.purchase])

    async def settle(self, settlement: Settlement) -> None:
        """Record how a call ended, whoever is cancelled.

        Waits: until it is written, however long a row stays locked or the database is away.
        Raises: Unsure when the stage cannot record its effect; the money is booked all the same.
        """
        receipt = settlement.receipt
        with CancelScope(shield=True):
            try:
                await self._write(settlement)
            except Exception as failure:
                if settlement.job is None:
                    raise
                await self._settle_without_stage(receipt, failure)
        self._crash_points.reach("settle.after", [receipt.purchase])

    async def _settle_without_stage(self, receipt: LedgerReceipt, failure: Exception) -> None:
        purchase = receipt.purchase
        log.error("net.record.failed", reference=str(purchase.reference), error=repr(failure))
        with suppress(NotRunning):
            await self._write(Settlement(receipt))
        raise Unsure(f"What {purchase.provider} did could not be written: {failure}") from failure

    async def _write(self, settlement: Settlement) -> None:
        """Write a settlement, also over a restart of the gateway. Raises: NotRunning at the end."""
        while True:
            try:
                await self._after.submit(settlement)
            except NotRunning:
                if self._is_stopped:
                    raise
                await REAL_TIME.sleep(_PAUSE_SECONDS)
            else:
                self.open.discard(settlement.receipt.purchase.reference)
                return

    async def _reserve_batch(
        self,
        tx: Tx,
        reservations: Sequence[Reservation],
        is_repeat: bool,  # noqa: FBT001 - the shape of Write
    ) -> Sequence[bool | Exception]:
        """Reserve and authorize for all; only what both let pass is written."""
        node_id = self._standing.node_id()
        if not await self._ledger.lock_node(tx, node_id):
            fenced = NodeFenced("This node was taken for dead; it starts again under a new id.")
            return [fenced] * len(reservations)
        refusals = dict[UUID, Exception]()
        pending = await self._list_pending(tx, reservations, is_repeat=is_repeat)
        await self._check_caps(tx, pending, refusals)
        await self._authorize(tx, pending, refusals)
        granted = [
            reservation.purchase
            for reservation in pending
            if reservation.purchase.reference not in refusals
        ]
        if granted:
            await self._ledger.reserve(tx, node_id, granted)
        self._crash_points.reach("reserve.before", granted)
        return [refusals.get(reservation.purchase.reference, True) for reservation in reservations]

    async def _check_runs_batch(
        self,
        tx: Tx,
        purchases: Sequence[Purchase],
        _is_repeat: bool,  # noqa: FBT001 - the shape of Write
    ) -> Sequence[bool | Exception]:
        return [refusal or True for refusal in await self._ledger.check_runs(tx, purchases)]

    async def _list_pending(
        self, tx: Tx, reservations: Sequence[Reservation], *, is_repeat: bool
    ) -> Sequence[Reservation]:
        """Leave out what an earlier try has reserved already."""
        if not is_repeat:
            return reservations
        reserved = await self._ledger.find_reserved(
            tx, [reservation.purchase for reservation in reservations]
        )
        return [
            reservation
            for reservation in reservations
            if reservation.purchase.reference not in reserved
        ]

    async def _check_caps(
        self, tx: Tx, pending: Sequence[Reservation], refusals: dict[UUID, Exception]
    ) -> None:
        purchases = [reservation.purchase for reservation in pending]
        checks = await self._ledger.check_caps(tx, purchases)
        for purchase, refusal in zip(purchases, checks, strict=True):
            if refusal is not None:
                refusals[purchase.reference] = refusal

    async def _authorize(
        self, tx: Tx, pending: Sequence[Reservation], refusals: dict[UUID, Exception]
    ) -> None:
        """Ask each stage to authorize its effects, all of a stage at once."""
        effects = [
            (reservation.purchase, reservation.job)
            for reservation in pending
            if reservation.job is not None and reservation.purchase.reference not in refusals
        ]
        purchases = [purchase for purchase, _ in effects]
        if effects and (obstacle := await self._standing.find_obstacle(tx)) is not None:
            held = Throttled(obstacle, OBSTACLE_RETRY_SECONDS, code="sending.held")
            refusals.update(dict.fromkeys((purchase.reference for purchase in purchases), held))
            return
        self._crash_points.reach("authorize.before", purchases)
        by_stage: dict[object, list[tuple[Purchase, JobContext]]] = {}
        for purchase, job in effects:
            by_stage.setdefault(job.authorize, []).append((purchase, job))
        for group in by_stage.values():
            for purchase, decision in await _decide(tx, group):
                if (refusal := _refusal(decision)) is not None:
                    refusals[purchase.reference] = refusal
        self._crash_points.reach("authorize.after", purchases)

    async def _settle_batch(
        self,
        tx: Tx,
        settlements: Sequence[Settlement],
        _is_repeat: bool,  # noqa: FBT001 - the shape of Write
    ) -> Sequence[bool]:
        receipts = [settlement.receipt for settlement in settlements]
        await self._ledger.settle(tx, receipts)
        await _record(tx, settlements)
        self._crash_points.reach("settle.before", [receipt.purchase for receipt in receipts])
        return [True] * len(settlements)


async def _decide(
    tx: Tx, group: Sequence[tuple[Purchase, JobContext]]
) -> Sequence[tuple[Purchase, SendDecision]]:
    """Ask one stage about its effects."""
    jobs = [job for _, job in group]
    authorize = jobs[0].authorize
    if authorize is None:
        return ()
    decisions = await authorize(tx, jobs)
    return [(purchase, decision) for (purchase, _), decision in zip(group, decisions, strict=True)]


async def _record(tx: Tx, settlements: Sequence[Settlement]) -> None:
    """Record each stage's outcome of its effects, all of a stage at once where it can."""
    effects = [
        (settlement.job, settlement.error, settlement.reply)
        for settlement in settlements
        if settlement.job is not None
    ]
    by_stage: dict[RecordMany, list[tuple[JobContext, BaseException | None, Reply | None]]] = {}
    for job, error, reply in sorted(effects, key=lambda effect: effect[0].job_id):
        if job.record_many is not None:
            by_stage.setdefault(job.record_many, []).append((job, error, reply))
        elif job.record is not None:
            await job.record(tx, job, error, reply)
    for record_many, group in by_stage.items():
        await record_many(tx, group)


def _refusal(decision: SendDecision) -> LeadfloodError | None:
    match decision:
        case Allow():
            return None
        case Defer():
            return Throttled(decision.reason, decision.retry_after_seconds, code="sending.held")
        case Deny():
            return Denied(decision.reason, code=decision.code)
