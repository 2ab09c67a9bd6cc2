"""Labels: record the outcome of a lead, and list it."""

from collections.abc import Sequence
from datetime import timedelta
from uuid import UUID

import msgspec

from leadflood.domain.auth.schemas.principals import Visibility
from leadflood.domain.icp.service.icps import IcpService
from leadflood.domain.leads.service.leads import LeadService
from leadflood.domain.learning import repository
from leadflood.domain.learning.schemas import KINDS, Label, LabelRecorded, NewLabel
from leadflood.engine.clock import Clock
from leadflood.engine.db.tx import Reader
from leadflood.engine.errors import Invalid, NotFound
from leadflood.engine.ids import Ids
from leadflood.engine.queue.publisher import PublishingTransaction

MOST_LISTED = 1_000
SKEW = timedelta(minutes=5)
"""How far another clock may be ahead of ours."""


class LearningService:
    """The use cases of labels."""

    def __init__(
        self, db: Reader, ids: Ids, clock: Clock, leads: LeadService, icps: IcpService
    ) -> None:
        self._db = db
        self._ids = ids
        self._clock = clock
        self._leads = leads
        self._icps = icps

    async def record(
        self, uow: PublishingTransaction, new: NewLabel, visibility: Visibility
    ) -> Label:
        """Record the outcome of a lead, with the score that it had at that time.

        Raises: NotFound, also for a hidden lead; Invalid for what is yet to happen.
        """
        tx = uow.tx
        members = await self._list_members(tx, new.lead_id, visibility)
        icp_id = None
        if new.icp_id is not None:
            icp_id = await self._icps.resolve_version(new.icp_id, tx)
        now = self._clock.now()
        happened_at = new.happened_at or now
        if happened_at > now + SKEW:
            raise _in_the_future()
        new = msgspec.structs.replace(
            new, lead_id=members[0], icp_id=icp_id, happened_at=happened_at
        )
        score = await repository.find_score_then(tx, members, icp_id, happened_at)
        label_id, kind = self._ids.new(), KINDS[new.outcome]
        await repository.record_label(tx, label_id, new, kind, score, now)
        await uow.publish([LabelRecorded(new.lead_id, label_id, kind.value, new.outcome.value)])
        labels = await repository.list_labels(tx, members, MOST_LISTED)
        return next(label for label in labels if label.id == label_id)

    async def list_labels(self, lead_id: UUID, visibility: Visibility) -> list[Label]:
        """List the outcomes of a lead and of those that are one with it, newest first.

        Raises: NotFound, also for a hidden lead.
        """
        members = await self._list_members(self._db, lead_id, visibility)
        return await repository.list_labels(self._db, members, MOST_LISTED)

    async def _list_members(
        self, db: Reader, lead_id: UUID, visibility: Visibility
    ) -> Sequence[UUID]:
        """List all leads that are this one, the survivor first."""
        lead = await self._leads.get(db, lead_id)
        if not visibility.allows(lead.owner):
            raise NotFound(f"there is no lead {lead_id}", code="leads.not_found")
        return (lead.id, *(merged.lead_id for merged in lead.merged))


def _in_the_future() -> Invalid:
    return Invalid.field(
        "at",
        "is in the future",
        detail="at: this is yet to come; leave it out for now",
        code="learning.label.future",
    )
