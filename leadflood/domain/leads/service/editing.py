"""Editing one lead: correct its fields, delete, restore, assign, tag.

Each verb locks the lead's survivor, checks that the caller may see it and means this version,
and returns the event to publish; None where nothing was to change.
"""

import hashlib
from collections.abc import Sequence
from uuid import UUID

import msgspec

from leadflood.contracts.normalization.tags import normalize_tag
from leadflood.domain.auth.schemas.principals import Editor
from leadflood.domain.leads.repository.field_values import (
    EmptyFields,
    add_companies,
    insert_empty_fields,
    insert_values,
)
from leadflood.domain.leads.repository.identity_keys import (
    claim_keys,
    release_keys,
    share_keys,
)
from leadflood.domain.leads.repository.lead_rows import find_states, write_states
from leadflood.domain.leads.repository.leads import LeadUpdate, update_leads
from leadflood.domain.leads.repository.list_columns import refresh
from leadflood.domain.leads.repository.profiles import find_profiles, find_survivors
from leadflood.domain.leads.rules.edits import (
    FieldEdits,
    as_values,
    compare_keys,
    read_edits,
)
from leadflood.domain.leads.rules.prepared_values import (
    PreparedValues,
    human_company_rank,
    prepare_values,
)
from leadflood.domain.leads.schemas.events import (
    LeadAssigned,
    LeadDeleted,
    LeadRestored,
    LeadTagged,
    LeadUpdated,
)
from leadflood.domain.leads.schemas.identity import IdentityKey
from leadflood.domain.leads.schemas.inputs import LeadChange
from leadflood.domain.leads.schemas.lead_states import MOST_TAGS, LeadState
from leadflood.domain.leads.schemas.profiles import LeadProfile
from leadflood.domain.leads.service.hidden_leads import HiddenLeadLimit
from leadflood.domain.leads.service.leads import lead_not_found
from leadflood.domain.leads.service.locking import lock_lead
from leadflood.engine.clock import Clock
from leadflood.engine.db.tx import Tx
from leadflood.engine.errors import Conflict, Denied
from leadflood.engine.ids import Ids

METHOD = "leads.edit"


