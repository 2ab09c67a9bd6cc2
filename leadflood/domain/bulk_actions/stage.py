"""`bulk.run`: a chunk of a bulk action is done, all of it or nothing, in one commit."""

from collections.abc import Sequence
from typing import Any, ClassVar, Self

from typing_extensions import override

from leadflood.contracts.parts import StageParts
from leadflood.domain.bulk_actions import repository
from leadflood.domain.bulk_actions.repository import ClosedChunk
from leadflood.domain.bulk_actions.rules import plan_change, plan_undo
from leadflood.domain.bulk_actions.schemas import (
    ActionItem,
    BulkAction,
    ChunkWanted,
    ItemResult,
    ItemState,
    StoredAction,
)
from leadflood.domain.leads.schemas.events import (
    EnrichmentWanted,
    LeadAssigned,
    LeadDeleted,
    LeadEvent,
    LeadRestored,
    LeadTagged,
    RescoreWanted,
)
from leadflood.domain.leads.schemas.lead_states import LeadState
from leadflood.domain.leads.service import kernel as leads
from leadflood.engine.clock import Clock
from leadflood.engine.db.tx import Tx
from leadflood.engine.errors import code_of
from leadflood.engine.queue.outcome import Cancelled, Discard, Done, Outcome
from leadflood.engine.queue.stage import ClaimedTask, FinishedTask, FollowUp, Policy, Stage

FinishedChunk = FinishedTask[ChunkWanted, None]


class BulkActionStage(Stage[ChunkWanted, ClaimedTask[ChunkWanted], None]):
    """Does chunks. An item that is no longer waiting was done by an earlier try."""

    name: ClassVar[str] = "bulk.run"
    task: ClassVar[Any] = ChunkWanted
    default_policy: ClassVar[Policy] = Policy(concurrency=8, batch=4)
    in_batches: ClassVar[bool] = True

    def __init__(self, policy: Policy, clock: Clock) -> None:
        super().__init__(policy)
        self._clock = clock

    @classmethod
    @override
    def build(cls, policy: Policy, parts: StageParts) -> Self:
        return cls(policy, parts.clock)

    @override
    async def work_batch(
        self, items: Sequence[ClaimedTask[ChunkWanted]]
    ) -> Sequence[Outcome[None]]:
        """Leave everything to the commit: what is planned must be what is locked."""
        return [Done(None) for _ in items]

    @override
    async def commit(self, tx: Tx, tasks: Sequence[FinishedChunk]) -> Sequence[FollowUp]:
        """Lock the leads of all chunks, plan each by its present state, write, follow up."""
        closed = [_close(chunk) for chunk in tasks if isinstance(chunk.outcome, Discard)]
        if closed:
            await repository.close_items(tx, closed, self._clock.now())
        chunks = [chunk for chunk in tasks if isinstance(chunk.outcome, Done)]
        items = await repository.list_waiting(tx, [chunk.task for chunk in chunks])
        if not items:
            return ()
        await leads.lock_states(tx, {item.lead_id for item in items})
        actions = await repository.find_actions(tx, list({item.run_id for item in items}))
        follow_ups: list[FollowUp] = []
        for run_id, action in sorted(actions.items()):
            follow_ups += await self._run(
                tx,
                action,
                [item for item in items if item.run_id == run_id],
                [chunk for chunk in chunks if chunk.task.bulk_id == run_id],
            )
        return follow_ups

    async def _run(
        self,
        tx: Tx,
        action: StoredAction,
        items: Sequence[ActionItem],
        chunks: Sequence[FinishedChunk],
    ) -> list[FollowUp]:
        """Do what is left of some chunks of one action."""
        now = self._clock.now()
        states = await leads.lock_states(tx, [item.lead_id for item in items])
        results = []
        for item in items:
            lead = states.get(item.lead_id)
            if item.previous is None:
                change = plan_change(action, lead, now)
            else:
                change = plan_undo(action, item.previous, lead)
            results.append(ItemResult(item, change, lead))
        before = [result.before for result in results if result.change.after and result.before]
        after = [result.change.after for result in results if result.change.after]
        await leads.write_states(tx, before, after, action.created_by, now)
        await repository.record_results(tx, action.run_id, results, now)
        return [
            _chunk_of(result.item, chunks).follow_up(event)
            for result in results
            for event in _events_of(action, result)
        ]


def _close(chunk: FinishedChunk) -> ClosedChunk:
    error = chunk.outcome.error if isinstance(chunk.outcome, Discard) else None
    if error is None or isinstance(error, Cancelled):
        return ClosedChunk(chunk.task, ItemState.CANCELLED, Cancelled.code)
    return ClosedChunk(chunk.task, ItemState.FAILED, code_of(error))


def _chunk_of(item: ActionItem, chunks: Sequence[FinishedChunk]) -> FinishedChunk:
    return next(chunk for chunk in chunks if chunk.task.first <= item.number <= chunk.task.last)


def _events_of(action: StoredAction, result: ItemResult) -> list[LeadEvent]:
    lead_id, change = result.item.lead_id, result.change
    if change.after is not None:
        return [_change_event(action.action, change.after)]
    icp_id = action.parameters.icp_id
    if not change.starts or icp_id is None:
        return []
    if action.action is BulkAction.SCORE:
        return [RescoreWanted(lead_id, icp_id)]
    return [EnrichmentWanted(lead_id, icp_id, action.parameters.is_forced)]


def _change_event(action: BulkAction, after: LeadState) -> LeadEvent:
    version = after.version + 1
    if action is BulkAction.ASSIGN:
        return LeadAssigned(after.id, version, after.owner)
    if action in {BulkAction.TAG, BulkAction.UNTAG}:
        return LeadTagged(after.id, version, after.tags)
    if after.deleted_at is None:
        return LeadRestored(after.id, version)
    return LeadDeleted(after.id, version)
