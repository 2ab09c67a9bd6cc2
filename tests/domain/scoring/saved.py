"""What the tests of the features and scoring stages find in the database."""

from collections.abc import Sequence
from typing import Any
from uuid import UUID

from leadflood.domain.enrichment.schemas import LeadEnriched
from leadflood.domain.features.schemas import FeaturesComputed
from leadflood.domain.features.stage import FeaturesStage
from leadflood.domain.icp.schemas import Icp, IcpInput
from leadflood.domain.icp.service.icps import IcpService
from leadflood.domain.leads.service.upserting import upsert
from leadflood.domain.scoring.stage import ScoringStage
from leadflood.engine.clock import ManualClock
from leadflood.engine.db.pool import Database
from leadflood.engine.ids import Ids
from leadflood.engine.queue.event import Event
from leadflood.engine.queue.outcome import Discard, Done
from leadflood.engine.queue.stage import ClaimedTask, FinishedTask, Policy, Stage
from tests.domain.leads.people import a_person

RUN = UUID(int=7)


class World:
    """A database with a clock, and both stages."""

    def __init__(self, database: Database) -> None:
        self.database = database
        self.clock = ManualClock()
        self.ids = Ids(self.clock, seed=1)
        self.features = FeaturesStage(Policy(), self.ids, self.clock)
        self.scoring = ScoringStage(Policy(), self.ids, self.clock)

    async def icp(self, given: IcpInput) -> Icp:
        icps = IcpService(self.database, self.ids, self.clock)
        async with self.database.transaction() as tx:
            return await icps.create(tx, given)

    async def lead(self, key: str, **given: Any) -> UUID:
        async with self.database.transaction() as tx:
            made = await upsert(
                tx, [a_person(("provider:apollo", key), **given)], self.ids, self.clock.now()
            )
        return made[0].lead_id

    async def ended(
        self, stage: Stage[Any, Any, Any], tasks: Sequence[Event], run_id: UUID | None = RUN
    ) -> list[FinishedTask[Any, Any]]:
        """Load and work, as the engine does for a batch."""
        claimed = [
            ClaimedTask(task, self.ids.new(), 1, run_id, 0, self.clock.now()) for task in tasks
        ]
        loaded = await stage.load(self.database, claimed)
        inputs = [one for one in loaded if not isinstance(one, Discard)]
        worked = iter(await stage.work_batch(inputs))
        outcomes = [one if isinstance(one, Discard) else next(worked) for one in loaded]
        return [
            FinishedTask(one, outcome)
            for one, outcome in zip(claimed, outcomes, strict=True)
            if isinstance(outcome, Done | Discard)
        ]

    async def run(
        self, stage: Stage[Any, Any, Any], tasks: Sequence[Event], run_id: UUID | None = RUN
    ) -> list[Any]:
        """Take tasks through a stage and tell the events that follow."""
        ended = await self.ended(stage, tasks, run_id)
        return await self.commit(stage, ended)

    async def commit(
        self, stage: Stage[Any, Any, Any], ended: list[FinishedTask[Any, Any]]
    ) -> list[Any]:
        async with self.database.transaction() as tx:
            return [follow.event for follow in await stage.commit(tx, ended)]

    async def computed(self, lead_ids: Sequence[UUID], icp: Icp) -> list[FeaturesComputed]:
        return await self.run(
            self.features, [LeadEnriched(lead_id=one, icp_id=icp.id) for one in lead_ids]
        )
