"""Duplicates: look for leads that may be one, show them side by side, merge or tell them apart."""

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from uuid import UUID

import msgspec
from anyio import to_thread

from leadflood.domain.auth.schemas.principals import Editor, Visibility
from leadflood.domain.duplicates import repository
from leadflood.domain.duplicates.repository import Block, Pair, StoredPair
from leadflood.domain.duplicates.rules import (
    MOST_PAIRS,
    Likeness,
    Signature,
    compare,
    list_blocks,
    sign,
)
from leadflood.domain.duplicates.schemas import (
    DuplicateFilter,
    DuplicateLead,
    DuplicateSuspected,
    DuplicateView,
    LeadsToldApart,
    Settings,
)
from leadflood.domain.leads.schemas.events import LeadMerged
from leadflood.domain.leads.schemas.identity import LeadIdentity
from leadflood.domain.leads.schemas.profiles import LeadView
from leadflood.domain.leads.service import telling_apart
from leadflood.domain.leads.service.leads import LeadService
from leadflood.domain.leads.service.merging import LeadMerging
from leadflood.engine.clock import Clock
from leadflood.engine.db.pool import Database
from leadflood.engine.db.tx import Reader, Tx
from leadflood.engine.errors import NotFound
from leadflood.engine.ids import Ids
from leadflood.engine.queue.publisher import Publisher

BATCH = 500
PRUNED_BLOCKS = 10_000
_MOST_MARKS = 4
"""Of a lead, so many strong keys remember that it is another."""


class _SignedBatch(msgspec.Struct, frozen=True, kw_only=True):
    """What leads are compared by, and the blocks that they are in.

    `changed`: the signatures that are others than before; `new` and `gone`: blocks likewise.
    """

    changed: dict[UUID, Signature]
    blocks: list[Block]
    new: list[Block]
    gone: list[Block]


Signed = Mapping[UUID, tuple[Signature, frozenset[UUID]]]


class DuplicateService:
    """The use cases of possible duplicates."""

    def __init__(self, leads: LeadService, merging: LeadMerging, clock: Clock) -> None:
        self._leads = leads
        self._merging = merging
        self._clock = clock

    async def list(
        self,
        db: Reader,
        duplicates: DuplicateFilter,
        visibility: Visibility,
        after: tuple[float, UUID] | None,
        limit: int,
    ) -> Sequence[DuplicateView]:
        """List pairs of leads that the caller may see both, the likeliest first."""
        pairs = await repository.list_pairs(db, duplicates, visibility, after, limit)
        views = await self._leads.find_many(
            db, [lead_id for pair in pairs for lead_id in (pair.lead_id, pair.other_id)]
        )
        return [
            _view(pair, views[pair.lead_id], views[pair.other_id])
            for pair in pairs
            if pair.lead_id in views and pair.other_id in views
        ]

    async def merge(self, tx: Tx, duplicate_id: UUID, editor: Editor) -> LeadMerged:
        """Merge two leads: the younger points to the older.

        Raises: NotFound, also when a lead is hidden from the caller; Conflict when they are one.
        """
        pair = await _get_pair(tx, duplicate_id)
        return await self._merging.merge(tx, pair.other_id, pair.lead_id, editor)

    async def tell_apart(self, tx: Tx, duplicate_id: UUID, editor: Editor) -> LeadsToldApart:
        """Record that two leads are two people's, for good. Raises: NotFound as `merge`."""
        pair = await _get_pair(tx, duplicate_id)
        now = self._clock.now()
        first, second = await telling_apart.tell_apart(tx, pair.lead_id, pair.other_id, editor, now)
        await repository.decide(tx, pair.id, editor.by, now)
        identities = await telling_apart.describe(tx, [first, second])
        if len(identities) > 1:
            one, other = identities
            await repository.add_different(tx, _marks(sign(one), sign(other)), now)
        return LeadsToldApart(pair.other_id, pair.id)


