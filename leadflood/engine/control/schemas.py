"""Views of operators and the changes they may make, as JSON has them."""

from datetime import datetime
from typing import Annotated, Literal
from uuid import UUID

import msgspec
from msgspec import UNSET, UnsetType

from leadflood.engine.actors.supervisor import Health
from leadflood.engine.ledger.usage import CapsUse, CapUse, FailedCall, LimitUse, OpenMoney
from leadflood.engine.net.breaker import BreakerState
from leadflood.engine.net.latency import Latency
from leadflood.engine.obs.size_statistics import ConnectionCounts, EventLog, QueueDepth, TableSize

DrainState = Literal["draining", "drained", "running"]
Reason = Annotated[str, msgspec.Meta(max_length=500)]
Micros = Annotated[int, msgspec.Meta(ge=0, le=10**15)]


class ActorView(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """One actor with those below it; `optional` ones are parked when they keep failing."""

    name: str
    health: Health
    restarts: int
    last_error: str
    optional: bool
    stage: "StageView | None"
    children: tuple["ActorView", ...]


class StageView(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """A stage on this node; `stallReason` null: it can commit."""

    stage: str
    state: str
    channel: int
    capacity: int
    in_flight: int
    concurrency: int
    completed: int
    failed: int
    postponed: int
    per_second: float
    last_error: str
    stall_reason: str | None


class NodeView(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """A node's row; `isThis`: the one that answers."""

    id: int
    name: str
    started_at: datetime
    last_beat_at: datetime
    is_this: bool


class SwitchView(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """A switch that stands otherwise than by default, with who and why."""

    name: str
    state: str
    by_whom: str
    reason: str


class DrainView(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """How far a drain is: `inHand` jobs are still at work, on all nodes together.

    `state` is `drained` when the stage is paused and none is, `draining` while some are, and
    `running` when nobody paused it.
    """

    stage: str
    state: DrainState
    in_hand: int


class LastSet(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """The last change by hand; `at` null: there is none."""

    by: str
    reason: str
    at: datetime | None


class SwitchedOff(msgspec.Struct, frozen=True, kw_only=True):
    """The switch that turned a provider off: by whom, and why."""

    by: str
    reason: str


class ProviderView(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """A provider: is it there, what it may, what it did.

    `off` null: it is not switched off. `breaker` and `latency` are those of the node that answers;
    all else holds for all nodes. `budget` are its own caps; those over all are at
    `/v1/admin/budget`.
    """

    name: str
    version: int
    is_configured: bool
    is_off: bool
    off: SwitchedOff | None
    is_breaker_open: bool
    breaker: BreakerState
    limits: tuple[LimitUse, ...]
    budget: CapsUse
    open: OpenMoney
    calls_last_minute: dict[str, int]
    latency: Latency
    last_errors: tuple[FailedCall, ...]
    last_set: LastSet


class RunMoney(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """The budget of an open run and its cost so far."""

    run_id: UUID
    title: str
    use: CapUse


class BudgetView(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """The caps over all providers, and those of the runs that go on, newest first."""

    version: int
    currency: str
    use: CapsUse
    open: OpenMoney
    runs: tuple[RunMoney, ...]
    last_set: LastSet


class BreakerReset(msgspec.Struct, frozen=True, kw_only=True):
    """A breaker that was closed by hand; `resets` is how often that was done."""

    provider: str
    resets: int


class Live(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A window of a limit: `calls` per `seconds`, at most what is documented or set."""

    calls: Annotated[int, msgspec.Meta(ge=1, le=10**9)]
    seconds: Annotated[float, msgspec.Meta(gt=0, le=31 * 86_400)]


class ProviderChange(
    msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, rename="camel"
):
    """A change of overrides; null goes back to the settings, what is left out stays.

    `limits` names limits with their windows; a limit null, or all of them, goes back.
    """

    enabled: bool | UnsetType | None = UNSET
    limits: dict[str, tuple[Live, ...] | None] | UnsetType | None = UNSET
    day_cap_micros: Micros | UnsetType | None = UNSET
    month_cap_micros: Micros | UnsetType | None = UNSET
    reason: Reason = ""


class BudgetChange(
    msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, rename="camel"
):
    """Caps over all providers; null goes back to the settings, what is left out stays."""

    day_cap_micros: Micros | UnsetType | None = UNSET
    month_cap_micros: Micros | UnsetType | None = UNSET
    reason: Reason = ""


class StageRate(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """How fast a stage settles jobs on the node that answers, smoothed."""

    stage: str
    per_second: float


class DatabaseView(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """The database: its size, its connections, its tables with the largest first.

    Sizes are read once a minute; `readAt` is when they were.
    """

    read_at: datetime
    bytes: int
    connections: ConnectionCounts
    tables: tuple[TableSize, ...]


class MonthMoney(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """The cost of a month (UTC) over all providers."""

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


class SettingView(msgspec.Struct, frozen=True, kw_only=True):
    """A setting as it is in force on this node; secrets are masked.

    `source` is `default`, `file`, `environment`, `secret file`, `command` (named when it was
    started) or `live` (set by hand while it runs, in force on all nodes).
    """

    path: str
    value: str
    source: str
