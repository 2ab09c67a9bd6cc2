"""Repository of the ledger: lines and caps.

Money is reserved at the most a call can cost, then settled at what it did cost; an unresolved line
keeps counting at its reserved price. Caps are checked under row locks taken in sorted order, so
that no cap is passed however many processes buy.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from functools import partial
from uuid import UUID

import msgspec

from leadflood.engine.db.sql import load_queries
from leadflood.engine.db.tx import Reader, Row, Tx
from leadflood.engine.errors import CapSpent, Denied, LeadfloodError, Unfunded
from leadflood.engine.ledger.answers import find_answers, store_answers
from leadflood.engine.ledger.budget_scopes import (
    RUN_SCOPES,
    Charge,
    charge_of,
    seconds_to_next_day,
    seconds_to_next_month,
)
from leadflood.engine.ledger.caps import DEFAULTS, NO_CAPS, Settings
from leadflood.engine.net.calls import Reply
from leadflood.engine.net.ledger_port import (
    LedgerQuestion,
    LedgerReceipt,
    LineState,
    Purchase,
)
from leadflood.engine.text import make_storable

SQL = load_queries(__file__)
_SEPARATOR = "\x1f"
_SCOPES_REMEMBERED = 20_000
_RUNS_REMEMBERED = 10_000


class _Run(msgspec.Struct, frozen=True):
    providers: frozenset[str] | None
    cap_micros: int | None
    lead_cap_micros: int | None
    is_cancelled: bool
    opened_by: str


class _LockedBudget:
    """A locked budget row while purchases are checked against it."""

    __slots__ = ("added", "cap", "used")

    def __init__(self, row: Row, cap: int | None) -> None:
        self.used: int = row["spent_micros"] + row["reserved_micros"]
        self.cap = cap
        self.added = 0

    def fits(self, micros: int) -> bool:
        """Whether an amount would stay within the cap."""
        return self.cap is None or self.used + self.added + micros <= self.cap


class PostgresLedger:
    """The gateway's `Ledger`, one per process."""

    def __init__(self, settings: Settings = DEFAULTS) -> None:
        self._settings = settings
        self._known_scopes: set[str] = set()
        self._runs: dict[UUID, _Run] = {}

    def set_caps(self, settings: Settings) -> None:
        """Check purchases against other caps from now on."""
        self._settings = settings

    async def lock_node(self, tx: Tx, node_id: int) -> bool:
        """Keep this node from being evicted until the transaction ends; False: it is already."""
        return await tx.fetch_value(SQL.lock_node, node_id=node_id) is not None

    async def find_reserved(self, tx: Tx, purchases: Sequence[Purchase]) -> set[UUID]:
        """Return which of these an earlier try has reserved already."""
        rows = await tx.fetch(SQL.find_lines, ids=[purchase.reference for purchase in purchases])
        return {row["id"] for row in rows}

    async def list_reserved(self, db: Reader, node_id: int) -> Sequence[Purchase]:
        """List the purchases of a node whose lines are reserved now."""
        return [_read_purchase(row) for row in await db.fetch(SQL.list_reserved, node_id=node_id)]

    async def check_runs(
        self, tx: Tx, purchases: Sequence[Purchase]
    ) -> Sequence[LeadfloodError | None]:
        """Return why the run of a purchase may not make it, or None. Locks and writes nothing."""
        runs = await _find_runs(tx, purchases)
        return [_check_run(purchase, runs) for purchase in purchases]

    async def check_caps(
        self, tx: Tx, purchases: Sequence[Purchase]
    ) -> Sequence[LeadfloodError | None]:
        """Lock the caps and return why a purchase may not be made, or None. Writes no amounts."""
        self._refresh_runs(await _find_runs(tx, purchases), purchases)
        moves = [self._charge(purchase) for purchase in purchases]
        budgets = await self._lock_budgets(tx, self._caps(purchases, moves))
        return [
            _check_run(purchase, self._runs) or _check_money(purchase, charge, budgets)
            for purchase, charge in zip(purchases, moves, strict=True)
        ]

    async def reserve(self, tx: Tx, node_id: int, purchases: Sequence[Purchase]) -> None:
        """Write the lines and count their most against their caps. `check_caps` ran before."""
        moves = [self._charge(purchase) for purchase in purchases]
        amounts: dict[str, int] = {}
        for charge in moves:
            charge.add_to(amounts)
        if amounts:
            caps = self._caps(purchases, moves)
            scopes = sorted(amounts)
            await tx.execute(
                SQL.reserve_money,
                scopes=scopes,
                caps=[caps[scope] for scope in scopes],
                micros=[amounts[scope] for scope in scopes],
            )
        await _add_lines(tx, node_id, purchases)

    async def settle(self, tx: Tx, receipts: Sequence[LedgerReceipt]) -> None:
        """Write how the calls ended, move the money, keep the answers. Harmless when repeated."""
        rows = await tx.fetch(
            SQL.settle_lines,
            ids=[receipt.purchase.reference for receipt in receipts],
            states=[receipt.state.value for receipt in receipts],
            settled=[_settled_micros(receipt) for receipt in receipts],
            outcomes=[_clean(receipt.outcome) for receipt in receipts],
            settled_ats=[receipt.ended_at for receipt in receipts],
            shares=[_settled_shares(receipt) for receipt in receipts],
        )
        closed = {row["id"] for row in rows}
        await self._settle_money(
            tx, [receipt for receipt in receipts if receipt.purchase.reference in closed]
        )
        await store_answers(tx, receipts)

    async def find_answers(
        self, tx: Tx, questions: Sequence[Sequence[LedgerQuestion]], now: datetime
    ) -> Sequence[Reply | None]:
        """Find the answers kept, in the order of the questions, each given by all of its names."""
        return await find_answers(tx, questions, now)

    def _refresh_runs(self, runs: Mapping[UUID, _Run], purchases: Sequence[Purchase]) -> None:
        """Keep what may be done for the runs, as just read: who has bought is settled later."""
        if len(self._runs) > _RUNS_REMEMBERED:
            self._runs.clear()
        for purchase in purchases:
            if purchase.run_id is not None:
                self._runs.pop(purchase.run_id, None)
        self._runs.update(runs)

    async def _learn_runs(self, tx: Tx, purchases: Sequence[Purchase]) -> None:
        """Read the runs that this process never bought for: whose money it is stands there."""
        unknown = [purchase for purchase in purchases if self._run(purchase) is None]
        self._runs.update(await _find_runs(tx, unknown))

    def _run(self, purchase: Purchase) -> _Run | None:
        return None if purchase.run_id is None else self._runs.get(purchase.run_id)

    def _charge(self, purchase: Purchase) -> Charge:
        """Return what a purchase counts against; leads are counted only where they have a cap."""
        run = self._run(purchase)
        return charge_of(
            purchase,
            purchase.max_cost_micros,
            purchase.shares,
            has_lead_cap=run is not None and run.lead_cap_micros is not None,
            user="" if run is None else run.opened_by,
        )

    def _caps(
        self, purchases: Sequence[Purchase], moves: Sequence[Charge]
    ) -> Mapping[str, int | None]:
        caps: dict[str, int | None] = {}
        for purchase, charge in zip(purchases, moves, strict=True):
            for scope in charge.scopes:
                if scope not in caps:
                    caps[scope] = self._cap(scope, purchase)
            for scope, _ in charge.leads:
                run = self._run(purchase)
                caps[scope] = run.lead_cap_micros if run else None
        return caps

    def _cap(self, scope: str, purchase: Purchase) -> int | None:
        if scope.startswith("run:"):
            run = self._run(purchase)
            return run.cap_micros if run else None
        if scope.startswith("user:"):
            return self._settings.user_day_micros
        caps = self._settings.all
        if scope.startswith("provider:"):
            caps = self._settings.providers.get(purchase.provider, NO_CAPS)
        return caps.month_micros if ":month:" in scope else caps.day_micros

    async def _lock_budgets(
        self, tx: Tx, caps: Mapping[str, int | None]
    ) -> Mapping[str, _LockedBudget]:
        if not caps:
            return {}
        scopes = sorted(caps)
        new = [scope for scope in scopes if scope not in self._known_scopes]
        if new:
            await tx.execute(SQL.add_budgets, scopes=new, caps=[caps[scope] for scope in new])
        rows = await tx.fetch(SQL.lock_budgets, scopes=scopes)
        if len(rows) < len(scopes):  # remembered, but the transaction that made it rolled back
            await tx.execute(SQL.add_budgets, scopes=scopes, caps=[caps[scope] for scope in scopes])
            rows = await tx.fetch(SQL.lock_budgets, scopes=scopes)
        self._remember(scopes)
        return {row["scope"]: _LockedBudget(row, caps[row["scope"]]) for row in rows}

    async def _settle_money(self, tx: Tx, receipts: Sequence[LedgerReceipt]) -> None:
        await self._learn_runs(tx, [receipt.purchase for receipt in receipts])
        given_back: dict[str, int] = {}
        spent: dict[str, int] = {}
        for receipt in receipts:
            if receipt.state is LineState.UNRESOLVED:
                continue
            purchase = receipt.purchase
            run = self._run(purchase)
            # a run that this process never bought for: its leads' rows exist if they have a cap
            is_capped = run is None or run.lead_cap_micros is not None
            charge = partial(
                charge_of,
                purchase,
                has_lead_cap=is_capped,
                user="" if run is None else run.opened_by,
            )
            charge(purchase.max_cost_micros, purchase.shares).add_to(given_back)
            if receipt.state is LineState.SETTLED:
                charge(receipt.settled_micros, receipt.shares).add_to(spent)
        scopes = sorted(given_back.keys() | spent.keys())
        if scopes:
            await tx.execute(
                SQL.settle_money,
                scopes=scopes,
                given_back=[given_back.get(scope, 0) for scope in scopes],
                spent=[spent.get(scope, 0) for scope in scopes],
            )

    def _remember(self, scopes: Sequence[str]) -> None:
        if len(self._known_scopes) > _SCOPES_REMEMBERED:
            self._known_scopes.clear()
        self._known_scopes.update(scope for scope in scopes if not scope.startswith("lead:"))


