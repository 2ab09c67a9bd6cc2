"""Changes that a bulk action and its undo make to one lead.

An undo restores what was there before while the lead still has what the action gave it; otherwise
somebody has changed it since, and that change stays.
"""

from collections.abc import Callable, Mapping
from datetime import datetime
from types import MappingProxyType

import msgspec

from leadflood.domain.bulk_actions.schemas import (
    BulkAction,
    BulkRequest,
    ItemState,
    PlannedChange,
    PreviousState,
    StoredAction,
)
from leadflood.domain.leads.schemas.lead_states import MOST_TAGS, LeadState
from leadflood.engine.errors import FieldProblem

NOT_FOUND = "leads.not_found"
DELETED = "leads.lead.deleted"
MERGED = "leads.lead.merged"
FULL = "leads.tag.too_many"
CHANGED_SINCE = "bulk.changed_since"

_REACHES_DELETED = frozenset({BulkAction.RESTORE})
_replace = msgspec.structs.replace


PARAMETERS: Mapping[BulkAction, frozenset[str]] = MappingProxyType(
    {
        BulkAction.DELETE: frozenset(),
        BulkAction.RESTORE: frozenset(),
        BulkAction.ASSIGN: frozenset({"ownerId"}),
        BulkAction.TAG: frozenset({"tag"}),
        BulkAction.UNTAG: frozenset({"tag"}),
        BulkAction.ENRICH: frozenset({"icpId", "sends", "providers", "capMicros", "force"}),
        BulkAction.SCORE: frozenset({"icpId"}),
    }
)
"""The parameters that each action takes."""
_REQUIRED = MappingProxyType(
    {"ownerId": "say whose they are to be; null: nobody's", "tag": "say which tag"}
)
"""The parameters that an action which takes them needs, and what is said when they are missing."""


def find_problems(request: BulkRequest) -> list[FieldProblem]:
    """Return what does not go together in a request."""
    takes = PARAMETERS[request.action]
    problems = [
        FieldProblem(name, f"does not go with {request.action.value}: leave it out")
        for name in sorted(request.parameters - takes)
    ]
    problems += [
        FieldProblem(name, _REQUIRED[name])
        for name in sorted((takes & _REQUIRED.keys()) - request.parameters)
    ]
    if request.has_ids is request.has_filter:
        problems.append(FieldProblem("ids", "give ids or a filter, one of both"))
    if request.action is BulkAction.RESTORE and request.has_filter:
        problems.append(FieldProblem("filter", "deleted leads are in no list: give ids"))
    return problems


def plan_change(action: StoredAction, lead: LeadState | None, now: datetime) -> PlannedChange:
    """Return what an action changes of a lead; None: the lead is gone."""
    code = _refusal_code(action, lead, reaches_deleted=action.action in _REACHES_DELETED)
    if code or lead is None:
        return _refused(code or NOT_FOUND)
    return _PLANS[action.action](action, lead, now)


def plan_undo(
    action: StoredAction, previous: PreviousState, lead: LeadState | None
) -> PlannedChange:
    """Return what undoing an action changes of a lead; None: the lead is gone."""
    code = _refusal_code(
        action, lead, reaches_deleted=action.action in {BulkAction.DELETE, BulkAction.RESTORE}
    )
    if code or lead is None:
        return _refused(code or NOT_FOUND)
    return _UNDO_PLANS[action.action](action, previous, lead)


def _refusal_code(action: StoredAction, lead: LeadState | None, *, reaches_deleted: bool) -> str:
    if lead is None or not action.visibility.allows(lead.owner):
        return NOT_FOUND
    if lead.merged_into is not None:
        return MERGED
    return DELETED if lead.deleted_at is not None and not reaches_deleted else ""


def _refused(code: str) -> PlannedChange:
    return PlannedChange(state=ItemState.REFUSED, code=code)


