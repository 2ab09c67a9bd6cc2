"""Providers and budgets over HTTP: limits, money, breaker, errors; changed while all runs."""

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Annotated
from uuid import UUID

import msgspec
from msgspec import UNSET, UnsetType

from leadflood.api.http.request_context import Caller
from leadflood.api.http.routing import Route
from leadflood.api.http.unit_of_work import UnitOfWork, run_once
from leadflood.api.routes.admin_stages import Reason, Why, unknown
from leadflood.api.services import Node
from leadflood.domain.audit.schemas import AuditEntry
from leadflood.engine.errors import Invalid, NotFound, PreconditionFailed
from leadflood.engine.ledger import override_rows, repository as ledger, usage
from leadflood.engine.ledger.override_rows import ALL, OverrideAuthor, OverrideRow
from leadflood.engine.ledger.repository import Caps
from leadflood.engine.ledger.usage import (
    CapsUse,
    CapUse,
    Failure,
    LimitSources,
    LimitUse,
    OpenMoney,
    describe_limit,
)
from leadflood.engine.net.breaker import BreakerState
from leadflood.engine.net.latency import Latency
from leadflood.engine.net.overrides import Overrides, WindowOverride, find_problems
from leadflood.engine.queue import runs, switches

PATH = "/v1/admin/providers"
BUDGET = "/v1/admin/budget"
LAST_ERRORS = 10
MOST_RUNS = 50
Micros = Annotated[int, msgspec.Meta(ge=0, le=10**15)]