async def resolve_orphans(db: Reader, now: datetime) -> int:
    """Mark the reserved lines of nodes that are gone as unresolved; return how many."""
    return len(await db.fetch(SQL.resolve_orphans, now=now))


async def _find_runs(tx: Tx, purchases: Sequence[Purchase]) -> dict[UUID, _Run]:
    """Read what may be done for the runs, anew in each transaction."""
    ids = {purchase.run_id for purchase in purchases if purchase.run_id is not None}
    if not ids:
        return {}
    return {
        run_id: _Run(None if providers is None else frozenset(providers), *limits)
        for run_id, providers, *limits in await tx.fetch(SQL.find_runs, ids=list(ids))
    }


def _check_run(purchase: Purchase, runs: Mapping[UUID, _Run]) -> LeadfloodError | None:
    if purchase.run_id is None:
        return None
    run = runs.get(purchase.run_id)
    if run is None:
        return Denied(
            f"Run {purchase.run_id} does not exist; nothing is bought for it.",
            code="run.unknown",
        )
    if run.is_cancelled:
        return Denied(f"Run {purchase.run_id} was cancelled.", code="run.cancelled")
    is_named = run.providers is None or purchase.provider in run.providers
    if not is_named and not purchase.is_effect:
        return Denied(
            f"Run {purchase.run_id} may not use {purchase.provider}; start one that names it.",
            code="run.provider_denied",
        )
    return None


