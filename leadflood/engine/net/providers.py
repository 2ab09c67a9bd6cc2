"""The gateway's state of each provider: its limits in force, its breaker, its latency."""

from collections.abc import Mapping

import msgspec

from leadflood.engine.clock import SystemClock
from leadflood.engine.net.breaker import Breaker, Settings as BreakerSettings
from leadflood.engine.net.calls import Call, Window
from leadflood.engine.net.latency import Latency, LatencyRecorder
from leadflood.engine.net.limiter import Lane, LaneKey, Limiter
from leadflood.engine.net.overrides import Overrides, apply_overrides


class Provider(msgspec.Struct, frozen=True):
    """A provider as it was configured at the start.

    `limits` are its windows by name, as SPEC and settings say.
    `api_key` is its key's fingerprint, as limits belong to a key; never the key itself.
    `documented` are the windows that its documentation names.
    """

    limits: dict[str, tuple[Window, ...]] = {}
    api_key: str = ""
    documented: dict[str, tuple[Window, ...]] = {}


UNKNOWN = Provider()
"""A provider that nobody configured has no limits."""


class Providers:
    """The state of all providers in this process."""

    def __init__(
        self, configured: Mapping[str, Provider], limiter: Limiter, breaker: BreakerSettings
    ) -> None:
        self._configured = configured
        self._limiter = limiter
        self._breaker_settings = breaker
        self._limits = {name: provider.limits for name, provider in configured.items()}
        self._breakers: dict[str, Breaker] = {}
        self._latencies: dict[str, LatencyRecorder] = {}

    def configured(self, name: str) -> Provider:
        """Return a provider as it was configured at the start."""
        return self._configured.get(name, UNKNOWN)

    def limits(self, name: str) -> dict[str, tuple[Window, ...]]:
        """Return the limits in force now."""
        return self._limits.get(name, {})

    def apply_overrides(self, name: str, overrides: Overrides) -> None:
        """Put limits that were set by hand in force, from the next lease on."""
        limits = apply_overrides(self.configured(name).limits, overrides)
        self._limits[name] = limits
        self._limiter.apply_limits(name, limits)

    def breaker(self, name: str) -> Breaker:
        """Return a provider's breaker.

        It runs on real time: a line that is down does not mend faster on a clock that jumps.
        """
        breaker = self._breakers.get(name)
        if breaker is None:
            breaker = Breaker(name, SystemClock(), self._breaker_settings)
            self._breakers[name] = breaker
        return breaker

    def latency(self, name: str) -> Latency:
        """Return how fast a provider answered this process lately."""
        return self.latency_recorder(name).snapshot()

    def latency_recorder(self, name: str) -> LatencyRecorder:
        """Return what measures a provider's calls."""
        return self._latencies.setdefault(name, LatencyRecorder())

    def lane(self, call: Call) -> Lane:
        """Return the lane of the allowance that a call counts against."""
        key = LaneKey(call.provider, self.configured(call.provider).api_key, call.limit)
        return self._limiter.lane(key, self.limits(call.provider).get(call.limit, ()))
