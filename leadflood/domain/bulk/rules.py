"""What a bulk action does to one lead, and what undoing it does. Pure.

An undoing gives back what was there before where the lead still has what the action gave it; else
somebody has changed it since, and his word stays.
"""

from collections.abc import Callable, Mapping
from datetime import datetime
from types import MappingProxyType

import msgspec

from leadflood.domain.bulk.schemas import Action, Before, Decision, ItemState, Verb
from leadflood.domain.leads.schemas import MOST_TAGS, LeadState

NOT_FOUND = "leads.not_found"
DELETED = "leads.lead.deleted"
MERGED = "leads.lead.merged"
FULL = "leads.tag.too_many"
CHANGED_SINCE = "bulk.changed_since"

_REACHES_DELETED = frozenset({Verb.RESTORE})
_replace = msgspec.structs.replace


def decide(action: Action, lead: LeadState | None, now: datetime) -> Decision:
    """Decide what an action does to a lead; None: the lead is gone."""
    code = _refusal(action, lead, reaches_deleted=action.verb in _REACHES_DELETED)
    if code or lead is None:
        return _refused(code or NOT_FOUND)
    return _DOES[action.verb](action, lead, now)


def decide_undo(action: Action, before: Before, lead: LeadState | None) -> Decision:
    """Decide what undoing an action does to a lead."""
    code = _refusal(action, lead, reaches_deleted=action.verb in {Verb.DELETE, Verb.RESTORE})
    if code or lead is None:
        return _refused(code or NOT_FOUND)
    return _UNDOES[action.verb](action, before, lead)


def _refusal(action: Action, lead: LeadState | None, *, reaches_deleted: bool) -> str:
    if lead is None or (action.sees_owner is not None and lead.owner != action.sees_owner):
        return NOT_FOUND
    if lead.merged_into is not None:
        return MERGED
    return DELETED if lead.deleted_at is not None and not reaches_deleted else ""


def _refused(code: str) -> Decision:
    return Decision(state=ItemState.REFUSED, code=code)


def _put(before: LeadState, after: LeadState) -> Decision:
    if after == before:
        return Decision(state=ItemState.UNCHANGED)
    return Decision(state=ItemState.DONE, after=after)


def _delete(action: Action, lead: LeadState, now: datetime) -> Decision:
    return _put(lead, _replace(lead, deleted_at=now, deleted_by=action.created_by))


def _restore(_action: Action, lead: LeadState, _now: datetime) -> Decision:
    return _put(lead, _replace(lead, deleted_at=None, deleted_by=None))


def _assign(action: Action, lead: LeadState, _now: datetime) -> Decision:
    return _put(lead, _replace(lead, owner=action.parameters.owner))


def _tag(action: Action, lead: LeadState, _now: datetime) -> Decision:
    tags = lead.tags_with(action.parameters.tag)
    return _refused(FULL) if len(tags) > MOST_TAGS else _put(lead, _replace(lead, tags=tags))


def _untag(action: Action, lead: LeadState, _now: datetime) -> Decision:
    return _put(lead, _replace(lead, tags=lead.tags_without(action.parameters.tag)))


def _start(_action: Action, _lead: LeadState, _now: datetime) -> Decision:
    return Decision(state=ItemState.DONE, starts=True)


_DOES: Mapping[Verb, Callable[[Action, LeadState, datetime], Decision]] = MappingProxyType(
    {
        Verb.DELETE: _delete,
        Verb.RESTORE: _restore,
        Verb.ASSIGN: _assign,
        Verb.TAG: _tag,
        Verb.UNTAG: _untag,
        Verb.ENRICH: _start,
        Verb.SCORE: _start,
    }
)


def _undelete(_action: Action, before: Before, lead: LeadState) -> Decision:
    if lead.deleted_at is None or lead.deleted_at != before.ended_at:
        return _refused(CHANGED_SINCE)
    return _deletion_back(before, lead)


def _delete_again(_action: Action, before: Before, lead: LeadState) -> Decision:
    return _refused(CHANGED_SINCE) if lead.deleted_at is not None else _deletion_back(before, lead)


def _deletion_back(before: Before, lead: LeadState) -> Decision:
    return _put(lead, _replace(lead, deleted_at=before.deleted_at, deleted_by=before.deleted_by))


def _own_again(action: Action, before: Before, lead: LeadState) -> Decision:
    if lead.owner != action.parameters.owner:
        return _refused(CHANGED_SINCE)
    return _put(lead, _replace(lead, owner=before.owner))


def _tags_back(action: Action, before: Before, lead: LeadState) -> Decision:
    """Give back the very tags there were; beside tags given since, only this one is undone."""
    if before.tags is not None and lead.tags == before.tags_after:
        return _put(lead, _replace(lead, tags=before.tags))
    tag, has_it = action.parameters.tag, action.parameters.tag in lead.tags
    if has_it is (action.verb is Verb.UNTAG):
        return _refused(CHANGED_SINCE)
    tags = lead.tags_without(tag) if has_it else lead.tags_with(tag)
    return _refused(FULL) if len(tags) > MOST_TAGS else _put(lead, _replace(lead, tags=tags))


_UNDOES: Mapping[Verb, Callable[[Action, Before, LeadState], Decision]] = MappingProxyType(
    {
        Verb.DELETE: _undelete,
        Verb.RESTORE: _delete_again,
        Verb.ASSIGN: _own_again,
        Verb.TAG: _tags_back,
        Verb.UNTAG: _tags_back,
    }
)
