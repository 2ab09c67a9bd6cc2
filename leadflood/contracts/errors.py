"""The error tree continued: what outside services answer, in our words.

Throttled  ├── ProviderThrottled   the service says wait
Unfunded   ├── ProviderUnfunded    the service says the credits are gone (402)
Transient  ├── ProviderDown        unreachable, cut, or 5xx on a harmless call
Permanent  ├── ProviderRefused     it will not do this, now or later
           │   ├── Unsupported     it cannot do this at all
           │   ├── PersonOptedOut  the person asked the service to be left alone
           │   └── ProviderKeyRefused   our key is wrong or out of scope; the text names the setting
           └── ProviderChanged     the answer no longer fits its struct
"""

from leadflood.engine.errors import Permanent, Throttled, Transient, Unfunded
from leadflood.engine.net.calls import LimitHint


class ProviderThrottled(Throttled):
    """The service says wait: no attempt is spent, the next provider of the port may be asked.

    `hints` are what its headers said of the windows, for the limiter.
    """

    code = "provider.throttled"

    def __init__(
        self, detail: str, retry_after_seconds: float, hints: tuple[LimitHint, ...] = ()
    ) -> None:
        super().__init__(detail, retry_after_seconds)
        self.hints = hints


class ProviderUnfunded(Unfunded):
    """The service says the credits are gone: wait for the renewal or ask the next provider."""

    code = "provider.unfunded"


class ProviderDown(Transient):
    """Unreachable, cut, timed out or 5xx, on a call that may be repeated without harm."""

    code = "provider.down"


class ProviderRefused(Permanent):
    """The service refuses this request for good."""

    code = "provider.refused"


class Unsupported(ProviderRefused):
    """The service cannot do this at all: a first-class answer, not a failure."""

    code = "provider.unsupported"


class PersonOptedOut(ProviderRefused):
    """The person asked the service to be left alone: nobody else is asked, they are suppressed."""

    code = "provider.person_opted_out"


class ProviderKeyRefused(ProviderRefused):
    """Our key is wrong, expired or out of scope; the text names the setting to mend."""

    code = "provider.key_refused"


class ProviderChanged(Permanent):
    """The answer no longer fits its struct: retried once, then the breaker opens."""

    code = "provider.changed"
    may_have_acted = True
    retries = 1
