"""How long to wait before the next try."""

import random

from leadflood.engine.queue.stage import Policy


class Backoff:
    """Exponential backoff with full jitter.

    Source: AWS Architecture Blog, "Exponential Backoff And Jitter" (2015).
    """

    def __init__(self, policy: Policy, rng: random.Random) -> None:
        self._policy = policy
        self._rng = rng

    def seconds(self, attempts: int) -> float:
        """Draw a wait from 0 to base·2^attempts, never past the cap."""
        policy = self._policy
        ceiling = min(
            policy.backoff_cap_seconds, policy.backoff_base_seconds * 2.0 ** min(attempts, 30)
        )
        return self._rng.uniform(0.0, ceiling)
