"""Services: all that a route may use, one struct, built by `wiring` for each life of the node."""

from collections.abc import Sequence
from typing import Protocol

from leadflood.api.http.platform import Platform
from leadflood.domain.activities.service import ActivityService
from leadflood.domain.auth.service.lead_ownership import LeadOwnership
from leadflood.domain.bulk_actions.service import BulkActionService
from leadflood.domain.companies.service import CompanyService
from leadflood.domain.discovery.service import DiscoveryService, SearchService
from leadflood.domain.drafting.service.templates import TemplateService
from leadflood.domain.duplicates.service import DuplicateService
from leadflood.domain.icp.service.icps import IcpService
from leadflood.domain.imports.service.dry_run import ImportPreviews
from leadflood.domain.imports.service.import_lifts import ImportLifts
from leadflood.domain.imports.service.imports import ImportService
from leadflood.domain.imports.service.saved_mappings import SavedMappings
from leadflood.domain.imports.service.uploads import ImportUploads
from leadflood.domain.lead_views.service.exports import LeadExports
from leadflood.domain.lead_views.service.icp_previews import IcpPreviews
from leadflood.domain.lead_views.service.lists import LeadLists
from leadflood.domain.lead_views.service.pages import LeadPages
from leadflood.domain.leads.service.creation import LeadCreation
from leadflood.domain.leads.service.editing import LeadEditing
from leadflood.domain.leads.service.leads import LeadService
from leadflood.domain.leads.service.merging import LeadMerging
from leadflood.domain.leads.service.reprocessing import LeadReprocessing
from leadflood.domain.learning.service import LearningService
from leadflood.domain.messages.service.approval import MessageApproval
from leadflood.domain.messages.service.messages import MessageService
from leadflood.domain.notifications.service.notifications import NotificationService
from leadflood.domain.runs.schemas import BudgetDefaults
from leadflood.domain.runs.service.jobs import JobService
from leadflood.domain.runs.service.runs import RunService
from leadflood.domain.scoring.service import ScoringService
from leadflood.domain.sending.service.dead_letters import DeadLetterService
from leadflood.domain.sending.service.suppressed_sends import SuppressedSends
from leadflood.domain.sending.service.switch import SendingSwitch
from leadflood.domain.sending.service.unknown_sends import UnknownSends
from leadflood.domain.sending.service.waiting_sends import WaitingSends
from leadflood.domain.suppressions.service.batches import SuppressionBatches
from leadflood.domain.suppressions.service.list_exports import SuppressionExports
from leadflood.domain.suppressions.service.opt_ins import OptInService
from leadflood.domain.suppressions.service.suppressions import SuppressionService
from leadflood.domain.suppressions.service.unsubscribing import UnsubscribeService
from leadflood.domain.users.service.lead_owners import LeadOwners
from leadflood.domain.users.service.team_settings import TeamSettings
from leadflood.domain.users.service.users import Users
from leadflood.engine.control.parts import Control
from leadflood.engine.runtime import Engine


class Services(Platform, frozen=True, kw_only=True):
    """The services of one life of the node, beside what the framework needs.

    `icps` to `notifications` are the use cases, slice by slice.
    `engine` is the engine's present life, `control` what operators ask and change of it.
    `provider_names` are all providers, configured or not.
    `public_url` is how the outside reaches us; empty: not known.
    """

    users: Users
    team: TeamSettings
    icps: IcpService
    runs: RunService
    jobs: JobService
    leads: LeadService
    lead_creation: LeadCreation
    lead_editing: LeadEditing
    lead_merging: LeadMerging
    lead_owners: LeadOwners
    lead_reprocessing: LeadReprocessing
    lead_lists: LeadLists
    lead_pages: LeadPages
    exports: LeadExports
    previews: IcpPreviews
    companies: CompanyService
    activities: ActivityService
    duplicates: DuplicateService
    imports: ImportService
    import_uploads: ImportUploads
    import_previews: ImportPreviews
    saved_mappings: SavedMappings
    import_lifts: ImportLifts
    bulk: BulkActionService
    learning: LearningService
    owners: LeadOwnership
    scores: ScoringService
    messages: MessageService
    approval: MessageApproval
    templates: TemplateService
    sending: SendingSwitch
    unknown_sends: UnknownSends
    waiting_sends: WaitingSends
    dead_letters: DeadLetterService
    suppressions: SuppressionService
    suppression_batches: SuppressionBatches
    suppression_exports: SuppressionExports
    suppressed_sends: SuppressedSends
    opt_ins: OptInService
    unsubscribing: UnsubscribeService
    discovery: DiscoveryService
    searches: SearchService
    notifications: NotificationService
    engine: Engine
    control: Control
    provider_names: Sequence[str]
    budget: BudgetDefaults
    public_url: str


class ServiceSource(Protocol):
    """The node this process is. Ask it each time: after an eviction its services are new ones."""

    @property
    def services(self) -> Services:
        """The services of its present life."""
