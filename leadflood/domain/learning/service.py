"""Use cases of labels: say what came of a lead, read it again."""

from collections.abc import Sequence
from datetime import timedelta
from uuid import UUID

import msgspec

from leadflood.domain.learning import repository
from leadflood.domain.learning.schemas import KINDS, Label, LabelRecorded, NewLabel
from leadflood.engine.clock import Clock
from leadflood.engine.db.tx import Reader, Tx
from leadflood.engine.errors import Invalid
from leadflood.engine.ids import Ids

MOST_LISTED = 1_000
SKEW = timedelta(minutes=5)
"""How far ahead of ours another's clock may be."""


class LearningService:
    """What came of leads."""

    def __init__(self, ids: Ids, clock: Clock) -> None:
        self._ids = ids
        self._clock = clock

    async def record(self, tx: Tx, new: NewLabel, members: Sequence[UUID]) -> LabelRecorded:
        """Write down what came of a lead, beside the score that it had at that time.

        `members` are all leads that are this one. Raises: Invalid for what is yet to happen.
        """
        now = self._clock.now()
        happened_at = new.happened_at or now
        if happened_at > now + SKEW:
            raise Invalid.field(
                "at",
                "is in the future",
                detail="at: this is yet to come; leave it out for now",
                code="learning.label.future",
            )
        new = msgspec.structs.replace(new, happened_at=happened_at)
        score = await repository.find_score_then(tx, members, new.icp_id, happened_at)
        label_id, kind = self._ids.new(), KINDS[new.outcome]
        await repository.record_label(tx, label_id, new, kind, score, now)
        return LabelRecorded(new.lead_id, label_id, kind.value, new.outcome.value)

    async def list_labels(self, db: Reader, members: Sequence[UUID]) -> list[Label]:
        """List what came of a lead and of those that are one with it, newest first."""
        return await repository.list_labels(db, members, MOST_LISTED)
