"""ICP previews: what an ICP would make of the leads there are, without writing anything."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

import anyio
from anyio import to_thread

from leadflood.domain.auth.schemas.principals import Visibility
from leadflood.domain.features.service import FeatureService
from leadflood.domain.icp.schemas import Bands, QualificationRule, Target
from leadflood.domain.lead_views.schemas import IcpPreview
from leadflood.domain.scoring.service import PREVIEW_SECONDS, ScoringService
from leadflood.engine.clock import Clock

MAX_AT_ONCE = 2
"""Previews computed at the same time in a process; the others wait for their turn.

Of one user it is one: whoever asks waits for at most one of each of the others.
"""
WAITING_FOR_HALF = 4
"""So many waiting ones halve the time of each."""


class IcpPreviews:
    """Scores the newest leads by an ICP, saved or not, as the pipeline would."""

    def __init__(self, scores: ScoringService, clock: Clock) -> None:
        self._scores = scores
        self._clock = clock
        self._features = FeatureService()
        self._limiter: anyio.CapacityLimiter | None = None
        self._locks: dict[str, anyio.Lock] = {}

    async def preview(
        self,
        rules: Sequence[QualificationRule],
        bands: Bands,
        target: Target,
        user: str,
        visibility: Visibility,
        sample_size: int,
    ) -> IcpPreview:
        """Return what these rules make of the leads that may be seen.

        Waits: for the previews before it, the database, and a thread that computes.
        """
        if self._limiter is None:
            self._limiter = anyio.CapacityLimiter(MAX_AT_ONCE)
        async with self._turn_of(user) as turn, self._limiter:
            vectors_of = await to_thread.run_sync(self._features.vectors_for, target)
            of_user = turn.statistics().tasks_waiting
            waiting_count = self._limiter.statistics().tasks_waiting + of_user
            total = await self._scores.count_leads(visibility)
            tally = await self._scores.preview(
                rules,
                bands,
                vectors_of,
                self._clock,
                visibility=visibility,
                sample_size=sample_size,
                seconds=share_of_time(waiting_count),
            )
        return IcpPreview(tally, total)

    @asynccontextmanager
    async def _turn_of(self, user: str) -> AsyncIterator[anyio.Lock]:
        """Wait until no other preview of this user is computed; give what the next ones wait on."""
        lock = self._locks.setdefault(user, anyio.Lock())
        try:
            async with lock:
                yield lock
        finally:
            if not lock.locked():  # else it has gone to the next one that waits
                self._locks.pop(user, None)


def share_of_time(waiting_count: int) -> float:
    """Return how long a preview may compute while others wait: each looks at fewer leads then."""
    return PREVIEW_SECONDS / (1 + waiting_count / WAITING_FOR_HALF)
