"""Repository of the ledger: lines, caps, answers, and the rows of leased allowances.

Money is reserved at the most a call can cost, then settled at what it did cost; an unresolved line
keeps counting at its reserved price. Caps are checked under row locks taken in sorted order, so
that no cap is passed however many processes buy.
"""

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import datetime
from uuid import UUID

import msgspec

from leadflood.engine.db.pool import Database
from leadflood.engine.db.sql import load_queries
from leadflood.engine.db.tx import Reader, Row, Tx
from leadflood.engine.errors import CapSpent, Denied, LeadfloodError, Unfunded
from leadflood.engine.ledger.budget_scopes import (
    Charge,
    charge_of,
    seconds_to_next_day,
    seconds_to_next_month,
)
from leadflood.engine.net.calls import Reply
from leadflood.engine.net.ledger_port import (
    AllowanceRow,
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


class Caps(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Caps that renew. None means no cap."""

    day_micros: int | None = None
    month_micros: int | None = None


class Settings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The caps over all providers, and each provider's own by its name."""

    all: Caps = Caps()
    providers: dict[str, Caps] = {}


DEFAULTS = Settings()
_NO_CAPS = Caps()
_FIRST = UUID(int=0)


class Line(msgspec.Struct, frozen=True, kw_only=True):
    """A ledger line as it is read. `settled_micros` is None while it is not settled."""

    id: UUID
    provider: str
    operation: str
    run_id: UUID | None
    job_id: UUID | None
    state: LineState
    reserved_micros: int
    settled_micros: int | None
    subjects: tuple[str, ...]
    shares: tuple[int, ...]
    outcome: str | None
    created_at: datetime
    settled_at: datetime | None


class LedgerTotal(msgspec.Struct, frozen=True):
    """The lines of a provider in one state, summed."""

    provider: str
    state: LineState
    lines: int
    reserved_micros: int
    settled_micros: int


class Budget(msgspec.Struct, frozen=True):
    """A scope's cap (None: none) and what is used of it."""

    scope: str
    cap_micros: int | None
    spent_micros: int
    reserved_micros: int


class _Run(msgspec.Struct, frozen=True):
    providers: frozenset[str] | None
    cap_micros: int | None
    lead_cap_micros: int | None
    is_cancelled: bool


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

    async def check_caps(
        self, tx: Tx, purchases: Sequence[Purchase]
    ) -> Sequence[LeadfloodError | None]:
        """Lock the caps and return why a purchase may not be made, or None. Writes no amounts."""
        await self._find_runs(tx, purchases)
        moves = [self._charge(purchase) for purchase in purchases]
        budgets = await self._lock_budgets(tx, self._caps(purchases, moves))
        return [
            self._check_run(purchase) or _check_money(purchase, charge, budgets)
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
        await _store_answers(tx, receipts)

    async def find_answers(
        self, tx: Tx, questions: Sequence[LedgerQuestion], now: datetime
    ) -> Sequence[Reply | None]:
        """Find the answers kept, in the order of the questions."""
        rows = await tx.fetch(
            SQL.find_answers,
            providers=[question.provider for question in questions],
            operations=[question.operation for question in questions],
            hashes=[question.question_hash for question in questions],
            sinces=[question.since for question in questions],
            now=now,
        )
        replies: list[Reply | None] = [None] * len(questions)
        for position, body, is_found in rows:
            replies[position - 1] = Reply(body=body, found=is_found, cached=True)
        return replies

    async def _find_runs(self, tx: Tx, purchases: Sequence[Purchase]) -> None:
        """Read what may be done for the runs, anew in each transaction."""
        ids = {purchase.run_id for purchase in purchases if purchase.run_id is not None}
        if not ids:
            return
        if len(self._runs) > _RUNS_REMEMBERED:
            self._runs.clear()
        for run_id in ids:
            self._runs.pop(run_id, None)
        for run_id, providers, cap, lead_cap, is_cancelled in await tx.fetch(
            SQL.find_runs, ids=list(ids)
        ):
            allowed = None if providers is None else frozenset(providers)
            self._runs[run_id] = _Run(allowed, cap, lead_cap, is_cancelled)

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
        caps = self._settings.all
        if scope.startswith("provider:"):
            caps = self._settings.providers.get(purchase.provider, _NO_CAPS)
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

    def _check_run(self, purchase: Purchase) -> LeadfloodError | None:
        if purchase.run_id is None:
            return None
        run = self._run(purchase)
        if run is None:
            return Denied(
                f"Run {purchase.run_id} does not exist; nothing is bought for it.",
                code="run.unknown",
            )
        if run.is_cancelled:
            return Denied(f"Run {purchase.run_id} was cancelled.", code="run.cancelled")
        if run.providers is not None and purchase.provider not in run.providers:
            return Denied(
                f"Run {purchase.run_id} may not use {purchase.provider}; start one that names it.",
                code="run.provider_denied",
            )
        return None

    async def _settle_money(self, tx: Tx, receipts: Sequence[LedgerReceipt]) -> None:
        given_back: dict[str, int] = {}
        spent: dict[str, int] = {}
        for receipt in receipts:
            if receipt.state is LineState.UNRESOLVED:
                continue
            purchase = receipt.purchase
            run = self._run(purchase)
            # a run that this process never bought for: its leads' rows exist if they have a cap
            is_capped = run is None or run.lead_cap_micros is not None
            charge_of(
                purchase, purchase.max_cost_micros, purchase.shares, has_lead_cap=is_capped
            ).add_to(given_back)
            if receipt.state is LineState.SETTLED:
                charge_of(
                    purchase, receipt.settled_micros, receipt.shares, has_lead_cap=is_capped
                ).add_to(spent)
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


class PostgresAllowance:
    """The gateway's `Allowance`: a locked row per provider, key and limit."""

    def __init__(self, db: Database) -> None:
        self._db = db

    @asynccontextmanager
    async def locked(
        self, provider: str, api_key: str, limit_name: str, now: datetime
    ) -> AsyncIterator[AllowanceRow]:
        """Open a transaction that holds the row; what is set in it is written at the end."""
        key = {"provider": provider, "api_key": api_key, "limit_name": limit_name}
        async with self._db.transaction() as tx:
            state = await tx.fetch_value(SQL.lock_rate_limit, **key)
            if state is None:
                await tx.execute(SQL.add_rate_limit, **key, now=now)
                state = await tx.fetch_value(SQL.lock_rate_limit, **key)
            row = AllowanceRow(state)
            yield row
            if row.state != state:
                await tx.execute(SQL.write_rate_limit, **key, state=row.state, now=now)


async def resolve_orphans(db: Reader, now: datetime) -> int:
    """Mark the reserved lines of nodes that are gone as unresolved; return how many."""
    return len(await db.fetch(SQL.resolve_orphans, now=now))


async def forget_answers(db: Reader, now: datetime, at_most: int = 5_000) -> int:
    """Delete answers past their time; return how many, so that the caller knows when to stop."""
    return await db.execute(SQL.forget_answers, now=now, at_most=at_most)


async def sum_lines(db: Reader, run_id: UUID | None = None) -> list[LedgerTotal]:
    """Sum the money by provider and state, of one run or of all."""
    rows = await db.fetch(SQL.sum_lines, run_id=run_id)
    return [
        LedgerTotal(provider, LineState(state), lines, reserved, settled)
        for provider, state, lines, reserved, settled in rows
    ]


async def list_lines(
    db: Reader,
    run_id: UUID | None = None,
    after_id: UUID = _FIRST,
    at_most: int = 10_000,
) -> list[Line]:
    """List a page of the ledger, oldest first, after a line."""
    rows = await db.fetch(SQL.list_lines, run_id=run_id, after_id=after_id, at_most=at_most)
    return [_read_line(row) for row in rows]


async def find_budgets(db: Reader, scopes: Sequence[str]) -> list[Budget]:
    """Find caps and what is used of them."""
    rows = await db.fetch(SQL.find_budgets, scopes=list(scopes))
    return [Budget(*row.values()) for row in rows]


def _read_line(row: Row) -> Line:
    return Line(
        id=row["id"],
        provider=row["provider"],
        operation=row["operation"],
        run_id=row["run_id"],
        job_id=row["job_id"],
        state=LineState(row["state"]),
        reserved_micros=row["reserved_micros"],
        settled_micros=row["settled_micros"],
        subjects=tuple(row["subjects"]),
        shares=tuple(row["shares"]),
        outcome=row["outcome"],
        created_at=row["created_at"],
        settled_at=row["settled_at"],
    )


def _check_money(
    purchase: Purchase, charge: Charge, budgets: Mapping[str, _LockedBudget]
) -> LeadfloodError | None:
    summed: dict[str, int] = {}
    charge.add_to(summed)
    for scope, micros in summed.items():
        if not budgets[scope].fits(micros):
            return _refusal(scope, purchase.made_at)
    for scope, micros in summed.items():
        budgets[scope].added += micros
    return None


def _refusal(scope: str, now: datetime) -> LeadfloodError:
    if scope.startswith(("run:", "lead:")):
        return CapSpent(f"The money of {scope} is spent; raise its cap to buy more.")
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


async def _store_answers(tx: Tx, receipts: Sequence[LedgerReceipt]) -> None:
    answers_by_key = {
        (receipt.purchase.provider, receipt.purchase.operation, answer.question_hash): (
            receipt,
            answer,
        )
        for receipt in receipts
        for answer in receipt.answers
    }
    if not answers_by_key:
        return
    answers = [answer for _, answer in answers_by_key.values()]
    await tx.execute(
        SQL.store_answers,
        providers=[provider for provider, _, _ in answers_by_key],
        operations=[operation for _, operation, _ in answers_by_key],
        hashes=[answer.question_hash for answer in answers],
        bodies=[answer.body for answer in answers],
        founds=[answer.found for answer in answers],
        costs=[answer.cost_micros for answer in answers],
        stored_ats=[receipt.ended_at for receipt, _ in answers_by_key.values()],
        expires_ats=[answer.expires_at for answer in answers],
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
