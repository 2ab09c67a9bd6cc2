"""Hidden leads: how often somebody may be told that a person is a lead that they do not see.

A person is one lead, so whoever brings in a known one has to be refused. Who sees only their own
leads would learn from refusals who is a lead: they get few of them.
"""

from collections import deque
from datetime import datetime, timedelta

from leadflood.domain.auth.schemas.principals import Visibility
from leadflood.engine.clock import Clock
from leadflood.engine.errors import Throttled

MOST_A_DAY = 20
DAY = timedelta(days=1)


class HiddenLeadLimit:
    """Counts refusals that tell of a hidden lead, by user, in this process."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._refused_at: dict[str, deque[datetime]] = {}

    def require(self, visibility: Visibility) -> None:
        """Refuse who has been told too often within a day. Raises: Throttled."""
        times = self._refused_at.get(visibility.owner or "", deque())
        now = self._clock.now()
        while times and times[0] <= now - DAY:
            times.popleft()
        if len(times) >= MOST_A_DAY:
            raise Throttled(
                f"{MOST_A_DAY} people that you named within a day are leads of somebody else: ask a"
                " manager who is a lead already",
                (times[0] + DAY - now).total_seconds(),
                code="leads.hidden.too_many",
            )

    def record(self, visibility: Visibility) -> None:
        """Count a refusal that told of a hidden lead."""
        if visibility.owner is not None:
            self._refused_at.setdefault(visibility.owner, deque()).append(self._clock.now())
