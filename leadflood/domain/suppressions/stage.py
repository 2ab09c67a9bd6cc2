"""The step `suppressions.add`."""

from collections.abc import Iterator, Sequence
from typing import Any, ClassVar, Self

from typing_extensions import override

from leadflood.contracts.addresses import mask_address
from leadflood.contracts.parts import StageParts
from leadflood.contracts.values import Channel, FieldName
from leadflood.domain.leads.schemas.events import PersonClaimed
from leadflood.domain.leads.schemas.profiles import LeadProfile
from leadflood.domain.leads.service import kernel as leads
from leadflood.domain.suppressions import repository
from leadflood.domain.suppressions.repository import NewSuppression, SuppressionOrigin
from leadflood.domain.suppressions.rules.address_hash import AddressHasher
from leadflood.domain.suppressions.schemas import AddressKey, SuppressionKind
from leadflood.engine.clock import Clock
from leadflood.engine.db.tx import Reader, Tx
from leadflood.engine.errors import NotFound
from leadflood.engine.ids import Ids
from leadflood.engine.queue.outcome import Discard, Done, Outcome
from leadflood.engine.queue.stage import ClaimedTask, FinishedTask, FollowUp, Policy, Stage


class SuppressStage(Stage[PersonClaimed, LeadProfile, LeadProfile]):
    """Leaves people alone who asked a provider to be left alone: every channel, every address."""

    name: ClassVar[str] = "suppressions.add"
    task: ClassVar[Any] = PersonClaimed
    default_policy: ClassVar[Policy] = Policy(concurrency=8)

    def __init__(self, policy: Policy, key: AddressKey, clock: Clock, ids: Ids) -> None:
        super().__init__(policy)
        self._clock = clock
        self._ids = ids
        self._hasher = AddressHasher(key)

    @classmethod
    @override
    def build(cls, policy: Policy, parts: StageParts) -> Self:
        return cls(policy, parts.settings_of(AddressKey), parts.clock, parts.ids)

    @override
    async def load(
        self, db: Reader, tasks: Sequence[ClaimedTask[PersonClaimed]]
    ) -> Sequence[LeadProfile | Outcome[LeadProfile]]:
        """Read who they are; a lead that is gone needs nothing."""
        profiles = await leads.find_profiles(db, [claimed.task.lead_id for claimed in tasks])
        return [
            profiles.get(claimed.task.lead_id)
            or Discard(NotFound(f"lead {claimed.task.lead_id} is gone"))
            for claimed in tasks
        ]

    @override
    async def work(self, item: LeadProfile) -> Outcome[LeadProfile]:
        return Done(item)

    @override
    async def commit(
        self, tx: Tx, tasks: Sequence[FinishedTask[PersonClaimed, LeadProfile]]
    ) -> Sequence[FollowUp]:
        """Add the lines of everybody at once, by the provider that they asked."""
        now = self._clock.now()
        lines = [
            line
            for finished in tasks
            if isinstance(finished.outcome, Done)
            for line in self._lines(finished.outcome.result, finished.task.provider)
        ]
        await repository.add_suppressions(tx, lines, now)
        return ()

    def _lines(self, profile: LeadProfile, provider: str) -> Iterator[NewSuppression]:
        """List what stops every lead that is this person, and their address."""
        origin = SuppressionOrigin(
            reason="asked to be left alone", source=provider, by="the person"
        )
        keys = [
            (SuppressionKind.LEAD, self._hasher.hash_lead(lead_id), str(lead_id))
            for lead_id in profile.members
        ]
        if email := profile.text(FieldName.EMAIL):
            key = self._hasher.hash_address(Channel.EMAIL, email)
            keys.append((SuppressionKind.ADDRESS, key, mask_address(email)))
        for kind, key, hint in keys:
            yield NewSuppression(id=self._ids.new(), kind=kind, key=key, hint=hint, origin=origin)
