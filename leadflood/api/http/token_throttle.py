"""Throttle of wrong `http.token`s by address: guessing is slowed down, a holder never locked out.

Only for that one token, which a person chose; access tokens and API keys cannot be guessed.
"""

from collections import deque

from leadflood.engine.clock import REAL_TIME
from leadflood.engine.errors import Throttled

MOST_WRONG = 300
WITHIN_SECONDS = 60.0
MOST_ADDRESSES = 10_000


class TokenThrottle:
    """Counts wrong tokens by address; addresses long not seen are dropped first."""

    def __init__(self) -> None:
        self._wrong: dict[str, deque[float]] = {}

    def record_wrong(self, address: str) -> None:
        """Count a wrong token. Raises: Throttled when there were too many."""
        now = REAL_TIME.monotonic()
        times = self._wrong.pop(address, None) or deque()
        while times and times[0] <= now - WITHIN_SECONDS:
            times.popleft()
        self._wrong[address] = times
        if len(self._wrong) > MOST_ADDRESSES:
            del self._wrong[next(iter(self._wrong))]
        if len(times) >= MOST_WRONG:
            raise Throttled(
                f"{MOST_WRONG} wrong tokens came from this address within a minute",
                times[0] + WITHIN_SECONDS - now,
                code="http.token.throttled",
            )
        times.append(now)
