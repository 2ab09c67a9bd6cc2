"""Services: all that a route may use, one struct, built by `app` for each life of the node."""

from collections.abc import Callable, Mapping, Sequence
from typing import Protocol

from leadflood.api.http.platform import Platform
from leadflood.domain.auth.service.lead_ownership import LeadOwnership
from leadflood.domain.bulk_actions.service import BulkActionService
from leadflood.domain.discovery.service import DiscoveryService, SearchService
from leadflood.domain.icp.service import IcpService
from leadflood.domain.imports.service.dry_run import ImportPreviews
from leadflood.domain.imports.service.imports import ImportService
from leadflood.domain.imports.service.uploads import ImportUploads
from leadflood.domain.lead_views.service.exports import LeadExports
from leadflood.domain.lead_views.service.icp_previews import IcpPreviews
from leadflood.domain.lead_views.service.lists import LeadLists
from leadflood.domain.lead_views.service.pages import LeadPages
from leadflood.domain.leads.activity_service import ActivityService
from leadflood.domain.leads.changes import LeadChanges
from leadflood.domain.leads.company_service import CompanyService
from leadflood.domain.leads.service import LeadService
from leadflood.domain.learning.service import LearningService
from leadflood.domain.messaging.service import MessagingService
from leadflood.domain.notifications.service import NotificationService
from leadflood.domain.runs.schemas import BudgetDefaults
from leadflood.domain.runs.service import RunService
from leadflood.domain.scoring.service import ScoringService
from leadflood.domain.users.service.lead_owners import LeadOwners
from leadflood.domain.users.service.team_settings import TeamSettings
from leadflood.domain.users.service.users import Users
from leadflood.engine.live_overrides import LiveOverrides
from leadflood.engine.net.gateway import ProviderGateway
from leadflood.engine.runtime import Engine


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
    runs: RunService
    leads: LeadService
    lead_changes: LeadChanges
    lead_lists: LeadLists
    lead_pages: LeadPages
    exports: LeadExports
    previews: IcpPreviews
    companies: CompanyService
    activities: ActivityService
    imports: ImportService
    import_uploads: ImportUploads
    import_previews: ImportPreviews
    bulk: BulkActionService
    learning: LearningService
    owners: LeadOwnership
    lead_owners: LeadOwners
    scores: ScoringService
    messaging: MessagingService
    discovery: DiscoveryService
    searches: SearchService
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
