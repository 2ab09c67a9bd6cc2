"""`leads.bulk`: a chunk of a bulk action is done, all of it or nothing, in one commit."""

from collections.abc import Sequence
from typing import Any, ClassVar, Self
from uuid import UUID

from typing_extensions import override

from leadflood.contracts.parts import StageParts
from leadflood.domain.bulk import store
from leadflood.domain.bulk.rules import decide, decide_undo
from leadflood.domain.bulk.schemas import Action, ChunkWanted, Decision, Item, ItemState, Verb
from leadflood.domain.bulk.store import Ending
from leadflood.domain.leads.schemas import (
    EnrichmentWanted,
    LeadAssigned,
    LeadDeleted,
    LeadEvent,
    LeadRestored,
    LeadState,
    LeadTagged,
    RescoreWanted,
)
from leadflood.domain.leads.service import kernel as leads
from leadflood.engine.clock import Clock
from leadflood.engine.db.tx import Tx
from leadflood.engine.errors import code_of
from leadflood.engine.queue.outcome import Cancelled, Discard, Done, Outcome
from leadflood.engine.queue.stage import ClaimedTask, FinishedTask, FollowUp, Policy, Stage

ChunkEnded = FinishedTask[ChunkWanted, None]


class BulkStage(Stage[ChunkWanted, ClaimedTask[ChunkWanted], None]):
    """Does chunks. An item that is not waiting any more was done by an earlier try."""

    name: ClassVar[str] = "leads.bulk"
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
        """Leave everything to the commit: what is decided must be what is locked."""
        return [Done(None) for _ in items]

    @override
    async def commit(self, tx: Tx, ended: Sequence[ChunkEnded]) -> Sequence[FollowUp]:
        """Lock the leads of all chunks, decide each by what it is now, write, say what follows."""
        now = self._clock.now()
        closed = [_closing(one) for one in ended if isinstance(one.outcome, Discard)]
        if closed:
            await store.close_items(tx, closed, now)
        done = [one for one in ended if isinstance(one.outcome, Done)]
        items = await store.find_waiting(tx, [one.task for one in done])
        if not items:
            return ()
        await leads.lock_states(tx, {item.lead_id for item in items})
        actions = await store.find_actions(tx, list({item.run_id for item in items}))
        follows: list[FollowUp] = []
        for run_id, action in sorted(actions.items()):
            mine = [item for item in items if item.run_id == run_id]
            chunks = [one for one in done if one.task.bulk_id == run_id]
            follows += await self._do(tx, action, mine, chunks)
        return follows

    async def _do(
        self, tx: Tx, action: Action, items: Sequence[Item], chunks: Sequence[ChunkEnded]
    ) -> list[FollowUp]:
        """Do what is left of some chunks of one action."""
        now = self._clock.now()
        states = await leads.lock_states(tx, [item.lead_id for item in items])
        endings = []
        for item in items:
            lead = states.get(item.lead_id)
            if item.undone is None:
                decision = decide(action, lead, now)
            else:
                decision = decide_undo(action, item.undone, lead)
            endings.append(Ending(item, decision, lead))
        before = [one.before for one in endings if one.decision.after and one.before]
        after = [one.decision.after for one in endings if one.decision.after]
        await leads.write_states(tx, before, after, action.created_by, now)
        await store.end_items(tx, action.run_id, endings, now)
        return [
            _chunk_of(one.item, chunks).follow_up(event)
            for one in endings
            for event in _events_of(action, one.item.lead_id, one.decision)
        ]


def _closing(one: ChunkEnded) -> tuple[ChunkWanted, ItemState, str]:
    error = one.outcome.error if isinstance(one.outcome, Discard) else None
    if error is None or isinstance(error, Cancelled):
        return one.task, ItemState.CANCELLED, Cancelled.code
    return one.task, ItemState.FAILED, code_of(error)


def _chunk_of(item: Item, chunks: Sequence[ChunkEnded]) -> ChunkEnded:
    return next(one for one in chunks if one.task.first <= item.number <= one.task.last)


def _events_of(action: Action, lead_id: UUID, decision: Decision) -> list[LeadEvent]:
    if decision.after is not None:
        return [_changed(action.verb, decision.after)]
    icp_id = action.parameters.icp_id
    if not decision.starts or icp_id is None:
        return []
    if action.verb is Verb.SCORE:
        return [RescoreWanted(lead_id, icp_id)]
    return [EnrichmentWanted(lead_id, icp_id, action.parameters.is_forced)]


def _changed(verb: Verb, after: LeadState) -> LeadEvent:
    version = after.version + 1
    if verb is Verb.ASSIGN:
        return LeadAssigned(after.id, version, after.owner)
    if verb in {Verb.TAG, Verb.UNTAG}:
        return LeadTagged(after.id, version, after.tags)
    if after.deleted_at is None:
        return LeadRestored(after.id, version)
    return LeadDeleted(after.id, version)
