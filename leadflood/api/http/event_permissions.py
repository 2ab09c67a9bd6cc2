"""Event permissions: each kind of event needs a permission, and may belong to an owner.

An event that no rule names is about a lead where its name says so (`area.lead.verb`); any other
needs the permission to look into the system. So a new event is delivered without a rule of its own.
"""

from collections.abc import Mapping, Sequence
from enum import StrEnum
from functools import lru_cache
from typing import Final
from uuid import UUID

import msgspec

from leadflood.domain.auth.schemas.principals import EVERYTHING, Principal, Visibility
from leadflood.domain.auth.schemas.roles import Permission
from leadflood.domain.auth.service.lead_ownership import LeadOwnership
from leadflood.engine.db.tx import Reader
from leadflood.engine.obs.event_feed import LoggedEvent
from leadflood.engine.queue import runs
from leadflood.engine.queue.runs import Run

PROGRESS: Final = "run.progress"
"""The progress of a run in a stream; it is no event of the log."""


class EventScope(StrEnum):
    """The subject of an event: a lead or an import with an owner, a run, a user, or the team."""

    OWNED = "owned"
    RUN = "run"
    USER = "user"
    TEAM = "team"


class EventRule(msgspec.Struct, frozen=True):
    """The permission and the scope of the events whose names begin with `prefix`."""

    prefix: str
    permission: Permission
    scope: EventScope


EVENT_RULES = (
    EventRule("leads.", Permission.LEADS_READ, EventScope.OWNED),
    EventRule("discovery.lead.", Permission.LEADS_READ, EventScope.OWNED),
    EventRule("discovery.", Permission.DISCOVERY_READ, EventScope.RUN),
    EventRule("enrichment.", Permission.LEADS_READ, EventScope.OWNED),
    EventRule("features.", Permission.LEADS_READ, EventScope.OWNED),
    EventRule("scoring.", Permission.LEADS_READ, EventScope.OWNED),
    EventRule("learning.", Permission.ANALYTICS_READ, EventScope.TEAM),
    EventRule("messaging.", Permission.MESSAGES_READ, EventScope.OWNED),
    EventRule("notifications.", Permission.SELF, EventScope.USER),
    EventRule("icp.", Permission.ICPS_READ, EventScope.TEAM),
    EventRule("run.", Permission.DISCOVERY_READ, EventScope.RUN),
    EventRule("accounts.", Permission.USERS_READ, EventScope.TEAM),
)
"""From the most special to the most general: the first that matches applies."""

LEAD_RULE = EventRule("", Permission.LEADS_READ, EventScope.OWNED)
SYSTEM_RULE = EventRule("", Permission.ADMIN_READ, EventScope.TEAM)

ALIASES = {
    "leads.lead.created": "lead:created",
    "leads.lead.restored": "lead:created",
    "leads.lead.unmerged": "lead:created",
    "discovery.lead.discovered": "lead:created",
    "leads.lead.updated": "lead:updated",
    "leads.lead.assigned": "lead:updated",
    "leads.lead.tagged": "lead:updated",
    "enrichment.lead.enriched": "lead:updated",
    "scoring.lead.scored": "lead:updated",
    "leads.lead.deleted": "lead:deleted",
    "leads.lead.merged": "lead:deleted",
    "enrichment.lead.merged": "lead:deleted",
    "leads.activity.recorded": "user:activity",
    "notifications.notification.created": "notification",
}
"""The older names of events, which stand beside their own."""


@lru_cache(maxsize=1_000)
def rule_for(event_type: str) -> EventRule:
    """Return the rule of a kind of event."""
    default = LEAD_RULE if event_type.split(".")[1:2] == ["lead"] else SYSTEM_RULE
    return next((rule for rule in EVENT_RULES if event_type.startswith(rule.prefix)), default)


class EventOwners(msgspec.Struct, frozen=True):
    """The owners of the subjects of events, and the runs that events are about."""

    subjects: Mapping[UUID, str] = {}
    runs: Mapping[UUID, Run] = {}


NO_OWNERS = EventOwners()


