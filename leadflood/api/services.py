"""Services: all that a route may use, one struct, built by `app` for each life of the node."""

from collections.abc import Callable, Mapping, Sequence
from typing import Protocol

import msgspec

from leadflood.api.http.platform import Platform
from leadflood.domain.auth.service.lead_ownership import LeadOwnership
from leadflood.domain.bulk.service import BulkService
from leadflood.domain.discovery.service import DiscoveryService
from leadflood.domain.icp.service.icps import IcpService
from leadflood.domain.leads.activity_service import ActivityService
from leadflood.domain.leads.changes import LeadChanges
from leadflood.domain.leads.company_service import CompanyService
from leadflood.domain.leads.import_service import ImportService
from leadflood.domain.leads.service import LeadService
from leadflood.domain.learning.service import LearningService
from leadflood.domain.messaging.service import MessagingService
from leadflood.domain.notifications.service.notifications import NotificationService
from leadflood.domain.overview.service import LeadListService, OverviewService
from leadflood.domain.scoring.service import ScoringService
from leadflood.domain.users.service.team_settings import TeamSettings
from leadflood.domain.users.service.users import Users
from leadflood.engine.live_overrides import LiveOverrides
from leadflood.engine.net.gateway import ProviderGateway
from leadflood.engine.runtime import Engine


class BudgetDefaults(msgspec.Struct, frozen=True, kw_only=True):
    """The caps that a run gets when its caller names none; None: no cap."""

    currency: str
    run_micros: int | None
    lead_micros: int | None


class Services(Platform, frozen=True, kw_only=True):
    """The services of one life of the node, beside what the framework needs.

    `icps` to `notifications` are the use cases, slice by slice.
    `engine` is the engine's present life, `gate` the way to the outside, `live_overrides` what
    operators set by hand. `adapters` are the configured providers, `provider_names` all of them.
    `public_url` is how the outside reaches us; empty: not known.
    `explain_settings` lists every setting: its path, its value (secrets masked), its origin.
    """

    users: Users
    team: TeamSettings
    icps: IcpService
    leads: LeadService
    lead_changes: LeadChanges
    lead_lists: LeadListService
    companies: CompanyService
    activities: ActivityService
    imports: ImportService
    bulk: BulkService
    learning: LearningService
    overview: OverviewService
    owners: LeadOwnership
    scores: ScoringService
    messaging: MessagingService
    discovery: DiscoveryService
    notifications: NotificationService
    engine: Engine
    gate: ProviderGateway
    live_overrides: LiveOverrides
    adapters: Mapping[str, object]
    provider_names: Sequence[str]
    budget: BudgetDefaults
    public_url: str
    explain_settings: Callable[[], Sequence[tuple[str, str, str]]]


class Node(Protocol):
    """The node this process is. Ask it each time: after a burial its services are new ones."""

    @property
    def services(self) -> Services:
        """The services of its present life."""
