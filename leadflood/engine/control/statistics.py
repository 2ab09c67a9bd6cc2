"""Statistics: how much waits, how large it is, what was spent; quick at any size."""

from collections.abc import Iterator

import anyio
import msgspec

from leadflood.engine.clock import REAL_TIME
from leadflood.engine.control.schemas import (
    DatabaseView,
    LedgerView,
    MonthMoney,
    StageRate,
    StatisticsView,
)
from leadflood.engine.ledger import budgets as budget_rows, usage
from leadflood.engine.ledger.budgets import Budget
from leadflood.engine.ledger.override_rows import ALL
from leadflood.engine.live_overrides import LiveOverrides
from leadflood.engine.obs import health, size_statistics
from leadflood.engine.runtime import Engine

MAX_MONTHS = 24
SIZES_SECONDS = 60.0


class Statistics:
    """Reads the numbers of queue, database, event log and ledger."""

    def __init__(self, engine: Engine, live_overrides: LiveOverrides) -> None:
        self._engine = engine
        self._db = engine.parts.db
        self._clock = engine.parts.clock
        self._live_overrides = live_overrides
        self._sizes_lock = anyio.Lock()
        self._sizes: DatabaseView | None = None
        self._sizes_at = 0.0

    async def read(self) -> StatisticsView:
        """Return queue, tables, connections, the log of events and the ledger in numbers."""
        db, runners = self._db, self._engine.runners
        lag_seconds = await health.read_feed_lag(db)
        return StatisticsView(
            queue=tuple(await size_statistics.count_queue(db, list(runners))),
            rates=tuple(
                [
                    StageRate(stage=name, per_second=round(runner.per_second, 1))
                    for name, runner in runners.items()
                ]
            ),
            database=await self._read_database(),
            events=await size_statistics.look_at_events(db, lag_seconds),
            ledger=await self._read_ledger(),
        )

    async def _read_database(self) -> DatabaseView:
        async with self._sizes_lock:
            now = REAL_TIME.monotonic()
            if self._sizes is None or now - self._sizes_at >= SIZES_SECONDS:
                self._sizes = await self._read_sizes()
                self._sizes_at = now
            sizes = self._sizes
        connections = await size_statistics.count_connections(self._db)
        return msgspec.structs.replace(sizes, connections=connections)

    async def _read_sizes(self) -> DatabaseView:
        """Read how large all is: the database looks at each of its files for that."""
        return DatabaseView(
            read_at=self._clock.now(),
            bytes=await size_statistics.find_database_bytes(self._db),
            connections=await size_statistics.count_connections(self._db),
            tables=tuple(await size_statistics.list_tables(self._db)),
        )

    async def _read_ledger(self) -> LedgerView:
        db, now = self._db, self._clock.now()
        used = await usage.read_caps(db, {ALL: self._live_overrides.caps.all}, now)
        open_lines = await usage.sum_open(db)
        scopes = [f"all:month:{month}" for month in _last_months(now.year, now.month)]
        budgets = await budget_rows.find_budgets(db, scopes)
        return LedgerView(
            use=used[ALL],
            open=usage.join(open_lines.values()),
            months=tuple([_show_month(budget) for budget in reversed(budgets)]),
        )


def _last_months(year: int, month: int) -> Iterator[str]:
    for back in range(MAX_MONTHS):
        years, month_index = divmod(month - 1 - back, 12)
        yield f"{year + years:04}-{month_index + 1:02}"


def _show_month(budget: Budget) -> MonthMoney:
    return MonthMoney(
        month=budget.scope.removeprefix("all:month:"), spent_micros=budget.spent_micros
    )