class EventFilter(msgspec.Struct, frozen=True, kw_only=True):
    """The events that one listener gets: those asked for that they may see.

    `types`: names or aliases; empty: all.
    `subject`, `run_id`: what the events must be about; None: anything.
    `permissions`, `user_id`, `visibility`: the listener's rights.
    Listeners with equal filters get the same events.
    """

    types: tuple[str, ...]
    subject: UUID | None
    run_id: UUID | None
    permissions: frozenset[Permission]
    user_id: UUID | None
    visibility: Visibility = EVERYTHING

    def with_rights_of(self, principal: Principal) -> "EventFilter":
        """Return the same filter with the rights that a principal has now."""
        return msgspec.structs.replace(
            self,
            permissions=principal.permissions,
            user_id=principal.user_id,
            visibility=principal.visibility,
        )

    @property
    def needs_owners(self) -> bool:
        """Whether the owners of subjects decide what the listener may see."""
        return self.visibility.is_limited

    @property
    def follows_run(self) -> bool:
        """Whether the listener asks for the progress of a run, and may see it."""
        may_see = Permission.DISCOVERY_READ in self.permissions
        return self.run_id is not None and may_see and self.requests_type(PROGRESS)

    async def select(self, db: Reader, events: Sequence[LoggedEvent]) -> Sequence[LoggedEvent]:
        """Return the events that pass; owners are looked up only where the rights need them."""
        owners = await find_owners(db, events) if self.needs_owners else NO_OWNERS
        return [event for event in events if self.passes(event, owners)]

    def passes(self, event: LoggedEvent, owners: EventOwners) -> bool:
        """Whether an event is asked for and may be seen."""
        return self._is_requested(event) and self._may_see(event, owners)

    def requests_type(self, event_type: str) -> bool:
        """Whether a kind of event is asked for, by its name or its alias."""
        alias = ALIASES.get(event_type, "")
        return not self.types or any(_matches(event_type, alias, name) for name in self.types)

    def _is_requested(self, event: LoggedEvent) -> bool:
        if self.subject is not None and event.subject != self.subject:
            return False
        if self.run_id is not None and event.run_id != self.run_id:
            return False
        return self.requests_type(event.type)

    def _may_see(self, event: LoggedEvent, owners: EventOwners) -> bool:
        rule = rule_for(event.type)
        if rule.permission not in self.permissions:
            return False
        match rule.scope:
            case EventScope.TEAM | EventScope.RUN:
                return self._may_see_run(event, owners)
            case EventScope.USER:
                return self._is_addressee(event) and self._may_see_run(event, owners)
            case EventScope.OWNED:
                owner = None if event.subject is None else owners.subjects.get(event.subject)
                return self.visibility.allows(owner)

    def _may_see_run(self, event: LoggedEvent, owners: EventOwners) -> bool:
        """Whether the run of an event may be seen; one that is gone is hidden from the limited."""
        run_id = _run_of(event)
        if run_id is None or not self.visibility.is_limited:
            return True
        return run_id in owners.runs and self.visibility.allows_run(owners.runs[run_id])

    def _is_addressee(self, event: LoggedEvent) -> bool:
        """Whether an event is for this user, or for everybody with its permission."""
        addressee = _ADDRESSEE.decode(event.payload)
        if addressee.user_id is not None:
            return addressee.user_id == self.user_id
        return addressee.permission in self.permissions


async def find_owners(db: Reader, events: Sequence[LoggedEvent]) -> EventOwners:
    """Return the owners of what events are about; what nobody owns is left out."""
    subjects = {event.subject for event in events if event.subject is not None}
    run_ids = {run_id for event in events if (run_id := _run_of(event)) is not None}
    return EventOwners(
        await LeadOwnership(db).find_owners(list(subjects)),
        await runs.find(db, list(run_ids)),
    )


def _run_of(event: LoggedEvent) -> UUID | None:
    """Return the run that an event or a notification is about."""
    match rule_for(event.type).scope:
        case EventScope.USER:
            return _ADDRESSEE.decode(event.payload).about_run_id
        case EventScope.RUN:
            return event.run_id or event.subject
        case _:
            return event.run_id


class _Addressee(msgspec.Struct):
    user_id: UUID | None = None
    permission: str = ""
    about_run_id: UUID | None = None


_ADDRESSEE = msgspec.json.Decoder(_Addressee)


def _matches(event_type: str, alias: str, name: str) -> bool:
    if name.endswith("*"):
        return event_type.startswith(name[:-1])
    return name in {event_type, alias}
