"""The step that turns what is known of a lead into a snapshot of features."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, ClassVar, Self
from uuid import UUID

from typing_extensions import override

from leadflood.contracts.parts import StageParts
from leadflood.domain.enrichment.schemas import LeadEnriched
from leadflood.domain.features import store
from leadflood.domain.features.aim import Aim
from leadflood.domain.features.rules import canonical_json, compute_vector, vector_hash
from leadflood.domain.features.schemas import FeaturesComputed
from leadflood.domain.features.store import Computed, key_of
from leadflood.domain.leads.schemas import LeadProfile, LeadStatus, RescoreWanted
from leadflood.domain.leads.service import kernel as leads
from leadflood.engine.clock import Clock
from leadflood.engine.db.tx import Reader, Tx
from leadflood.engine.errors import NotFound, code_of
from leadflood.engine.ids import Ids
from leadflood.engine.queue.outcome import Cancelled, Discard, Done, Outcome
from leadflood.engine.queue.stage import ClaimedTask, FinishedTask, FollowUp, Policy, Stage

MAX_AIMS = 256
FeaturesTask = LeadEnriched | RescoreWanted


class FeatureInput:
    """A lead as it is known, and the ICP version to look at it for."""

    __slots__ = ("aim", "icp_id", "profile")

    def __init__(self, profile: LeadProfile, icp_id: UUID, aim: Aim) -> None:
        self.profile = profile
        self.icp_id = icp_id
        self.aim = aim


class FeaturesStage(Stage[FeaturesTask, FeatureInput, Computed]):
    """Computes vectors, a batch at a time; equal inputs end in the same snapshot."""

    name: ClassVar[str] = "features.compute"
    task: ClassVar[Any] = FeaturesTask
    default_policy: ClassVar[Policy] = Policy(batch=500)
    in_batches: ClassVar[bool] = True

    def __init__(self, policy: Policy, ids: Ids, clock: Clock) -> None:
        super().__init__(policy)
        self._ids = ids
        self._clock = clock
        self._aims: dict[UUID, Aim] = {}

    @classmethod
    @override
    def build(cls, policy: Policy, parts: StageParts) -> Self:
        return cls(policy, parts.ids, parts.clock)

    @override
    async def load(
        self, db: Reader, tasks: Sequence[ClaimedTask[FeaturesTask]]
    ) -> Sequence[FeatureInput | Outcome[Computed]]:
        """Read the leads and the targets; versions never change, so targets are read once."""
        profiles = await leads.find_profiles(db, list({one.task.lead_id for one in tasks}))
        aims = await self._find_aims(db, {one.task.icp_id for one in tasks})
        return [_input_of(one.task, profiles, aims) for one in tasks]

    @override
    async def work_batch(self, items: Sequence[FeatureInput]) -> Sequence[Outcome[Computed]]:
        """Compute a vector for each."""
        return [Done(_compute(item)) for item in items]

    @override
    async def commit(
        self, tx: Tx, ended: Sequence[FinishedTask[FeaturesTask, Computed]]
    ) -> Sequence[FollowUp]:
        """Keep the snapshots; a lead whose task ends without one has failed, with the code."""
        await _fail(tx, ended, self._clock.now())
        done = [(one, one.outcome.result) for one in ended if isinstance(one.outcome, Done)]
        if not done:
            return ()
        kept = await store.record_snapshots(
            tx, [computed for _, computed in done], self._ids, self._clock.now()
        )
        return [
            one.follow_up(
                FeaturesComputed(
                    lead_id=computed.lead_id,
                    icp_id=computed.icp_id,
                    snapshot_id=kept[key_of(computed)],
                )
            )
            for one, computed in done
        ]

    async def _find_aims(self, db: Reader, icp_ids: set[UUID]) -> dict[UUID, Aim]:
        unknown = icp_ids - self._aims.keys()
        if unknown:
            if len(self._aims) + len(unknown) > MAX_AIMS:
                self._aims = {}
                unknown = icp_ids
            targets = await store.find_targets(db, list(unknown))
            self._aims |= {icp_id: Aim(target) for icp_id, target in targets.items()}
        return self._aims


def _input_of(
    task: FeaturesTask, profiles: dict[UUID, LeadProfile], aims: dict[UUID, Aim]
) -> FeatureInput | Outcome[Computed]:
    profile, aim = profiles.get(task.lead_id), aims.get(task.icp_id)
    if profile is None:
        return Discard(NotFound("the lead is gone: nothing to compute", code="features.lead.gone"))
    if profile.is_deleted:
        return Discard(Cancelled("the lead was deleted", code="leads.lead.deleted"))
    if aim is None:
        return Discard(
            NotFound("the ICP version is gone: start a new run", code="features.icp.gone")
        )
    return FeatureInput(profile, task.icp_id, aim)


def _compute(item: FeatureInput) -> Computed:
    encoded = canonical_json(compute_vector(item.profile, item.aim))
    return Computed(
        item.profile.lead_id,
        item.icp_id,
        item.profile.version,
        vector_hash(encoded),
        encoded.decode(),
    )


async def _fail(
    tx: Tx, ended: Sequence[FinishedTask[FeaturesTask, Computed]], now: datetime
) -> None:
    """Mark leads that cannot go on; a cancelled run says nothing of its leads."""
    by_code: dict[str, list[UUID]] = {}
    for one in ended:
        error = one.outcome.error if isinstance(one.outcome, Discard) else None
        if error is not None and not isinstance(error, Cancelled):
            by_code.setdefault(code_of(error), []).append(one.task.lead_id)
    for code, lead_ids in sorted(by_code.items()):
        await leads.set_status(tx, lead_ids, LeadStatus.FAILED, now, code)
