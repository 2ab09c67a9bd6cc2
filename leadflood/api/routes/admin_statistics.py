"""Statistics over HTTP: how much waits, how large it is, what was spent; quick at any size."""

from collections.abc import Iterator

import msgspec

from leadflood.api.http.routing import Route
from leadflood.api.services import Node
from leadflood.engine.ledger import repository as ledger, usage
from leadflood.engine.ledger.repository import Budget, Caps
from leadflood.engine.ledger.usage import CapsUse, OpenMoney
from leadflood.engine.obs import size_statistics
from leadflood.engine.obs.health import SQL
from leadflood.engine.obs.size_statistics import Connections, EventLog, QueueDepth, TableSize

ALL = "all"
MOST_MONTHS = 24


class StageRate(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """How fast a stage settles jobs on the node that answers, smoothed."""

    stage: str
    per_second: float


class DatabaseView(msgspec.Struct, frozen=True, kw_only=True):
    """The database: its size, its connections, its tables with the largest first."""

    bytes: int
    connections: Connections
    tables: tuple[TableSize, ...]


class MonthMoney(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """What was spent in a month (UTC) over all providers."""

    month: str
    spent_micros: int


class LedgerView(msgspec.Struct, frozen=True, kw_only=True):
    """The ledger in all: what counts today and this month, what is open, month by month."""

    use: CapsUse
    open: OpenMoney
    months: tuple[MonthMoney, ...]


class StatisticsView(msgspec.Struct, frozen=True, kw_only=True):
    """Queue, database, log of events and ledger in numbers."""

    queue: tuple[QueueDepth, ...]
    rates: tuple[StageRate, ...]
    database: DatabaseView
    events: EventLog
    ledger: LedgerView


class Statistics:
    """The route of statistics."""

    def __init__(self, node: Node) -> None:
        self._node = node

    def routes(self) -> tuple[Route, ...]:
        """List the rows of the table."""
        return (
            Route(
                method="GET", path="/v1/admin/statistics", handler=self.show,
                permission="admin:read",
            ),
        )  # fmt: skip

    async def show(self) -> StatisticsView:
        """Show queue, tables, connections, the log of events and the ledger in numbers."""
        engine, db = self._node.services.engine, self._node.services.db
        lag_seconds = await db.fetch_value(SQL.read_feed_lag)
        return StatisticsView(
            queue=tuple(await size_statistics.count_queue(db, list(engine.runners))),
            rates=tuple([
                StageRate(stage=name, per_second=round(line.per_second, 1))
                for name, line in engine.runners.items()
            ]),
            database=DatabaseView(
                bytes=await size_statistics.find_database_bytes(db),
                connections=await size_statistics.count_connections(db),
                tables=tuple(await size_statistics.list_tables(db)),
            ),
            events=await size_statistics.look_at_events(db, lag_seconds),
            ledger=await self._ledger(),
        )  # fmt: skip

    async def _ledger(self) -> LedgerView:
        db, now = self._node.services.db, self._node.services.clock.now()
        caps: dict[str, Caps] = {ALL: self._node.services.live_overrides.caps.all}
        used = await usage.read_caps(db, caps, now)
        opened = await usage.sum_open(db)
        scopes = [f"all:month:{month}" for month in _last_months(now.year, now.month)]
        found = await ledger.find_budgets(db, scopes)
        return LedgerView(
            use=used[ALL], open=usage.join(opened.values()),
            months=tuple([_month(budget) for budget in reversed(found)]),
        )  # fmt: skip


def _last_months(year: int, month: int) -> Iterator[str]:
    for back in range(MOST_MONTHS):
        years, before = divmod(month - 1 - back, 12)
        yield f"{year + years:04}-{before + 1:02}"


def _month(budget: Budget) -> MonthMoney:
    return MonthMoney(
        month=budget.scope.removeprefix("all:month:"), spent_micros=budget.spent_micros
    )