class DuplicateSearch:
    """Compares leads that changed with the others; the work of one batch is bounded."""

    def __init__(self, settings: Settings, ids: Ids, clock: Clock) -> None:
        self._settings = settings
        self._ids = ids
        self._clock = clock

    async def run(self, db: Database, publisher: Publisher) -> int:
        """Search until every changed lead is compared; return how many pairs are new."""
        new_count = 0
        while True:
            taken_at = self._clock.now()
            async with db.transaction() as tx:
                lead_ids = await telling_apart.take_unsearched(tx, BATCH, taken_at)
            if not lead_ids:
                return new_count
            async with publisher.transaction() as publication:
                events = await self.search(publication.tx, lead_ids)
                await telling_apart.record_searched(publication.tx, lead_ids, taken_at)
                await publication.publish(events)
            new_count += len(events)

    async def search(self, tx: Tx, lead_ids: Sequence[UUID]) -> Sequence[DuplicateSuspected]:
        """Find who these leads may be, and write the pairs; return the events of new ones.

        Pairs of theirs that are alike no more are dropped, unless a person has decided them.
        """
        described = await telling_apart.describe(tx, lead_ids)
        # a lead that an undo deletes after it is described has no signature any more
        left = await telling_apart.wait_and_keep(tx, [lead.id for lead in described])
        identities = [lead for lead in described if lead.id in left]
        if not identities:
            return ()
        before = await repository.lock_signatures(tx, [lead.id for lead in identities])
        signed_now = await to_thread.run_sync(_sign_all, identities, before)
        await repository.write_signatures(tx, signed_now.changed)
        await repository.write_blocks(tx, signed_now.gone, signed_now.new)
        candidates = await repository.find_candidates(tx, signed_now.blocks)
        candidates |= (open_pairs := await repository.find_open_pairs(tx, before))
        signed = await repository.find_signatures(
            tx, {lead_id for pair in candidates for lead_id in pair}
        )
        pairs, unlike = await to_thread.run_sync(
            _compare_all, candidates, signed, self._settings.least_score
        )
        await repository.drop_pairs(tx, open_pairs & unlike)
        pairs = await _without_decided(tx, pairs, signed)
        staying = await telling_apart.keep_from_going(tx, {each for pair in pairs for each in pair})
        pairs = {pair: likeness for pair, likeness in pairs.items() if staying.issuperset(pair)}
        new = await repository.add_pairs(tx, pairs, self._ids, self._clock.now())
        return [DuplicateSuspected(lead_id, pair_id) for pair_id, lead_id in new]

    async def prune(self, db: Database) -> None:
        """Delete what is left of leads that are gone."""
        async with db.transaction() as tx:
            await repository.prune_blocks(tx, PRUNED_BLOCKS)


async def _get_pair(tx: Tx, duplicate_id: UUID) -> StoredPair:
    pair = await repository.find_pair(tx, duplicate_id)
    if pair is None:
        raise NotFound(
            f"there is no possible duplicate {duplicate_id}", code="leads.duplicate.not_found"
        )
    return pair


def _sign_all(identities: Sequence[LeadIdentity], before: Mapping[UUID, Signature]) -> _SignedBatch:
    signatures = {identity.id: sign(identity) for identity in identities}
    blocks, old = _blocks_of(signatures), set(_blocks_of(before))
    return _SignedBatch(
        changed={
            lead_id: signature
            for lead_id, signature in signatures.items()
            if before.get(lead_id) != signature
        },
        blocks=blocks,
        new=[block for block in blocks if block not in old],
        gone=sorted(old.difference(blocks)),
    )


def _blocks_of(signatures: Mapping[UUID, Signature]) -> list[Block]:
    return [
        (block, lead_id)
        for lead_id, signature in signatures.items()
        for block in list_blocks(signature)
    ]


def _compare_all(
    candidates: Iterable[Pair], signed: Signed, least_score: float
) -> tuple[dict[Pair, Likeness], set[Pair]]:
    """Return the likely pairs, the likeliest of each lead, and those that are not alike."""
    unlike: set[Pair] = set()
    scored: list[tuple[float, Pair, Likeness]] = []
    for pair in candidates:
        one, other = signed.get(pair[0]), signed.get(pair[1])
        if one is None or other is None or pair[1] in one[1] or pair[0] in other[1]:
            continue
        likeness = compare(one[0], other[0])
        if likeness.score >= least_score:
            scored.append((likeness.score, pair, likeness))
        else:
            unlike.add(pair)
    counts: dict[UUID, int] = {}
    pairs: dict[Pair, Likeness] = {}
    for _, pair, likeness in sorted(scored, key=lambda each: (-each[0], each[1])):
        if min(counts.get(lead_id, 0) for lead_id in pair) < MOST_PAIRS:
            pairs[pair] = likeness
            for lead_id in pair:
                counts[lead_id] = counts.get(lead_id, 0) + 1
    return pairs, unlike


async def _without_decided(
    tx: Tx, pairs: Mapping[Pair, Likeness], signed: Signed
) -> dict[Pair, Likeness]:
    """Leave out pairs that a person has told apart as other leads of the same keys."""
    marks = {pair: _marks(signed[pair[0]][0], signed[pair[1]][0]) for pair in pairs}
    different = await repository.find_different(
        tx, {mark for each in marks.values() for mark in each}
    )
    return {pair: likeness for pair, likeness in pairs.items() if different.isdisjoint(marks[pair])}


def _marks(one: Signature, other: Signature) -> set[bytes]:
    """Return what two leads are remembered by as different: each pair of strong keys of theirs."""
    shared = {*one.strong} & {*other.strong}
    return {
        hashlib.sha256("\n".join(sorted(("|".join(left), "|".join(right)))).encode()).digest()
        for left in one.strong[:_MOST_MARKS]
        for right in other.strong[:_MOST_MARKS]
        if left not in shared and right not in shared
    }


def _view(pair: StoredPair, lead: LeadView, other: LeadView) -> DuplicateView:
    return DuplicateView(
        id=pair.id,
        state=pair.state,
        score=pair.score,
        reasons=pair.reasons,
        lead=_side(lead),
        other=_side(other),
        found_at=pair.found_at,
        decided_at=pair.decided_at,
        decided_by=pair.decided_by,
    )


def _side(lead: LeadView) -> DuplicateLead:
    return DuplicateLead(**{name: getattr(lead, name) for name in DuplicateLead.__struct_fields__})