def _check_money(
    purchase: Purchase, charge: Charge, budgets: Mapping[str, _LockedBudget]
) -> LeadfloodError | None:
    summed: dict[str, int] = {}
    charge.add_to(summed)
    for scope, micros in summed.items():
        if not budgets[scope].fits(micros):
            return _refusal(scope, micros, purchase.made_at)
    for scope, micros in summed.items():
        budgets[scope].added += micros
    return None


def _refusal(scope: str, micros: int, now: datetime) -> LeadfloodError:
    if scope.startswith(RUN_SCOPES):
        return CapSpent(
            f"The money of {scope} is spent; raise its cap to buy more.",
            scope=scope,
            needed_micros=micros,
        )
    is_month = ":month:" in scope
    wait_seconds = seconds_to_next_month(now) if is_month else seconds_to_next_day(now)
    return Unfunded(
        f"The money of {scope} is spent until it renews; or raise the cap.", wait_seconds
    )


async def _add_lines(tx: Tx, node_id: int, purchases: Sequence[Purchase]) -> None:
    await tx.execute(
        SQL.add_lines,
        node_id=node_id,
        ids=[purchase.reference for purchase in purchases],
        providers=[purchase.provider for purchase in purchases],
        operations=[purchase.operation for purchase in purchases],
        run_ids=[purchase.run_id for purchase in purchases],
        job_ids=[purchase.job_id for purchase in purchases],
        micros=[purchase.max_cost_micros for purchase in purchases],
        subjects=[
            _SEPARATOR.join(_clean(subject) or "-" for subject in purchase.subjects)
            for purchase in purchases
        ],
        shares=[",".join(map(str, purchase.shares)) for purchase in purchases],
        hashes=[purchase.question_hash for purchase in purchases],
        created_ats=[purchase.made_at for purchase in purchases],
    )


def _read_purchase(row: Row) -> Purchase:
    return Purchase(
        reference=row["id"],
        provider=row["provider"],
        operation=row["operation"],
        run_id=row["run_id"],
        job_id=row["job_id"],
        max_cost_micros=row["reserved_micros"],
        subjects=tuple(row["subjects"]),
        shares=tuple(row["shares"]),
        question_hash=row["question_hash"],
        made_at=row["created_at"],
    )


def _settled_micros(receipt: LedgerReceipt) -> int | None:
    return receipt.settled_micros if receipt.state is LineState.SETTLED else None


def _settled_shares(receipt: LedgerReceipt) -> str | None:
    """Encode the shares; None leaves the reserved ones on a line that is not settled."""
    if receipt.state is not LineState.SETTLED:
        return None
    return ",".join(map(str, receipt.shares))


def _clean(text: str) -> str:
    """Drop what Postgres text refuses and what separates subjects."""
    return make_storable(text).replace(_SEPARATOR, "")
