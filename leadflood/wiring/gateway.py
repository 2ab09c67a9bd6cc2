"""The gateway to the providers: the ledger, the limiter and the providers' limits behind it."""

import hashlib

from leadflood.engine.ledger.caps import Caps, Settings as LedgerSettings
from leadflood.engine.ledger.rate_limits import PostgresAllowance
from leadflood.engine.ledger.repository import PostgresLedger
from leadflood.engine.live_overrides import LiveOverrides
from leadflood.engine.net.gateway import GatewayParts, ProviderGateway
from leadflood.engine.net.limiter import Limiter
from leadflood.engine.net.providers import Provider as GatewayProvider
from leadflood.engine.queue.parts import CrashPoint
from leadflood.engine.runtime import Engine
from leadflood.providers import catalog
from leadflood.settings import Settings
from leadflood.wiring.storage import Storage


def build_gateway(
    storage: Storage, engine: Engine, crash_point: CrashPoint | None
) -> tuple[ProviderGateway, LiveOverrides]:
    """Build the gateway of an engine, and what operators change of it while it runs."""
    settings = storage.settings
    caps = LedgerSettings(
        Caps(settings.budget.day_micros, settings.budget.month_micros),
        settings.caps(),
        settings.budget.user_day_micros,
    )
    ledger = PostgresLedger(caps)
    gateway = ProviderGateway(_parts(storage, engine, ledger, crash_point), settings.gate)
    live_overrides = LiveOverrides(engine, gateway, ledger, caps)
    engine.switches.follow(live_overrides.refresh)
    return gateway, live_overrides


def _parts(
    storage: Storage, engine: Engine, ledger: PostgresLedger, crash_point: CrashPoint | None
) -> GatewayParts:
    allowance = PostgresAllowance(storage.db, storage.clock)
    return GatewayParts(
        db=storage.db,
        ledger=ledger,
        limiter=Limiter(allowance, storage.clock, storage.settings.gate.limiter),
        clock=storage.clock,
        ids=storage.ids,
        node_id=lambda: engine.node.id,
        providers=_providers(storage.settings),
        is_allowed=lambda name: not engine.switches.is_off(name),
        find_obstacle=engine.find_obstacle,
        crash_point=crash_point,
    )


def _providers(settings: Settings) -> dict[str, GatewayProvider]:
    return {
        name: GatewayProvider(
            limits={**entry.spec.limits, **settings.providers[name].limits},
            api_key=_fingerprint(settings.providers[name].api_key),
            documented=entry.spec.limits,
        )
        for name, entry in catalog.CATALOG.items()
    }


def _fingerprint(key: str) -> str:
    return hashlib.sha256(key.encode()).hexdigest()[:16] if key else ""