class LastSet(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """Who set something by hand last; `at` null: nobody did."""

    by: str
    reason: str
    at: datetime | None


class SwitchedOff(msgspec.Struct, frozen=True, kw_only=True):
    """Who switched a provider off, and why."""

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
    last_errors: tuple[Failure, ...]
    last_set: LastSet


class RunMoney(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """What an open run may cost and has cost."""

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
    """What to change; null goes back to the settings, what is left out stays.

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


class Providers:
    """The routes of providers and of budgets."""

    def __init__(self, node: Node) -> None:
        self._node = node

    def routes(self) -> tuple[Route, ...]:
        """List the rows of the table."""
        one, read, write = PATH + "/{provider}", "admin:read", "admin:write"
        changed = (NotFound, Invalid, PreconditionFailed)
        return (
            Route(method="GET", path=PATH, handler=self.list_all, permission=read),
            Route(
                method="GET", path=one, handler=self.get, permission=read, errors=(NotFound,),
                shows_more=True,
            ),
            Route(
                method="PATCH", path=one, handler=self.change, permission=write, errors=changed,
                takes_if_match=True, shows_more=True,
            ),
            Route(
                method="PUT", path=f"{one}/stop", handler=self.stop, permission=write,
                errors=(NotFound,), shows_more=True,
            ),
            Route(
                method="DELETE", path=f"{one}/stop", handler=self.start, permission=write,
                errors=(NotFound,), shows_more=True,
            ),
            Route(
                method="POST", path=f"{one}/breaker-reset", handler=self.reset_breaker,
                permission=write, errors=(NotFound,),
            ),
            Route(
                method="GET", path=BUDGET, handler=self.budget, permission=read, shows_more=True
            ),
            Route(
                method="PATCH", path=BUDGET, handler=self.change_budget, permission=write,
                errors=(PreconditionFailed,), takes_if_match=True, shows_more=True,
            ),
        )  # fmt: skip

    async def list_all(self) -> list[ProviderView]:
        """Show every provider: limits and their use, money, breaker, errors, speed."""
        return await self._show(self._names())

    async def get(self, provider: str) -> ProviderView:
        """Show a provider: limits and their use, money, breaker, errors, speed."""
        self._require(provider)
        [view] = await self._show([provider])
        return view

    async def change(self, provider: str, body: ProviderChange, caller: Caller) -> ProviderView:
        """Change a provider's limits, caps or switch while all runs; nodes follow in a second."""
        self._require(provider)
        self._check(provider, body)

        async def do(uow: UnitOfWork) -> None:
            hand = OverrideAuthor(by_whom=caller.by, reason=body.reason, if_version=caller.if_match)
            await self._tune(uow, provider, lambda tuning: _changed(tuning, body), hand)
            if body.enabled is not UNSET:
                await self._switch(uow, provider, is_on=body.enabled is not False, why=body.reason)
            await uow.record(_entry("provider.changed", provider, _detail(body)))

        await run_once(self._node.services, caller, type(None), do)
        return await self._after(provider)

    async def stop(self, provider: str, body: Why, caller: Caller) -> ProviderView:
        """Ask a provider nothing any more, on all nodes."""
        self._require(provider)

        async def do(uow: UnitOfWork) -> None:
            await self._switch(uow, provider, is_on=False, why=body.reason)
            await uow.record(_entry("provider.stopped", provider, {"reason": body.reason}))

        await run_once(self._node.services, caller, type(None), do)
        return await self._after(provider)

    async def start(self, provider: str, caller: Caller) -> ProviderView:
        """Let a provider be asked again."""
        self._require(provider)

        async def do(uow: UnitOfWork) -> None:
            if await self._switch(uow, provider, is_on=True, why=""):
                await uow.record(_entry("provider.started", provider, {}))

        await run_once(self._node.services, caller, type(None), do)
        return await self._after(provider)

    async def reset_breaker(self, provider: str, caller: Caller) -> BreakerReset:
        """Close a provider's breaker on all nodes; it opens again if the failures go on."""
        self._require(provider)

        async def do(uow: UnitOfWork) -> BreakerReset:
            hand = OverrideAuthor(by_whom=caller.by, reason="breaker closed by hand")
            row = await self._tune(uow, provider, _with_breaker_closed, hand)
            await uow.record(_entry("provider.breaker_reset", provider, {}))
            return BreakerReset(provider=provider, resets=row.overrides.breaker_resets)

        answer = await run_once(self._node.services, caller, BreakerReset, do)
        await self._node.services.engine.switches.refresh()
        return answer

    async def budget(self) -> BudgetView:
        """Show the caps over all providers and what is used of them, and of each open run's."""
        services = self._node.services
        caps = {ALL: self._node.services.live_overrides.caps.all}
        used = await usage.read_caps(services.db, caps, services.clock.now())
        opened = await usage.sum_open(services.db)
        row = self._node.services.live_overrides.get(ALL)
        return BudgetView(
            version=row.version, currency=services.budget.currency, use=used[ALL],
            open=usage.join(opened.values()), runs=await self._run_money(),
            last_set=_last_set(row),
        )  # fmt: skip

    async def change_budget(self, body: BudgetChange, caller: Caller) -> BudgetView:
        """Change the caps over all providers while all runs; nodes follow in a second."""

        async def do(uow: UnitOfWork) -> None:
            hand = OverrideAuthor(by_whom=caller.by, reason=body.reason, if_version=caller.if_match)
            await self._tune(uow, ALL, lambda tuning: _with_caps(tuning, body), hand)
            entry = AuditEntry(action="budget.changed", subject_kind="budget", detail=_detail(body))
            await uow.record(entry)

        await run_once(self._node.services, caller, type(None), do)
        await self._node.services.engine.switches.refresh()
        return await self.budget()

    def _names(self) -> Sequence[str]:
        return sorted(self._node.services.provider_names)

    def _require(self, provider: str) -> None:
        if provider not in self._node.services.provider_names:
            raise unknown("provider", provider, self._names())

    def _check(self, provider: str, body: ProviderChange) -> None:
        if body.limits is UNSET or body.limits is None:
            return
        wanted = {name: None if given is None else _windows(given)
                  for name, given in body.limits.items()}  # fmt: skip
        problems = find_problems(
            self._node.services.gate.providers.configured(provider).limits, wanted
        )
        if problems:
            told = "; ".join(f"{one.path}: {one.problem}" for one in problems)
            raise Invalid(told, tuple(problems), code="engine.provider.limits")

    async def _tune(
        self, uow: UnitOfWork, name: str, change: "_Change", hand: OverrideAuthor
    ) -> OverrideRow:
        now = self._node.services.clock.now()
        after = await override_rows.change(uow.tx, name, change, hand, now)
        await switches.notify_nodes(uow.tx)
        return after

    async def _switch(self, uow: UnitOfWork, provider: str, *, is_on: bool, why: str) -> bool:
        if is_on:
            return await switches.switch_provider_on(uow.tx, provider)
        clock = self._node.services.clock
        await switches.switch_provider_off(uow.tx, clock, provider, uow.caller.by, why)
        return True

    async def _after(self, provider: str) -> ProviderView:
        await self._node.services.engine.switches.refresh()
        return await self.get(provider)

    async def _show(self, names: Sequence[str]) -> list[ProviderView]:
        db, now = self._node.services.db, self._node.services.clock.now()
        caps = {f"provider:{name}": self._caps(name) for name in names}
        known = _Known(
            used=await usage.read_caps(db, caps, now),
            opened=await usage.sum_open(db),
            calls=await usage.count_calls(db, now),
            failures=await usage.find_failures(db, names, LAST_ERRORS),
            limits=await self._limits(names, now),
        )
        return [self._view(name, known) for name in names]

    def _view(self, name: str, known: "_Known") -> ProviderView:
        services = self._node.services
        breaker, row = (
            services.gate.providers.breaker(name).snapshot(),
            services.live_overrides.get(name),
        )
        switch = services.engine.switches.states.get(switches.PROVIDER + name)
        is_off = services.engine.switches.is_off(name)
        off = SwitchedOff(by=switch.by_whom, reason=switch.reason) if switch and is_off else None
        return ProviderView(
            name=name, version=row.version, is_off=is_off, off=off,
            is_configured=name in services.adapters, is_breaker_open=breaker.is_open,
            breaker=breaker, limits=known.limits[name],
            budget=known.used[f"provider:{name}"], open=known.opened.get(name, OpenMoney()),
            calls_last_minute=known.calls.get(name, {}),
            latency=services.gate.providers.latency(name),
            last_errors=known.failures[name], last_set=_last_set(row),
        )  # fmt: skip

    async def _limits(self, names: Sequence[str], now: datetime) -> dict[str, tuple[LimitUse, ...]]:
        services = self._node.services
        allowances = await usage.find_allowances(services.db)
        told: dict[str, tuple[LimitUse, ...]] = {}
        for name in names:
            card, live = (
                services.gate.providers.configured(name),
                services.live_overrides.get(name).overrides.limits,
            )
            force = services.gate.providers.limits(name)
            told[name] = tuple([
                describe_limit(
                    limit,
                    LimitSources(
                        documented=card.documented.get(limit, ()), settings=windows,
                        live={one.seconds: one.calls for one in live.get(limit, ())},
                        force=force.get(limit, ()),
                    ),
                    allowances.get((name, card.api_key, limit)),
                    now,
                )
                for limit, windows in card.limits.items()
            ])  # fmt: skip
        return told

    def _caps(self, name: str) -> Caps:
        return self._node.services.live_overrides.caps.providers.get(name, Caps())

    async def _run_money(self) -> tuple[RunMoney, ...]:
        db = self._node.services.db
        opened = await runs.list_open(db, MOST_RUNS)
        found = await ledger.find_budgets(db, [f"run:{run.id}" for run in opened])
        used = {budget.scope: budget for budget in found}
        told = []
        for run in opened:
            budget = used.get(f"run:{run.id}")
            use = CapUse(
                cap_micros=run.cap_micros,
                spent_micros=0 if budget is None else budget.spent_micros,
                reserved_micros=0 if budget is None else budget.reserved_micros,
            )
            told.append(RunMoney(run_id=run.id, title=run.title, use=use))
        return tuple(told)


class _Known(msgspec.Struct, frozen=True, kw_only=True):
    """What was read of all providers at once."""

    used: dict[str, CapsUse]
    opened: dict[str, OpenMoney]
    calls: dict[str, dict[str, int]]
    failures: dict[str, tuple[Failure, ...]]
    limits: dict[str, tuple[LimitUse, ...]]


_Change = Callable[[Overrides], Overrides]


def _changed(tuning: Overrides, body: ProviderChange) -> Overrides:
    if body.limits is None:
        tuning = msgspec.structs.replace(tuning, limits={})
    elif body.limits is not UNSET:
        wanted = {**tuning.limits}
        for name, given in body.limits.items():
            if given:
                wanted[name] = _windows(given)
            else:
                wanted.pop(name, None)
        tuning = msgspec.structs.replace(tuning, limits=wanted)
    return _with_caps(tuning, body)


def _with_breaker_closed(tuning: Overrides) -> Overrides:
    return msgspec.structs.replace(tuning, breaker_resets=tuning.breaker_resets + 1)


def _with_caps(tuning: Overrides, body: ProviderChange | BudgetChange) -> Overrides:
    day, month = body.day_cap_micros, body.month_cap_micros
    return msgspec.structs.replace(
        tuning,
        day_cap_micros=tuning.day_cap_micros if day is UNSET else day,
        month_cap_micros=tuning.month_cap_micros if month is UNSET else month,
    )


def _windows(given: Sequence[Live]) -> tuple[WindowOverride, ...]:
    return tuple([WindowOverride(one.calls, one.seconds) for one in given])


def _detail(body: ProviderChange | BudgetChange) -> Mapping[str, object]:
    told: Mapping[str, object] = msgspec.to_builtins(body)
    return told


def _entry(action: str, provider: str, detail: Mapping[str, object]) -> AuditEntry:
    return AuditEntry(action=action, subject_kind="provider", subject_id=provider, detail=detail)


def _last_set(row: OverrideRow) -> LastSet:
    return LastSet(by=row.by_whom, reason=row.reason, at=row.changed_at if row.version else None)
