"""What people do to one lead: say what is right, delete, restore, assign, tag, merge.

Each verb locks the lead's survivor, looks whether the caller may see it and means this version,
and answers with the event to publish; None where nothing was to change.
"""

import hashlib
from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

import msgspec

from leadflood.domain.leads import search
from leadflood.domain.leads.canon import canonical_tag
from leadflood.domain.leads.provenance import rank_of
from leadflood.domain.leads.reading import profiles, survivors
from leadflood.domain.leads.schemas import (
    HUMAN_SOURCE,
    MOST_TAGS,
    DeletedLead,
    Editor,
    IdentityKey,
    LeadAssigned,
    LeadChange,
    LeadDeleted,
    LeadMerged,
    LeadProfile,
    LeadRestored,
    LeadState,
    LeadTagged,
    LeadUnmerged,
    LeadUpdated,
    TagCount,
)
from leadflood.domain.leads.settling import Links, claim_keys, settle
from leadflood.domain.leads.states import (
    lock_states,
    raise_versions,
    read_states,
    write_states,
)
from leadflood.domain.leads.words import (
    EXCLUSIVE,
    SURE,
    Words,
    found_in_words,
    keys_moved,
    read_words,
)
from leadflood.domain.leads.writing import (
    Prepared,
    human_company_rank,
    prepare,
    write_companies,
    write_values,
)
from leadflood.engine.clock import Clock
from leadflood.engine.db.sql import load_queries
from leadflood.engine.db.tx import Reader, Tx
from leadflood.engine.errors import Conflict, Denied, NotFound, PreconditionFailed
from leadflood.engine.ids import Ids

SQL = load_queries(__file__)

MOST_COUNTED = 10_000
MOST_LISTED = 1_000
METHOD = "leads.edit"


