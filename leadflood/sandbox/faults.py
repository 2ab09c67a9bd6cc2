"""Fault injection: a closed list of faults, and which request meets which.

The faulty requests depend on the seed, the provider and how many requests it has had, so the
same order of requests meets the same faults.
"""

from collections.abc import Mapping
from enum import StrEnum
from hashlib import blake2b
from typing import Final

import msgspec


class Fault(StrEnum):
    """Every fault that can be injected."""

    THROTTLED = "throttled"
    """429 with Retry-After (Hunter: its 403; mail: 450)."""
    THROTTLED_BARE = "throttled_bare"
    """429 without Retry-After or any rate header."""
    SERVER_ERROR = "server_error"
    """5xx before any work was done."""
    TIMEOUT = "timeout"
    """Never answers; half of the time after the work was done and billed."""
    CUT = "cut"
    """Closes the socket: before reading, or in the middle of the answer, work done and billed."""
    GARBAGE = "garbage"
    """Work done and billed, but the answer's body cannot be read."""
    ACTED_5XX = "acted_5xx"
    """Work done and billed, but what answers is not the one who did it: an `Aftermath`."""
    HUGE = "huge"
    """Work done and billed, and 100 MB of answer."""
    SLOW = "slow"
    """Answers late."""
    DUPLICATE = "duplicate"
    """A page lists one record twice."""
    CONTRADICTING = "contradicting"
    """Reports another job than this provider did before."""


class Aftermath(StrEnum):
    """What comes back of work that was done and billed (`acted_5xx`)."""

    ERROR = "error"
    """500 in the provider's own words."""
    BAD_GATEWAY = "bad_gateway"
    """502 with a gateway's page."""
    GATEWAY_TIMEOUT = "gateway_timeout"
    """504 with a gateway's page."""
    CUT = "cut"
    """The socket is closed in the middle of the answer."""
    TIMEOUT = "timeout"
    """Nothing, ever."""
    GARBAGE = "garbage"
    """200 with a body that cannot be read."""
    PAGE = "page"
    """200 with a page for people."""


class FaultProfile(StrEnum):
    """How many faults there are."""

    NONE = "none"
    SLOW = "slow"
    FLAKY = "flaky"
    HOSTILE = "hostile"


_SLOW: Final = {Fault.SLOW: 0.05, Fault.TIMEOUT: 0.005}
_FLAKY: Final = {
    Fault.THROTTLED: 0.03,
    Fault.THROTTLED_BARE: 0.02,
    Fault.SERVER_ERROR: 0.03,
    Fault.CUT: 0.02,
    Fault.ACTED_5XX: 0.02,
}
_HOSTILE_ONLY: Final = {
    Fault.GARBAGE: 0.01,
    Fault.HUGE: 0.001,
    Fault.DUPLICATE: 0.02,
    Fault.CONTRADICTING: 0.02,
}

RATES: Final[Mapping[FaultProfile, Mapping[Fault, float]]] = {
    FaultProfile.NONE: {},
    FaultProfile.SLOW: _SLOW,
    FaultProfile.FLAKY: _FLAKY,
    FaultProfile.HOSTILE: {**_SLOW, **_FLAKY, **_HOSTILE_ONLY},
}


_AFTERMATHS: Final = tuple(Aftermath)
_LATE_FAULTS: Final = {
    Aftermath.CUT: Fault.CUT,
    Aftermath.TIMEOUT: Fault.TIMEOUT,
    Aftermath.GARBAGE: Fault.GARBAGE,
}


class Injection(msgspec.Struct, frozen=True):
    """A fault injected into one request; `is_early`: before the work rather than after it.

    `aftermath` is what comes back where the fault is `acted_5xx`.
    """

    fault: Fault
    is_early: bool
    aftermath: Aftermath

    @property
    def late_fault(self) -> Fault:
        """The fault that shows once the work is done; `acted_5xx` where a page is shown."""
        if self.fault is not Fault.ACTED_5XX:
            return self.fault
        return _LATE_FAULTS.get(self.aftermath, self.fault)


class FaultInjector(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The faults in force, as the admin endpoint takes them; `rates` replace those of the profile.

    Empty `providers` means every provider.
    """

    profile: FaultProfile = FaultProfile.NONE
    rates: dict[Fault, float] | None = None
    providers: tuple[str, ...] = ()

    def pick_fault(self, seed: int, provider: str, number: int) -> Injection | None:
        """Return the fault of a provider's n-th request, if any."""
        rates = RATES[self.profile] if self.rates is None else self.rates
        if not rates or (self.providers and provider not in self.providers):
            return None
        digest = blake2b(f"{seed}:fault:{provider}:{number}".encode(), digest_size=8).digest()
        throw = int.from_bytes(digest[:6], "big") / (1 << 48)
        for fault, rate in rates.items():
            if throw < rate:
                aftermath = _AFTERMATHS[digest[6] % len(_AFTERMATHS)]
                return Injection(fault, is_early=digest[7] % 2 == 0, aftermath=aftermath)
            throw -= rate
        return None