def _change(before: LeadState, after: LeadState) -> PlannedChange:
    if after == before:
        return PlannedChange(state=ItemState.UNCHANGED)
    return PlannedChange(state=ItemState.DONE, after=after)


def _delete(action: StoredAction, lead: LeadState, now: datetime) -> PlannedChange:
    return _change(lead, _replace(lead, deleted_at=now, deleted_by=action.created_by))


def _restore(_action: StoredAction, lead: LeadState, _now: datetime) -> PlannedChange:
    return _change(lead, _replace(lead, deleted_at=None, deleted_by=None))


def _assign(action: StoredAction, lead: LeadState, _now: datetime) -> PlannedChange:
    return _change(lead, _replace(lead, owner=action.parameters.owner))


def _tag(action: StoredAction, lead: LeadState, _now: datetime) -> PlannedChange:
    tags = lead.tags_with(action.parameters.tag)
    return _refused(FULL) if len(tags) > MOST_TAGS else _change(lead, _replace(lead, tags=tags))


def _untag(action: StoredAction, lead: LeadState, _now: datetime) -> PlannedChange:
    return _change(lead, _replace(lead, tags=lead.tags_without(action.parameters.tag)))


def _start(_action: StoredAction, _lead: LeadState, _now: datetime) -> PlannedChange:
    return PlannedChange(state=ItemState.DONE, starts=True)


_PLANS: Mapping[BulkAction, Callable[[StoredAction, LeadState, datetime], PlannedChange]] = (
    MappingProxyType(
        {
            BulkAction.DELETE: _delete,
            BulkAction.RESTORE: _restore,
            BulkAction.ASSIGN: _assign,
            BulkAction.TAG: _tag,
            BulkAction.UNTAG: _untag,
            BulkAction.ENRICH: _start,
            BulkAction.SCORE: _start,
        }
    )
)


def _undo_delete(_action: StoredAction, previous: PreviousState, lead: LeadState) -> PlannedChange:
    if lead.deleted_at is None or lead.deleted_at != previous.ended_at:
        return _refused(CHANGED_SINCE)
    return _restore_deletion(previous, lead)


def _undo_restore(_action: StoredAction, previous: PreviousState, lead: LeadState) -> PlannedChange:
    return (
        _refused(CHANGED_SINCE)
        if lead.deleted_at is not None
        else _restore_deletion(previous, lead)
    )


def _restore_deletion(previous: PreviousState, lead: LeadState) -> PlannedChange:
    return _change(
        lead, _replace(lead, deleted_at=previous.deleted_at, deleted_by=previous.deleted_by)
    )


def _undo_assign(action: StoredAction, previous: PreviousState, lead: LeadState) -> PlannedChange:
    if lead.owner != action.parameters.owner:
        return _refused(CHANGED_SINCE)
    return _change(lead, _replace(lead, owner=previous.owner))


def _undo_tags(action: StoredAction, previous: PreviousState, lead: LeadState) -> PlannedChange:
    """Restore the previous tags; if others were added since, undo only this one."""
    if previous.tags is not None and lead.tags == previous.tags_after:
        return _change(lead, _replace(lead, tags=previous.tags))
    tag, has_it = action.parameters.tag, action.parameters.tag in lead.tags
    if has_it is (action.action is BulkAction.UNTAG):
        return _refused(CHANGED_SINCE)
    tags = lead.tags_without(tag) if has_it else lead.tags_with(tag)
    return _refused(FULL) if len(tags) > MOST_TAGS else _change(lead, _replace(lead, tags=tags))


_UNDO_PLANS: Mapping[
    BulkAction, Callable[[StoredAction, PreviousState, LeadState], PlannedChange]
] = MappingProxyType(
    {
        BulkAction.DELETE: _undo_delete,
        BulkAction.RESTORE: _undo_restore,
        BulkAction.ASSIGN: _undo_assign,
        BulkAction.TAG: _undo_tags,
        BulkAction.UNTAG: _undo_tags,
    }
)
