"""Live overrides: put what operators set by hand in force, and wake the jobs that waited for it."""

import msgspec

from leadflood.engine.ledger.caps import Caps, Settings as LedgerSettings
from leadflood.engine.ledger.override_rows import ALL, OverrideFollower, OverrideRow
from leadflood.engine.ledger.repository import PostgresLedger
from leadflood.engine.net.gateway import ProviderGateway
from leadflood.engine.net.overrides import loosens
from leadflood.engine.queue import switches
from leadflood.engine.runtime import Engine

WAITING_FOR_IT = ("budget.unfunded", "net.limit", "net.breaker_open")
"""Why a job is put off that may go on when a cap, a limit or a breaker gives way."""
MOST_AT_ONCE = 5_000


class LiveOverrides:
    """Follows the rows of `tuning` for one life of a node. `base`: the caps of the settings."""

    def __init__(
        self, engine: Engine, gate: ProviderGateway, ledger: PostgresLedger, base: LedgerSettings
    ) -> None:
        self._engine = engine
        self._gate = gate
        self._ledger = ledger
        self._rows = OverrideFollower(engine.parts.db)
        self._has_refreshed = False
        self._has_eased = False
        self.base = base
        self.caps = base

    def get(self, name: str) -> OverrideRow:
        """Return what is set for a provider, or (`ALL`) for all of them."""
        return self._rows.get(name)

    async def refresh(self) -> None:
        """Read the rows, put those that changed in force, wake what waited."""
        for before, after in await self._rows.poll():
            if after.name != ALL:
                self._gate.providers.apply_overrides(after.name, after.overrides)
            if after.overrides.breaker_resets > before.overrides.breaker_resets:
                self._gate.providers.breaker(after.name).reset()
            self._set_cap(after)
            self._has_eased |= self._has_refreshed and loosens(before.overrides, after.overrides)
        self._has_refreshed = True
        if self._has_eased:
            await self._release_postponed()

    def _set_cap(self, row: OverrideRow) -> None:
        if row.name == ALL:
            joined = _join(self.base.all, row)
            self.caps = msgspec.structs.replace(self.caps, all=joined)
        else:
            joined = _join(self.base.providers.get(row.name, Caps()), row)
            providers = {**self.caps.providers, row.name: joined}
            self.caps = msgspec.structs.replace(self.caps, providers=providers)
        self._ledger.set_caps(self.caps)

    async def _release_postponed(self) -> None:
        """Queue postponed jobs, a part at each refresh: there may be a million of them."""
        engine = self._engine
        for line in engine.runners.values():
            line.pool.quiet_until = 0.0
        stages = await switches.release_postponed(
            engine.parts.db, WAITING_FOR_IT, engine.parts.clock.now(), MOST_AT_ONCE
        )
        self._has_eased = len(stages) == MOST_AT_ONCE
        for stage in set(stages):
            engine.wakeups.wake(stage)


def _join(base: Caps, row: OverrideRow) -> Caps:
    """Take the caps set by hand; where none is, those of the settings."""
    day, month = row.overrides.day_cap_micros, row.overrides.month_cap_micros
    return Caps(
        base.day_micros if day is None else day, base.month_micros if month is None else month
    )