class LeadChanges:
    """The use cases of changing leads that are there."""

    def __init__(self, ids: Ids, clock: Clock) -> None:
        self._ids = ids
        self._clock = clock

    async def update(
        self, tx: Tx, lead_id: UUID, change: LeadChange, editor: Editor
    ) -> LeadUpdated | None:
        """Write down what a person says of a lead.

        Raises: NotFound, PreconditionFailed; Invalid with the fields; Conflict when an address
        belongs to another lead.
        """
        words = read_words(change)
        seen = (await profiles(tx, [lead_id])).get(lead_id)
        if seen is None:
            raise _not_found(lead_id)
        words = words.with_name(seen)
        refusal = await self._claim_keys(tx, seen, keys_moved(seen, words).claimed, editor)
        said = self._say(words, lead_id, editor)
        await write_companies(tx, [said], self._clock.now())
        lead = await self._lock(tx, lead_id, editor)
        if refusal is not None:
            raise refusal
        profile = (await profiles(tx, [lead.id]))[lead.id]
        changed = words.unknown_to(profile)
        if not changed:
            return None
        await self._release_keys(tx, profile, keys_moved(profile, words).released)
        await self._write(tx, lead.id, words, said)
        await search.refresh(tx, [lead.id])
        return LeadUpdated(lead.id, lead.version + 1, tuple(sorted(changed.fields)))

    async def delete(self, tx: Tx, lead_id: UUID, editor: Editor) -> LeadDeleted:
        """Take a lead out of sight; it can be restored. Raises: NotFound, PreconditionFailed."""
        lead = await self._lock(tx, lead_id, editor)
        gone = msgspec.structs.replace(lead, deleted_at=self._clock.now(), deleted_by=editor.by)
        await self._put(tx, lead, gone, editor)
        return LeadDeleted(lead.id, lead.version + 1)

    async def restore(self, tx: Tx, lead_id: UUID, editor: Editor) -> LeadRestored | None:
        """Bring a deleted lead back; one that is there stays. Raises: NotFound."""
        lead = await self._lock(tx, lead_id, editor, is_deleted=None)
        if lead.deleted_at is None:
            return None
        back = msgspec.structs.replace(lead, deleted_at=None, deleted_by=None)
        await self._put(tx, lead, back, editor)
        return LeadRestored(lead.id, lead.version + 1)

    async def assign(
        self, tx: Tx, lead_id: UUID, owner: str | None, editor: Editor
    ) -> LeadAssigned | None:
        """Give a lead an owner; None takes it away.

        Raises: NotFound, PreconditionFailed; Denied for who sees only his own leads.
        """
        lead = await self._lock(tx, lead_id, editor)
        if lead.owner == owner:
            return None
        require_may_assign(editor)
        await self._put(tx, lead, msgspec.structs.replace(lead, owner=owner), editor)
        return LeadAssigned(lead.id, lead.version + 1, owner)

    async def tag(self, tx: Tx, lead_id: UUID, tag: str, editor: Editor) -> LeadTagged | None:
        """Give a lead a tag. Raises: NotFound, PreconditionFailed, Invalid, Conflict."""
        name = canonical_tag(tag)
        lead = await self._lock(tx, lead_id, editor)
        tags = lead.tags_with(name)
        if len(tags) > MOST_TAGS:
            raise Conflict(
                f"lead {lead.id} has {MOST_TAGS} tags: take one away first", code="leads.tags.full"
            )
        return await self._retag(tx, lead, tags, editor)

    async def untag(self, tx: Tx, lead_id: UUID, tag: str, editor: Editor) -> LeadTagged | None:
        """Take a tag from a lead. Raises: NotFound, PreconditionFailed, Invalid."""
        name = canonical_tag(tag)
        lead = await self._lock(tx, lead_id, editor)
        return await self._retag(tx, lead, lead.tags_without(name), editor)

    async def list_tags(self, db: Reader, mine: str | None) -> list[TagCount]:
        """List the tags in use, each with its leads, counted up to a bound."""
        rows = await db.fetch(SQL.list_tags, owner=mine, bound=MOST_COUNTED + 1, limit=MOST_LISTED)
        return [
            TagCount(
                tag=row["name"],
                lead_count=min(row["lead_count"], MOST_COUNTED),
                is_at_least=row["lead_count"] > MOST_COUNTED,
            )
            for row in rows
        ]

    async def list_deleted(
        self, db: Reader, mine: str | None, before: tuple[datetime, UUID] | None, limit: int
    ) -> list[DeletedLead]:
        """List what was deleted, last first, behind a place."""
        at, lead_id = before or (None, None)
        rows = await db.fetch(SQL.list_deleted, owner=mine, at=at, id=lead_id, limit=limit)
        return [DeletedLead(**{**dict(row.items()), "tags": tuple(row["tags"])}) for row in rows]

    async def merge(self, tx: Tx, lead_id: UUID, into_id: UUID, editor: Editor) -> LeadMerged:
        """Say that two leads are one: the younger is merged into the older.

        Raises: NotFound, PreconditionFailed; Conflict when they are one already.
        """
        pair = await self._lock_pair(tx, lead_id, into_id)
        for lead, asked in zip(pair, (lead_id, into_id), strict=True):
            _require_visible(lead, asked, editor)
        if pair[0].id == pair[1].id:
            raise Conflict(
                f"leads {lead_id} and {into_id} are one already", code="leads.merge.same"
            )
        _require_version(pair[0], editor)
        older, younger = sorted(pair, key=lambda lead: lead.id.int)
        now = self._clock.now()
        reason = "a person said so"
        await tx.execute(
            SQL.merge_leads,
            ids=[younger.id], into_ids=[older.id], reasons=[reason], by=editor.by, now=now,
        )  # fmt: skip
        await raise_versions(tx, [older.id], now)
        await search.refresh(tx, [older.id])
        return LeadMerged(younger.id, younger.version + 1, older.id)

    async def unmerge(self, tx: Tx, lead_id: UUID, editor: Editor) -> LeadUnmerged:
        """Say that a lead is not the one it was merged into; they are never merged by themselves.

        Raises: NotFound when it is not merged.
        """
        survivor, now = await self._lock(tx, lead_id, editor), self._clock.now()
        settled = await settle(tx, [lead_id], Links(), now)
        if await tx.fetch_one(SQL.unmerge_lead, id=lead_id, now=now) is None:
            raise NotFound(
                f"lead {lead_id} is not merged into another; look at GET /v1/leads/{lead_id}",
                code="leads.merge.not_found",
            )
        await self._note_unmerged(tx, lead_id, editor)
        await raise_versions(tx, [survivor.id], now)
        await search.refresh(tx, [survivor.id, lead_id, settled.survivor_of[lead_id]])
        states = await lock_states(tx, [lead_id])
        return LeadUnmerged(lead_id, states[lead_id].version, survivor.id)

    async def require_visible(self, tx: Tx, lead_id: UUID, editor: Editor) -> LeadState:
        """Lock a lead that something is to be done for. Raises: NotFound, PreconditionFailed."""
        return await self._lock(tx, lead_id, editor)

    async def _lock(
        self, tx: Tx, lead_id: UUID, editor: Editor, *, is_deleted: bool | None = False
    ) -> LeadState:
        """Lock who a lead is now: as the editor may see it, in the version that he means."""
        lead = await _lock_survivor(tx, lead_id)
        if lead is None:
            raise _not_found(lead_id)
        _require_visible(lead, lead_id, editor, is_deleted=is_deleted)
        _require_version(lead, editor)
        return lead

    async def _lock_pair(self, tx: Tx, lead_id: UUID, into_id: UUID) -> tuple[LeadState, LeadState]:
        """Lock the survivors of both in the order of their ids."""
        await tx.execute(SQL.mark_before_locks)
        while True:
            ends = await survivors(tx, [lead_id, into_id])
            for asked in (lead_id, into_id):
                if asked not in ends:
                    raise _not_found(asked)
            locked = await lock_states(tx, ends.values())
            if all(one.merged_into is None for one in locked.values()):
                return locked[ends[lead_id]], locked[ends[into_id]]
            await tx.execute(SQL.give_locks_back)

    async def _claim_keys(
        self, tx: Tx, profile: LeadProfile, claimed: Sequence[IdentityKey], editor: Editor
    ) -> Conflict | None:
        """Claim what tells who the lead is since; before its lock, as everybody does.

        An address that belongs to another lead refuses the change; a name at a company may be
        two people's and stays with whom it is.
        """
        taken = await claim_keys(tx, dict.fromkeys(claimed, profile.lead_id))
        for key, owner in sorted(taken.items()):
            if key.kind in EXCLUSIVE and owner not in profile.members:
                end = (await survivors(tx, [owner])).get(owner, owner)
                return await self._belongs_to(tx, key.value, end, editor)
        return None

    async def _release_keys(
        self, tx: Tx, profile: LeadProfile, released: Sequence[IdentityKey]
    ) -> None:
        """Give up what told who the lead is, so that whose it is may come in."""
        if released:
            await tx.execute(
                SQL.release_keys,
                kinds=[key.kind for key in released],
                values=[key.value for key in released],
                lead_ids=list(profile.members),
            )

    async def _belongs_to(self, tx: Tx, value: str, owner: UUID, editor: Editor) -> Conflict:
        """Say whose an address is; to who sees only his own leads no other's."""
        lead = (await read_states(tx, [owner])).get(owner)
        if editor.mine is not None and (lead is None or lead.owner != editor.mine):
            return Conflict(
                f"{value} belongs to a lead of somebody else: ask a manager",
                code="leads.key.taken",
            )
        if lead is not None and lead.deleted_at is not None:
            return Conflict(
                f"{value} belongs to lead {owner}, which was deleted: bring it back with"
                f" PUT /v1/leads/{owner}/restoration and merge the two",
                code="leads.key.taken",
            )
        return Conflict(
            f"{value} belongs to lead {owner}: if they are one person, merge them with"
            f" POST /v1/leads/{owner}/merge; else correct that lead first",
            code="leads.key.taken",
        )

    def _say(self, words: Words, lead_id: UUID, editor: Editor) -> Prepared:
        evidence = hashlib.sha256(f"{editor.by}\n{lead_id}\n{self._ids.new()}".encode())
        return prepare(found_in_words(words, METHOD, evidence.hexdigest(), self._clock.now()))

    async def _write(self, tx: Tx, lead_id: UUID, words: Words, said: Prepared) -> None:
        """Write the values, the words that there are none, and where the lead works since."""
        now = self._clock.now()
        await write_values(tx, [(lead_id, said)], self._ids, now)
        if words.none:
            await tx.execute(
                SQL.add_nothing,
                lead_id=lead_id, source=HUMAN_SOURCE, method=METHOD,
                evidence=self._ids.new().bytes * 2, ids=self._ids.take(len(words.none)),
                fields=[field.value for field in words.none],
                ranks=[rank_of(field, SURE, now) for field in words.none], now=now,
            )  # fmt: skip
        rank = human_company_rank(now) if words.leaves_company else said.company_rank
        await tx.execute(
            SQL.touch_leads,
            ids=[lead_id], statuses=[None], failed_codes=[None],
            company_ids=[said.company_id], company_ranks=[rank], now=now,
        )  # fmt: skip

    async def _note_unmerged(self, tx: Tx, lead_id: UUID, editor: Editor) -> None:
        await tx.execute(
            SQL.add_activity,
            id=self._ids.new(),
            lead_id=lead_id,
            kind="unmerged",
            detail="",
            actor=editor.by,
            now=self._clock.now(),
        )

    async def _retag(
        self, tx: Tx, lead: LeadState, tags: tuple[str, ...], editor: Editor
    ) -> LeadTagged | None:
        if tags == lead.tags:
            return None
        await self._put(tx, lead, msgspec.structs.replace(lead, tags=tags), editor)
        return LeadTagged(lead.id, lead.version + 1, tags)

    async def _put(self, tx: Tx, before: LeadState, after: LeadState, editor: Editor) -> None:
        await write_states(tx, [before], [after], editor.by, self._clock.now())


