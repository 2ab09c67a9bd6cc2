"""Usage of money and limits for operators: read only, and quick however long the ledger is."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from uuid import UUID

import msgspec

from leadflood.engine.db.sql import load_queries
from leadflood.engine.db.tx import Reader, Row
from leadflood.engine.ids import id_at
from leadflood.engine.ledger.budgets import Budget, find_budgets
from leadflood.engine.ledger.caps import Caps
from leadflood.engine.net.calls import Window
from leadflood.engine.net.gcra import SLICES, AllowanceState, CountedWindow, effective_windows
from leadflood.engine.net.ledger_port import LineState

SQL = load_queries(__file__)

MINUTE = timedelta(minutes=1)


class FailedCall(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """A call that went wrong: `code` as the error tree names it, `state` what the line costs."""

    call_id: UUID
    operation: str
    code: str
    state: LineState
    at: datetime


class OpenMoney(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """Lines that are not settled: of calls under way, or of which nobody knows the price."""

    reserved_lines: int = 0
    reserved_micros: int = 0
    unresolved_lines: int = 0
    unresolved_micros: int = 0


class CapUse(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """A cap and what is used of it; `capMicros` null: there is none."""

    cap_micros: int | None
    spent_micros: int
    reserved_micros: int


class CapsUse(msgspec.Struct, frozen=True, kw_only=True):
    """The caps that renew: today's and this month's, in UTC."""

    day: CapUse
    month: CapUse


class WindowUse(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """A window of a limit and its present use.

    `calls` are those in force: the lowest of `documentedCalls`, `settingsCalls`, `liveCalls` and
    `learnedCalls` (by the other side's headers), each null where it says nothing. `used` is
    null for windows up to a minute: they are paced, calls are handed out one by one. `resetsAt`
    null: the other side does not say when the window ends.
    """

    seconds: float
    calls: int
    documented_calls: int | None
    settings_calls: int | None
    live_calls: int | None
    learned_calls: int | None
    used: int | None
    resets_at: datetime | None


class LimitUse(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """A limit by its name, as it is leased to all nodes together.

    `nextFreeAt` null: a call may go now; `heldUntil` null: the other side asked for no pause.
    """

    name: str
    windows: tuple[WindowUse, ...]
    next_free_at: datetime | None
    held_until: datetime | None


class LimitSources(msgspec.Struct, frozen=True, kw_only=True):
    """The windows of a limit by each source; `force` are those the gate uses now."""

    documented: Sequence[Window]
    settings: Sequence[Window]
    live: Mapping[float, int]
    force: Sequence[Window]


async def find_allowances(db: Reader) -> dict[tuple[str, str, str], AllowanceState]:
    """Read every allowance by provider, key's fingerprint and limit."""
    return {
        (row["provider"], row["api_key"], row["limit_name"]): _DECODER.decode(row["state"])
        for row in await db.fetch(SQL.list_rate_limits)
        if row["state"]
    }


async def find_failures(
    db: Reader, providers: Sequence[str], limit: int
) -> dict[str, tuple[FailedCall, ...]]:
    """Find the newest failed calls of each provider."""
    rows = await db.fetch(SQL.list_failures, providers=list(providers), limit=limit)
    return {
        name: tuple([_failure(row) for row in rows if row["provider"] == name])
        for name in providers
    }


async def sum_open(db: Reader) -> dict[str, OpenMoney]:
    """Sum what is not settled, by provider."""
    summed: dict[str, dict[str, int]] = {}
    for row in await db.fetch(SQL.sum_open_lines):
        values = summed.setdefault(row["provider"], {})
        values[f"{row['state']}_lines"] = row["lines"]
        values[f"{row['state']}_micros"] = row["micros"]
    return {name: OpenMoney(**values) for name, values in summed.items()}


def join(opened: Iterable[OpenMoney]) -> OpenMoney:
    """Sum what is open over providers."""
    parts = list(opened)
    return OpenMoney(
        reserved_lines=sum(part.reserved_lines for part in parts),
        reserved_micros=sum(part.reserved_micros for part in parts),
        unresolved_lines=sum(part.unresolved_lines for part in parts),
        unresolved_micros=sum(part.unresolved_micros for part in parts),
    )


async def count_calls(db: Reader, now: datetime) -> dict[str, dict[str, int]]:
    """Count the calls of the last minute by provider and operation."""
    counts: dict[str, dict[str, int]] = {}
    for row in await db.fetch(SQL.count_calls_since, since=id_at(now - MINUTE)):
        counts.setdefault(row["provider"], {})[row["operation"]] = row["calls"]
    return counts


async def read_caps(db: Reader, caps: Mapping[str, Caps], now: datetime) -> dict[str, CapsUse]:
    """Read what is used of caps, by `all` or `provider:<name>`."""
    day = now.astimezone(UTC).date()
    period_ends = (f"day:{day}", f"month:{day:%Y-%m}")
    budgets = await find_budgets(db, [f"{name}:{end}" for name in caps for end in period_ends])
    used = {budget.scope: budget for budget in budgets}
    return {
        name: CapsUse(
            day=_cap_use(used.get(f"{name}:{period_ends[0]}"), cap.day_micros),
            month=_cap_use(used.get(f"{name}:{period_ends[1]}"), cap.month_micros),
        )
        for name, cap in caps.items()
    }


def describe_limit(
    name: str, sources: LimitSources, allowed: AllowanceState | None, now: datetime
) -> LimitUse:
    """Put together what is known of a limit. `allowed` None: it was never leased."""
    state = allowed or AllowanceState()
    learned = {window.seconds: window.calls for window in state.learned}
    counters = {window.seconds: window for window in state.counted}
    documented, settings = _calls(sources.documented), _calls(sources.settings)
    windows = [
        WindowUse(
            seconds=window.seconds,
            calls=window.calls,
            documented_calls=documented.get(window.seconds),
            settings_calls=settings.get(window.seconds),
            live_calls=sources.live.get(window.seconds),
            learned_calls=learned.get(window.seconds),
            used=_used(counters.get(window.seconds), now),
            resets_at=_ends_at(counters.get(window.seconds), now),
        )
        for window in effective_windows(state, sources.force)
    ]
    return LimitUse(
        name=name,
        windows=tuple(windows),
        next_free_at=_later(max(state.next_at, state.held_until), now),
        held_until=_later(state.held_until, now),
    )


def _used(counter: CountedWindow | None, now: datetime) -> int | None:
    if counter is None:
        return None
    at = now.timestamp()
    if counter.ends_at > 0:
        return counter.used if at < counter.ends_at else 0
    oldest = int(at / (counter.seconds / SLICES)) - SLICES
    return sum(calls for index, calls in counter.slices if index >= oldest)


def _ends_at(counter: CountedWindow | None, now: datetime) -> datetime | None:
    return None if counter is None else _later(counter.ends_at, now)


def _later(instant: float, now: datetime) -> datetime | None:
    return datetime.fromtimestamp(instant, UTC) if instant > now.timestamp() else None


def _calls(windows: Iterable[Window]) -> dict[float, int]:
    return {window.seconds: window.calls for window in windows}


def _cap_use(budget: Budget | None, cap_micros: int | None) -> CapUse:
    if budget is None:
        return CapUse(cap_micros=cap_micros, spent_micros=0, reserved_micros=0)
    return CapUse(
        cap_micros=cap_micros,
        spent_micros=budget.spent_micros,
        reserved_micros=budget.reserved_micros,
    )


def _failure(row: Row) -> FailedCall:
    return FailedCall(
        call_id=row["id"],
        operation=row["operation"],
        code=row["outcome"],
        state=LineState(row["state"]),
        at=row["settled_at"],
    )


_DECODER = msgspec.json.Decoder(AllowanceState)
