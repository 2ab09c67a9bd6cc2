"""`features.compute`: a lead's profile becomes a snapshot of features."""

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Self
from uuid import UUID

from anyio import to_thread
from typing_extensions import override

from leadflood.contracts.parts import StageParts
from leadflood.domain.enrichment.schemas import LeadEnriched
from leadflood.domain.features import repository
from leadflood.domain.features.repository import ComputedVector
from leadflood.domain.features.rules.prepared_target import PreparedTarget
from leadflood.domain.features.rules.vector import canonical_json, compute_vector, vector_hash
from leadflood.domain.features.schemas import FeaturesComputed
from leadflood.domain.icp.schemas import Target
from leadflood.domain.leads.schemas.events import RescoreWanted
from leadflood.domain.leads.schemas.profiles import LeadProfile
from leadflood.domain.leads.service import kernel as leads
from leadflood.engine.clock import Clock
from leadflood.engine.db.tx import Reader, Tx
from leadflood.engine.db.version_cache import VersionCache
from leadflood.engine.errors import NotFound
from leadflood.engine.ids import Ids
from leadflood.engine.queue.outcome import Cancelled, Discard, Done, Outcome
from leadflood.engine.queue.stage import (
    ClaimedTask,
    FinishedTask,
    FollowUp,
    Policy,
    Stage,
    group_failures,
    list_results,
)

INLINE_STEPS = 2_000
"""A batch that costs more comparisons than these, some milliseconds, is computed in a thread."""
FeaturesTask = LeadEnriched | RescoreWanted


class FeatureInput:
    """A lead's profile, and the target of the ICP version to compare it with."""

    __slots__ = ("icp_id", "profile", "target")

    def __init__(self, profile: LeadProfile, icp_id: UUID, target: PreparedTarget) -> None:
        self.profile = profile
        self.icp_id = icp_id
        self.target = target


class FeaturesStage(Stage[FeaturesTask, FeatureInput, ComputedVector]):
    """Computes vectors, a batch at a time; equal inputs give the same snapshot."""

    name: ClassVar[str] = "features.compute"
    task: ClassVar[Any] = FeaturesTask
    default_policy: ClassVar[Policy] = Policy(batch=500)
    in_batches: ClassVar[bool] = True

    def __init__(self, policy: Policy, ids: Ids, clock: Clock) -> None:
        super().__init__(policy)
        self._ids = ids
        self._clock = clock
        self._targets = VersionCache(_find_targets)

    @classmethod
    @override
    def build(cls, policy: Policy, parts: StageParts) -> Self:
        return cls(policy, parts.ids, parts.clock)

    @override
    async def load(
        self, db: Reader, tasks: Sequence[ClaimedTask[FeaturesTask]]
    ) -> Sequence[FeatureInput | Outcome[ComputedVector]]:
        profiles = await leads.find_profiles(db, list({claimed.task.lead_id for claimed in tasks}))
        targets = await self._targets.find_many(db, {claimed.task.icp_id for claimed in tasks})
        return [
            _input_of(
                claimed.task,
                profiles.get(claimed.task.lead_id),
                targets.get(claimed.task.icp_id),
            )
            for claimed in tasks
        ]

    @override
    async def work_batch(self, items: Sequence[FeatureInput]) -> Sequence[Outcome[ComputedVector]]:
        if sum(item.target.steps for item in items) <= INLINE_STEPS:
            return _compute_all(items)
        return await to_thread.run_sync(_compute_all, items)

    @override
    async def commit(
        self, tx: Tx, tasks: Sequence[FinishedTask[FeaturesTask, ComputedVector]]
    ) -> Sequence[FollowUp]:
        """Store the snapshots; a lead whose task ends without one has failed, with the code."""
        now = self._clock.now()
        await leads.record_failures(tx, group_failures(tasks), now)
        results = list_results(tasks)
        if not results:
            return ()
        vectors = [vector for _, vector in results]
        snapshot_ids = await repository.record_snapshots(tx, vectors, self._ids, now)
        return [
            finished.follow_up(_computed_event(finished.task, vector, snapshot_ids[vector.key]))
            for finished, vector in results
        ]


async def _find_targets(db: Reader, icp_ids: Sequence[UUID]) -> Mapping[UUID, PreparedTarget]:
    targets = await repository.find_targets(db, icp_ids)
    return await to_thread.run_sync(_prepare, targets)


def _prepare(targets: Mapping[UUID, Target]) -> Mapping[UUID, PreparedTarget]:
    return {icp_id: PreparedTarget(target) for icp_id, target in targets.items()}


def _computed_event(
    task: FeaturesTask, vector: ComputedVector, snapshot_id: UUID
) -> FeaturesComputed:
    return FeaturesComputed(
        lead_id=vector.lead_id,
        icp_id=vector.icp_id,
        snapshot_id=snapshot_id,
        source_version=vector.source_version,
        may_draft=task.may_draft if isinstance(task, RescoreWanted) else True,
    )


def _input_of(
    task: FeaturesTask, profile: LeadProfile | None, target: PreparedTarget | None
) -> FeatureInput | Outcome[ComputedVector]:
    if profile is None:
        error = NotFound("the lead is gone: nothing to compute", code="features.lead.not_found")
        return Discard(error)
    if profile.is_deleted:
        return Discard(Cancelled("the lead was deleted", code="leads.lead.deleted"))
    if target is None:
        error = NotFound("the ICP version is gone: start a new run", code="features.icp.not_found")
        return Discard(error)
    return FeatureInput(profile, task.icp_id, target)


def _compute_all(items: Sequence[FeatureInput]) -> Sequence[Outcome[ComputedVector]]:
    return [Done(_compute(item)) for item in items]


def _compute(item: FeatureInput) -> ComputedVector:
    encoded = canonical_json(compute_vector(item.profile, item.target))
    return ComputedVector(
        item.profile.lead_id,
        item.icp_id,
        item.profile.version,
        vector_hash(encoded),
        encoded.decode(),
    )