def require_may_assign(editor: Editor) -> None:
    """Refuse who sees only his own leads: he would give them out of his sight. Raises: Denied."""
    if editor.mine is not None:
        raise Denied(
            "who sees only his own leads cannot give them away: ask a manager",
            code="leads.owner.denied",
        )


async def _lock_survivor(tx: Tx, lead_id: UUID) -> LeadState | None:
    """Lock who a lead is now; one merged meanwhile is let go and its survivor locked instead."""
    await tx.execute(SQL.mark_before_locks)
    while True:
        end = (await survivors(tx, [lead_id])).get(lead_id)
        if end is None:
            return None
        lead = (await lock_states(tx, [end])).get(end)
        if lead is None or lead.merged_into is None:
            return lead
        await tx.execute(SQL.give_locks_back)


def _require_visible(
    lead: LeadState, asked: UUID, editor: Editor, *, is_deleted: bool | None = False
) -> None:
    is_theirs = editor.mine is not None and lead.owner != editor.mine
    is_gone = is_deleted is not None and (lead.deleted_at is not None) != is_deleted
    if is_theirs or is_gone:
        raise _not_found(asked)


def _require_version(lead: LeadState, editor: Editor) -> None:
    if editor.if_match is not None and editor.if_match != lead.version:
        raise PreconditionFailed(
            f"lead {lead.id} is in version {lead.version} by now: look at it again",
            code="leads.version.other",
        )


def _not_found(lead_id: UUID) -> NotFound:
    return NotFound(f"there is no lead {lead_id}", code="leads.not_found")
