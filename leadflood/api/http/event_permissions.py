"""Who may hear what: each kind of event needs a permission, and may be somebody's own.

An event of a slice that no row names is of the lead that its name speaks of (`area.lead.verb`), and
else for those who may look into the system: a new event is heard without a row of its own.
"""

from collections.abc import Mapping
from enum import StrEnum
from functools import lru_cache
from uuid import UUID

import msgspec

from leadflood.domain.auth.schemas import Permission, Principal
from leadflood.engine.obs.event_feed import LoggedEvent


class EventScope(StrEnum):
    """What an event tells of: a lead or an import (somebody's own), a user, or the whole team."""

    OWNED = "owned"
    USER = "user"
    TEAM = "team"


class EventRule(msgspec.Struct, frozen=True):
    """Who hears the events whose names begin so."""

    prefix: str
    permission: Permission
    about: EventScope


EVENT_RULES = (
    EventRule("leads.", Permission.LEADS_READ, EventScope.OWNED),
    EventRule("discovery.lead.", Permission.LEADS_READ, EventScope.OWNED),
    EventRule("discovery.", Permission.DISCOVERY_READ, EventScope.TEAM),
    EventRule("enrichment.", Permission.LEADS_READ, EventScope.OWNED),
    EventRule("features.", Permission.LEADS_READ, EventScope.OWNED),
    EventRule("scoring.", Permission.LEADS_READ, EventScope.OWNED),
    EventRule("learning.", Permission.ANALYTICS_READ, EventScope.TEAM),
    EventRule("messaging.", Permission.MESSAGES_READ, EventScope.OWNED),
    EventRule("notifications.", Permission.SELF, EventScope.USER),
    EventRule("icp.", Permission.ICPS_READ, EventScope.TEAM),
    EventRule("run.", Permission.DISCOVERY_READ, EventScope.TEAM),
    EventRule("accounts.", Permission.USERS_READ, EventScope.TEAM),
)
"""From the most special to the most general: the first that fits is meant."""

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
"""What older clients call an event; stands beside its own name."""


@lru_cache(maxsize=1_000)
def rule_for(event_type: str) -> EventRule:
    """Return who hears a kind of event."""
    default = LEAD_RULE if event_type.split(".")[1:2] == ["lead"] else SYSTEM_RULE
    return next((row for row in EVENT_RULES if event_type.startswith(row.prefix)), default)


class EventFilter(msgspec.Struct, frozen=True, kw_only=True):
    """What one listener is told: what he asked for of what he may hear.

    `types` empty: all; `sees_owner` None: the things of all. Equal views are told the same.
    """

    types: tuple[str, ...]
    subject: UUID | None
    run_id: UUID | None
    permissions: frozenset[Permission]
    user_id: UUID | None
    sees_owner: UUID | None

    def of(self, principal: Principal) -> "EventFilter":
        """Tell the view of somebody who asks for the same, or whose rights are others now."""
        return msgspec.structs.replace(
            self, permissions=principal.permissions, user_id=principal.user_id,
            sees_owner=principal.sees_owner,
        )  # fmt: skip

    def shows(self, event: LoggedEvent, owners: Mapping[UUID, str]) -> bool:
        """Tell whether an event is asked for and may be heard; `owners` of what it is about."""
        return self._wants(event) and self._may_hear(event, owners)

    def wants_type(self, event_type: str) -> bool:
        """Tell whether a kind of event is asked for, by its name or its alias."""
        alias = ALIASES.get(event_type, "")
        return not self.types or any(_fits(event_type, alias, name) for name in self.types)

    def _wants(self, event: LoggedEvent) -> bool:
        if self.subject is not None and event.subject != self.subject:
            return False
        if self.run_id is not None and event.run_id != self.run_id:
            return False
        return self.wants_type(event.type)

    def _may_hear(self, event: LoggedEvent, owners: Mapping[UUID, str]) -> bool:
        audience = rule_for(event.type)
        if audience.permission not in self.permissions:
            return False
        if audience.about is EventScope.USER:
            return self._is_told(event)
        if audience.about is EventScope.TEAM or self.sees_owner is None:
            return True
        return event.subject is not None and owners.get(event.subject) == str(self.sees_owner)

    def _is_told(self, event: LoggedEvent) -> bool:
        """Tell whether something is for this user, or for everybody with its permission."""
        told = _TOLD.decode(event.payload)
        if told.user_id is not None:
            return told.user_id == self.user_id
        return told.permission in self.permissions


class _Told(msgspec.Struct):
    user_id: UUID | None = None
    permission: str = ""


_TOLD = msgspec.json.Decoder(_Told)


def _fits(event_type: str, alias: str, name: str) -> bool:
    if name.endswith("*"):
        return event_type.startswith(name[:-1])
    return name in {event_type, alias}
