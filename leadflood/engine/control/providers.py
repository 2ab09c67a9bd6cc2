"""Control of providers: limits, money, breaker, errors; changed while all runs."""

from collections.abc import Callable, Collection, Sequence
from datetime import datetime

import msgspec
from msgspec import UNSET

from leadflood.engine.control.names import unknown_name
from leadflood.engine.control.overrides import (
    to_windows,
    with_breaker_closed,
    with_caps,
    with_limits,
)
from leadflood.engine.control.schemas import LastSet, ProviderChange, ProviderView, SwitchedOff
from leadflood.engine.db.tx import Tx
from leadflood.engine.errors import Invalid
from leadflood.engine.ledger import override_rows, usage
from leadflood.engine.ledger.caps import Caps
from leadflood.engine.ledger.override_rows import OverrideAuthor, OverrideRow
from leadflood.engine.ledger.usage import (
    CapsUse,
    FailedCall,
    LimitSources,
    LimitUse,
    OpenMoney,
    describe_limit,
)
from leadflood.engine.live_overrides import LiveOverrides
from leadflood.engine.net.gateway import ProviderGateway
from leadflood.engine.net.overrides import Overrides, find_problems
from leadflood.engine.queue import switches
from leadflood.engine.runtime import Engine

MAX_FAILURES = 10


class _Usage(msgspec.Struct, frozen=True, kw_only=True):
    """The rows of several providers, read at once."""

    caps: dict[str, CapsUse]
    open: dict[str, OpenMoney]
    calls: dict[str, dict[str, int]]
    failures: dict[str, tuple[FailedCall, ...]]
    limits: dict[str, tuple[LimitUse, ...]]