class LeadEditing:
    """The use cases of editing a lead."""

    def __init__(self, ids: Ids, clock: Clock) -> None:
        self._ids = ids
        self._clock = clock
        self._hidden = HiddenLeadLimit(clock)

    async def update(
        self, tx: Tx, lead_id: UUID, change: LeadChange, editor: Editor
    ) -> LeadUpdated | None:
        """Write what a person says of a lead.

        Raises: NotFound, PreconditionFailed; Invalid with the fields; Conflict when an address
        belongs to another lead.
        """
        edits = read_edits(change)
        before = (await find_profiles(tx, [lead_id])).get(lead_id)
        if before is None:
            raise lead_not_found(lead_id)
        edits = edits.with_name(before)
        refusal = await self._claim_keys(tx, before, compare_keys(before, edits).claimed, editor)
        prepared = self._prepare(edits, lead_id, editor)
        await add_companies(tx, [prepared], self._clock.now())
        lead = await lock_lead(tx, lead_id, editor)
        if refusal is not None:
            raise refusal
        profile = (await find_profiles(tx, [lead.id]))[lead.id]
        changed = edits.without_repeats(profile)
        if not changed:
            return None
        released = compare_keys(profile, edits).released
        await release_keys(tx, [(key, member) for key in released for member in profile.members])
        await self._write(tx, lead.id, edits, prepared)
        await refresh(tx, [lead.id])
        return LeadUpdated(lead.id, lead.version + 1, tuple(sorted(changed.fields)))

    async def delete(self, tx: Tx, lead_id: UUID, editor: Editor) -> LeadDeleted:
        """Take a lead out of sight; it can be restored. Raises: NotFound, PreconditionFailed."""
        lead = await lock_lead(tx, lead_id, editor)
        deleted = msgspec.structs.replace(lead, deleted_at=self._clock.now(), deleted_by=editor.by)
        await self._put(tx, lead, deleted, editor)
        return LeadDeleted(lead.id, lead.version + 1)

    async def restore(self, tx: Tx, lead_id: UUID, editor: Editor) -> LeadRestored | None:
        """Bring a deleted lead back; one that is there stays. Raises: NotFound."""
        lead = await lock_lead(tx, lead_id, editor, is_deleted=None)
        if lead.deleted_at is None:
            return None
        restored = msgspec.structs.replace(lead, deleted_at=None, deleted_by=None)
        await self._put(tx, lead, restored, editor)
        return LeadRestored(lead.id, lead.version + 1)

    async def assign(
        self, tx: Tx, lead_id: UUID, owner: str | None, editor: Editor
    ) -> LeadAssigned | None:
        """Assign a lead to an owner; None unassigns it.

        Raises: NotFound, PreconditionFailed; Denied for who sees only their own leads.
        """
        lead = await lock_lead(tx, lead_id, editor)
        if lead.owner == owner:
            return None
        require_may_assign(editor)
        await self._put(tx, lead, msgspec.structs.replace(lead, owner=owner), editor)
        return LeadAssigned(lead.id, lead.version + 1, owner)

    async def tag(self, tx: Tx, lead_id: UUID, tag: str, editor: Editor) -> LeadTagged | None:
        """Add a tag to a lead. Raises: NotFound, PreconditionFailed, Invalid, Conflict."""
        name = normalize_tag(tag)
        lead = await lock_lead(tx, lead_id, editor)
        tags = lead.tags_with(name)
        if len(tags) > MOST_TAGS:
            raise Conflict(
                f"lead {lead.id} has {MOST_TAGS} tags: take one away first",
                code="leads.tag.too_many",
            )
        return await self._retag(tx, lead, tags, editor)

    async def untag(self, tx: Tx, lead_id: UUID, tag: str, editor: Editor) -> LeadTagged | None:
        """Take a tag from a lead. Raises: NotFound, PreconditionFailed, Invalid."""
        name = normalize_tag(tag)
        lead = await lock_lead(tx, lead_id, editor)
        return await self._retag(tx, lead, lead.tags_without(name), editor)

    async def require_visible(self, tx: Tx, lead_id: UUID, editor: Editor) -> LeadState:
        """Lock a lead that something is to be done for. Raises: NotFound, PreconditionFailed."""
        return await lock_lead(tx, lead_id, editor)

    async def _claim_keys(
        self, tx: Tx, profile: LeadProfile, claimed: Sequence[IdentityKey], editor: Editor
    ) -> Conflict | None:
        """Claim the new identity keys; before the lead's lock, as everybody does.

        An address that belongs to another lead refuses the change; a weak key may be two
        people's.
        """
        if claimed:
            self._hidden.require(editor.visibility)
        owner_of = await claim_keys(tx, dict.fromkeys(claimed, profile.lead_id))
        others = {key: owner for key, owner in owner_of.items() if owner not in profile.members}
        for key, owner in sorted(others.items()):
            if key.is_strong:
                survivor = (await find_survivors(tx, [owner])).get(owner, owner)
                return await self._key_taken(tx, key.value, survivor, editor)
        await share_keys(tx, [(key, profile.lead_id) for key in others])
        return None

    def _prepare(self, edits: FieldEdits, lead_id: UUID, editor: Editor) -> PreparedValues:
        evidence = hashlib.sha256(f"{editor.by}\n{lead_id}\n{self._ids.new()}".encode())
        return prepare_values(as_values(edits, METHOD, evidence.hexdigest(), self._clock.now()))

    async def _write(
        self, tx: Tx, lead_id: UUID, edits: FieldEdits, prepared: PreparedValues
    ) -> None:
        """Write the values, the fields that have none, and where the lead works since."""
        now = self._clock.now()
        await insert_values(tx, [(lead_id, prepared)], self._ids, now)
        empty = EmptyFields(lead_id=lead_id, fields=edits.emptied, method=METHOD)
        await insert_empty_fields(tx, empty, self._ids, now)
        rank = human_company_rank(now) if edits.leaves_company else prepared.company_rank
        update = LeadUpdate(company_id=prepared.company_id, company_rank=rank)
        await update_leads(tx, {lead_id: update}, now)

    async def _retag(
        self, tx: Tx, lead: LeadState, tags: tuple[str, ...], editor: Editor
    ) -> LeadTagged | None:
        if tags == lead.tags:
            return None
        await self._put(tx, lead, msgspec.structs.replace(lead, tags=tags), editor)
        return LeadTagged(lead.id, lead.version + 1, tags)

    async def _put(self, tx: Tx, before: LeadState, after: LeadState, editor: Editor) -> None:
        await write_states(tx, [before], [after], editor.by, self._clock.now())

    async def _key_taken(self, tx: Tx, value: str, owner: UUID, editor: Editor) -> Conflict:
        """Return the refusal of an address that is another lead's; a hidden lead is not named."""
        lead = (await find_states(tx, [owner])).get(owner)
        if editor.visibility.is_limited and not (
            lead is not None and editor.visibility.allows(lead.owner)
        ):
            self._hidden.record(editor.visibility)
            detail = f"{value} belongs to a lead of somebody else: ask a manager"
        elif lead is not None and lead.deleted_at is not None:
            detail = (
                f"{value} belongs to lead {owner}, which was deleted: bring it back with"
                f" PUT /v1/leads/{owner}/restoration and merge the two"
            )
        else:
            detail = (
                f"{value} belongs to lead {owner}: if they are one person, merge them with"
                f" POST /v1/leads/{owner}/merge; else correct that lead first"
            )
        return Conflict(detail, code="leads.key.taken")


def require_may_assign(editor: Editor) -> None:
    """Refuse who sees only their own leads: they would lose sight of it. Raises: Denied."""
    if editor.visibility.is_limited:
        raise Denied(
            "who sees only their own leads cannot give them away: ask a manager",
            code="leads.owner.denied",
        )
