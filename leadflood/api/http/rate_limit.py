"""Rate limiting: how often one may ask, counted in this process, by caller and by address.

GCRA: for each class and each subject, the one number kept is when the next request would be on time
if nobody were ever early; `burst` is how many may be early. Counting is per process on purpose:
a shared count would cost each request a round trip. With several processes each allows its share.
"""

from collections.abc import Iterable
from enum import StrEnum
from math import ceil

import msgspec

from leadflood.api.http.client_address import bucket_of
from leadflood.domain.auth.schemas.principals import Principal, PrincipalKind
from leadflood.engine.clock import REAL_TIME, Clock
from leadflood.engine.errors import Throttled

MOST_KNOWN = 50_000
CODE = "http.rate.exceeded"
MINUTE = 60.0


class Rate(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How often: on average so many a minute, so many at once. 0 a minute: not limited."""

    per_minute: float = 0.0
    burst: int = 1


class RateClass(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The limit of one user or key, and of all who ask from one address."""

    caller: Rate = Rate()
    address: Rate = Rate()


class Settings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How often one may ask, by the class of the route.

    `normal` is most routes; `auth` proves who one is; `heavy` are exports, imports and previews;
    `public` are the open pages; `watch` is what machines ask again and again (/ready, /metrics) and
    the pages that explain the API. `limits_operator`: also who holds `http.token`.
    """

    normal: RateClass = RateClass(Rate(3_000.0, 600), Rate(12_000.0, 2_400))
    auth: RateClass = RateClass(Rate(60.0, 20), Rate(60.0, 30))
    heavy: RateClass = RateClass(Rate(60.0, 20), Rate(240.0, 60))
    public: RateClass = RateClass(Rate(0.0), Rate(120.0, 60))
    watch: RateClass = RateClass(Rate(240.0, 60), Rate(600.0, 120))
    limits_operator: bool = False


class AddressUse(StrEnum):
    """What the requests of an address are counted apart by, so that none shuts out another."""

    OPEN = "open"
    REFUSED = "refused"
    IN_FORCE = "in force"


class RateQuota(msgspec.Struct, frozen=True):
    """Requests left to a caller after this one; `reset_seconds`: until all of the burst is back."""

    limit: int
    remaining: int
    reset_seconds: float
    window_seconds: float
    wait_seconds: float = 0.0

    def headers(self) -> dict[str, str]:
        """Return it as draft-ietf-httpapi-ratelimit-headers has it."""
        return {
            "RateLimit-Limit": str(self.limit),
            "RateLimit-Remaining": str(self.remaining),
            "RateLimit-Reset": str(ceil(self.reset_seconds)),
            "RateLimit-Policy": f"{self.limit};w={max(1, ceil(self.window_seconds))}",
        }


class Meter:
    """Counts the requests of one kind of subject in one class; the longest idle goes first."""

    def __init__(self, rate: Rate, clock: Clock = REAL_TIME) -> None:
        self._clock = clock
        self._burst = max(1, rate.burst)
        self._every_seconds = MINUTE / rate.per_minute if rate.per_minute > 0 else 0.0
        self._on_time_at: dict[str, float] = {}

    def __len__(self) -> int:
        return len(self._on_time_at)

    def count(self, key: str) -> RateQuota | None:
        """Count a request, unless it is one too many; None: not limited."""
        every = self._every_seconds
        if not every:
            return None
        now = self._clock.monotonic()
        on_time_at = max(self._on_time_at.pop(key, now), now)
        window = every * self._burst
        wait = on_time_at + every - window - now
        if wait > 0:
            self._keep(key, on_time_at)
            return RateQuota(self._burst, 0, on_time_at - now, window, wait)
        on_time_at += every
        self._keep(key, on_time_at)
        ahead = on_time_at - now
        remaining = int((window - ahead) / every + 1e-9)
        return RateQuota(self._burst, remaining, ahead, window)

    def _keep(self, key: str, on_time_at: float) -> None:
        self._on_time_at[key] = on_time_at
        if len(self._on_time_at) > MOST_KNOWN:
            del self._on_time_at[next(iter(self._on_time_at))]


class RateLimiter:
    """Counts requests and refuses those that come too soon."""

    def __init__(self, settings: Settings, clock: Clock = REAL_TIME) -> None:
        self._limits_operator = settings.limits_operator
        classes = {
            "normal": settings.normal,
            "auth": settings.auth,
            "heavy": settings.heavy,
            "public": settings.public,
            "watch": settings.watch,
        }
        self._callers = {name: Meter(limit.caller, clock) for name, limit in classes.items()}
        self._addresses = {name: Meter(limit.address, clock) for name, limit in classes.items()}

    def count_address(
        self, name: str, address: str, use: AddressUse = AddressUse.OPEN
    ) -> RateQuota | None:
        """Count a request of an address, apart by its use. Raises: Throttled."""
        meter = self._addresses.get(name)
        if meter is None:
            return None
        return _checked(meter.count(f"{use} {bucket_of(address)}"), "this address")

    def count_caller(self, name: str, principal: Principal) -> RateQuota | None:
        """Count a request of a user or a key. Raises: Throttled."""
        meter = self._callers.get(name)
        if meter is None or self.is_free(principal):
            return None
        return _checked(meter.count(principal.by), "you")

    def is_free(self, principal: Principal) -> bool:
        """Whether a caller is not limited: the operator, unless the settings say otherwise."""
        return principal.kind is PrincipalKind.OPERATOR and not self._limits_operator


class RateLimited(Throttled):
    """One request too many; carries what is left to its sender."""

    code = CODE

    def __init__(self, detail: str, quota: RateQuota) -> None:
        super().__init__(detail, quota.wait_seconds)
        self.quota = quota


def _checked(quota: RateQuota | None, subject: str) -> RateQuota | None:
    if quota is not None and quota.wait_seconds:
        raise RateLimited(
            f"{subject} asked too often: {quota.limit} requests at once, then one every"
            f" {quota.window_seconds / quota.limit:.3g} s",
            quota,
        )
    return quota


def tightest(quotas: Iterable[RateQuota | None]) -> RateQuota | None:
    """Return the limit that leaves least; None: there is none."""
    limits = [quota for quota in quotas if quota is not None]
    return min(limits, key=lambda quota: quota.remaining, default=None)