class ProviderControl:
    """Shows and changes providers. `names`: all there are; `configured`: those that can work."""

    def __init__(
        self,
        engine: Engine,
        gateway: ProviderGateway,
        live_overrides: LiveOverrides,
        names: Sequence[str],
        configured: Collection[str],
    ) -> None:
        self._engine = engine
        self._db = engine.parts.db
        self._clock = engine.parts.clock
        self._providers = gateway.providers
        self._live_overrides = live_overrides
        self._names = sorted(names)
        self._configured = configured

    async def list_all(self) -> list[ProviderView]:
        """Return every provider: limits and their use, money, breaker, errors, speed."""
        return await self._show(self._names)

    async def get(self, name: str) -> ProviderView:
        """Return a provider: limits and their use, money, breaker, errors. Raises: NotFound."""
        self._require(name)
        [view] = await self._show([name])
        return view

    async def get_refreshed(self, name: str) -> ProviderView:
        """Put committed changes in force on this node; return a provider after that."""
        await self._engine.switches.refresh()
        return await self.get(name)

    async def change(
        self, tx: Tx, name: str, change: ProviderChange, author: OverrideAuthor
    ) -> None:
        """Change limits, caps or the switch of a provider; nodes follow in a second.

        Raises: NotFound, Invalid (limits), PreconditionFailed.
        """
        self._require(name)
        self._check_limits(name, change)

        def apply(overrides: Overrides) -> Overrides:
            return with_caps(with_limits(overrides, change.limits), change)

        await self._override(tx, name, apply, author)
        if change.enabled is False:
            await self.switch_off(tx, name, author.by_whom, change.reason)
        elif change.enabled is not UNSET:
            await self.switch_on(tx, name)

    async def switch_off(self, tx: Tx, name: str, by_whom: str, reason: str) -> None:
        """Ask a provider nothing any more, on all nodes. Raises: NotFound."""
        self._require(name)
        await switches.switch_provider_off(tx, self._clock, name, by_whom, reason)

    async def switch_on(self, tx: Tx, name: str) -> bool:
        """Enable a provider again; False: it was not switched off. Raises: NotFound."""
        self._require(name)
        return await switches.switch_provider_on(tx, name)

    async def reset_breaker(self, tx: Tx, name: str, author: OverrideAuthor) -> int:
        """Close a provider's breaker on all nodes; return how often that was done.

        Raises: NotFound.
        """
        self._require(name)
        row = await self._override(tx, name, with_breaker_closed, author)
        return row.overrides.breaker_resets

    def _require(self, name: str) -> None:
        if name not in self._names:
            raise unknown_name("provider", name, self._names)

    def _check_limits(self, name: str, change: ProviderChange) -> None:
        if change.limits is UNSET or change.limits is None:
            return
        requested = {
            limit: None if windows is None else to_windows(windows)
            for limit, windows in change.limits.items()
        }
        problems = find_problems(self._providers.configured(name).limits, requested)
        if problems:
            text = "; ".join(f"{problem.path}: {problem.problem}" for problem in problems)
            raise Invalid(text, tuple(problems), code="engine.provider.limits")

    async def _override(
        self, tx: Tx, name: str, apply: Callable[[Overrides], Overrides], author: OverrideAuthor
    ) -> OverrideRow:
        row = await override_rows.change(tx, name, apply, author, self._clock.now())
        await switches.notify_nodes(tx)
        return row

    async def _show(self, names: Sequence[str]) -> list[ProviderView]:
        db, now = self._db, self._clock.now()
        caps = {f"provider:{name}": self._caps_of(name) for name in names}
        read = _Usage(
            caps=await usage.read_caps(db, caps, now),
            open=await usage.sum_open(db),
            calls=await usage.count_calls(db, now),
            failures=await usage.find_failures(db, names, MAX_FAILURES),
            limits=await self._read_limits(names, now),
        )
        return [self._show_provider(name, read) for name in names]

    def _show_provider(self, name: str, read: _Usage) -> ProviderView:
        breaker = self._providers.breaker(name).snapshot()
        row = self._live_overrides.get(name)
        off = self._show_switch(name)
        return ProviderView(
            name=name,
            version=row.version,
            is_configured=name in self._configured,
            is_off=off is not None,
            off=off,
            is_breaker_open=breaker.is_open,
            breaker=breaker,
            limits=read.limits[name],
            budget=read.caps[f"provider:{name}"],
            open=read.open.get(name, OpenMoney()),
            calls_last_minute=read.calls.get(name, {}),
            latency=self._providers.latency(name),
            last_errors=read.failures[name],
            last_set=show_author(row),
        )

    def _show_switch(self, name: str) -> SwitchedOff | None:
        if not self._engine.switches.is_off(name):
            return None
        switch = self._engine.switches.states[switches.PROVIDER + name]
        return SwitchedOff(by=switch.by_whom, reason=switch.reason)

    async def _read_limits(
        self, names: Sequence[str], now: datetime
    ) -> dict[str, tuple[LimitUse, ...]]:
        allowances = await usage.find_allowances(self._db)
        return {
            name: tuple(
                [
                    describe_limit(
                        limit,
                        self._sources_of(name, limit),
                        allowances.get((name, self._providers.configured(name).api_key, limit)),
                        now,
                    )
                    for limit in self._providers.configured(name).limits
                ]
            )
            for name in names
        }

    def _sources_of(self, name: str, limit: str) -> LimitSources:
        """Return what each source says of a limit."""
        provider = self._providers.configured(name)
        live = self._live_overrides.get(name).overrides.limits.get(limit, ())
        return LimitSources(
            documented=provider.documented.get(limit, ()),
            settings=provider.limits[limit],
            live={window.seconds: window.calls for window in live},
            force=self._providers.limits(name).get(limit, ()),
        )

    def _caps_of(self, name: str) -> Caps:
        return self._live_overrides.caps.providers.get(name, Caps())


def show_author(row: OverrideRow) -> LastSet:
    """Return who set something by hand last."""
    return LastSet(by=row.by_whom, reason=row.reason, at=row.changed_at if row.version else None)
