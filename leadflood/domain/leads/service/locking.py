"""Locking leads that somebody edits: the survivor, as the editor may see it, in their version."""

from uuid import UUID

from leadflood.domain.auth.schemas.principals import Editor
from leadflood.domain.leads.repository.lead_rows import lock_states
from leadflood.domain.leads.repository.leads import mark_before_locks, release_locks
from leadflood.domain.leads.repository.profiles import find_survivors
from leadflood.domain.leads.schemas.lead_states import LeadState
from leadflood.domain.leads.service.leads import lead_not_found
from leadflood.engine.db.tx import Tx
from leadflood.engine.errors import PreconditionFailed


async def lock_lead(
    tx: Tx, lead_id: UUID, editor: Editor, *, is_deleted: bool | None = False
) -> LeadState:
    """Lock a lead's survivor. Raises: NotFound when it is gone or hidden, PreconditionFailed.

    `is_deleted` None: whether it is deleted or not.
    """
    lead = await _lock_survivor(tx, lead_id)
    if lead is None:
        raise lead_not_found(lead_id)
    require_visible(lead, lead_id, editor, is_deleted=is_deleted)
    require_version(lead, editor)
    return lead


async def lock_pair(tx: Tx, lead_id: UUID, other_id: UUID) -> tuple[LeadState, LeadState]:
    """Lock the survivors of both in the order of their ids. Raises: NotFound."""
    await mark_before_locks(tx)
    while True:
        survivor_of = await find_survivors(tx, [lead_id, other_id])
        for requested_id in (lead_id, other_id):
            if requested_id not in survivor_of:
                raise lead_not_found(requested_id)
        locked = await lock_states(tx, survivor_of.values())
        if all(lead.merged_into is None for lead in locked.values()):
            return locked[survivor_of[lead_id]], locked[survivor_of[other_id]]
        await release_locks(tx)


async def _lock_survivor(tx: Tx, lead_id: UUID) -> LeadState | None:
    """Lock a lead's survivor; one merged meanwhile is released and its survivor locked instead."""
    await mark_before_locks(tx)
    while True:
        survivor = (await find_survivors(tx, [lead_id])).get(lead_id)
        if survivor is None:
            return None
        lead = (await lock_states(tx, [survivor])).get(survivor)
        if lead is None or lead.merged_into is None:
            return lead
        await release_locks(tx)


def require_visible(
    lead: LeadState, lead_id: UUID, editor: Editor, *, is_deleted: bool | None = False
) -> None:
    """Refuse a lead that is hidden or deleted, under the id asked for. Raises: NotFound."""
    is_gone = is_deleted is not None and (lead.deleted_at is not None) != is_deleted
    if is_gone or not editor.visibility.allows(lead.owner):
        raise lead_not_found(lead_id)


def require_version(lead: LeadState, editor: Editor) -> None:
    """Refuse another version than the editor means. Raises: PreconditionFailed."""
    if editor.if_match is not None and editor.if_match != lead.version:
        raise PreconditionFailed(
            f"lead {lead.id} is in version {lead.version} by now: look at it again",
            code="leads.version_conflict",
        )
