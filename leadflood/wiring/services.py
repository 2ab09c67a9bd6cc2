"""The services of the API, built for one life of the node."""

import msgspec

from leadflood.api.http.in_flight import InFlightRequests
from leadflood.api.services import Services
from leadflood.domain.activities.service import ActivityService
from leadflood.domain.auth.service.lead_ownership import LeadOwnership
from leadflood.domain.bulk_actions.service import BulkActionService
from leadflood.domain.companies.service import CompanyService
from leadflood.domain.discovery.service import DiscoveryService, SearchService
from leadflood.domain.imports.service.dry_run import ImportPreviews
from leadflood.domain.imports.service.imports import ImportService
from leadflood.domain.imports.service.saved_mappings import SavedMappings
from leadflood.domain.imports.service.uploads import ImportUploads
from leadflood.domain.lead_views.service.exports import LeadExports
from leadflood.domain.lead_views.service.icp_previews import IcpPreviews
from leadflood.domain.lead_views.service.lists import LeadLists
from leadflood.domain.lead_views.service.pages import LeadPages
from leadflood.domain.leads.service.creation import LeadConsent, LeadCreation
from leadflood.domain.leads.service.editing import LeadEditing
from leadflood.domain.leads.service.leads import LeadService
from leadflood.domain.leads.service.merging import LeadMerging
from leadflood.domain.leads.service.reprocessing import LeadReprocessing
from leadflood.domain.learning.service import LearningService
from leadflood.domain.notifications.service.notifications import NotificationService
from leadflood.domain.runs.service.jobs import JobService
from leadflood.domain.users.service.lead_owners import LeadOwners
from leadflood.engine.control.parts import Control
from leadflood.engine.runtime import Engine
from leadflood.wiring.messaging import Messaging
from leadflood.wiring.storage import Storage


class ServiceParts(msgspec.Struct, frozen=True, kw_only=True):
    """What the services of one life of the node are built from."""

    storage: Storage
    engine: Engine
    control: Control
    messaging: Messaging
    discovery: DiscoveryService
    in_flight: InFlightRequests


def build_services(parts: ServiceParts) -> Services:
    """Build the services that routes use."""
    storage, messaging, settings = parts.storage, parts.messaging, parts.storage.settings
    db, ids, clock = storage.db, storage.ids, storage.clock
    provider_names = tuple(settings.providers)
    leads, lead_lists, owners = LeadService(), LeadLists(db), LeadOwnership(db)
    lead_owners = LeadOwners(storage.users)
    return Services(
        db=db,
        ids=ids,
        clock=clock,
        publisher=parts.engine.publisher,
        accounts=storage.accounts,
        audit=storage.audit,
        in_flight=parts.in_flight,
        users=storage.users,
        team=storage.team,
        icps=storage.icps,
        runs=storage.runs,
        jobs=JobService(db, owners),
        leads=leads,
        lead_creation=LeadCreation(
            storage.icps,
            LeadConsent(messaging.opt_ins, messaging.stated_consent),
            storage.runs,
            ids,
            clock,
        ),
        lead_editing=LeadEditing(ids, clock),
        lead_merging=LeadMerging(ids, clock),
        lead_owners=lead_owners,
        lead_reprocessing=LeadReprocessing(storage.runs),
        lead_lists=lead_lists,
        lead_pages=LeadPages(db, leads, messaging.messages, messaging.opt_ins),
        exports=LeadExports(db, lead_lists, storage.audit),
        previews=IcpPreviews(storage.scores, clock),
        companies=CompanyService(ids, clock, storage.budget.currency),
        activities=ActivityService(ids, clock),
        duplicates=storage.duplicates,
        imports=ImportService(db, clock, storage.icps, lead_owners, storage.runs, provider_names),
        import_uploads=ImportUploads(ids, clock),
        import_previews=ImportPreviews(db, ids, clock, storage.budget.currency),
        saved_mappings=SavedMappings(db, ids, clock),
        bulk=BulkActionService(db, clock, storage.runs, lead_lists),
        learning=LearningService(db, ids, clock, leads, storage.icps),
        owners=owners,
        notifications=NotificationService(db, clock),
        scores=storage.scores,
        messages=messaging.messages,
        approval=messaging.approval,
        templates=messaging.templates,
        sending=messaging.sending,
        unknown_sends=messaging.unknown_sends,
        waiting_sends=messaging.waiting_sends,
        dead_letters=messaging.dead_letters,
        suppressions=messaging.suppressions,
        import_lifts=messaging.import_lifts,
        suppression_batches=messaging.suppression_batches,
        suppression_exports=messaging.suppression_exports,
        suppressed_sends=messaging.suppressed_sends,
        opt_ins=messaging.opt_ins,
        unsubscribing=messaging.unsubscribing,
        discovery=parts.discovery,
        searches=SearchService(db, ids, parts.discovery, storage.icps, storage.runs),
        engine=parts.engine,
        control=parts.control,
        provider_names=provider_names,
        budget=storage.budget,
        public_url=settings.http.public_url,
    )
