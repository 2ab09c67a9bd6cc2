"""What happens to a lead, on one page: which event starts a task of which stage.

leads.import ────────┐
discovery.run → enrichment.run → features.compute → scoring.compute
                                                         │ HIGH only
                                      message.send ← message.generate
"""

from leadflood.domain.bulk.schemas import ChunkWanted
from leadflood.domain.bulk.stage import BulkStage
from leadflood.domain.discovery.schemas import LeadDiscovered, PageWanted
from leadflood.domain.discovery.stage import DiscoveryStage
from leadflood.domain.enrichment.schemas import LeadEnriched, PersonClaimed
from leadflood.domain.enrichment.stage import EnrichmentStage
from leadflood.domain.features.schemas import FeaturesComputed
from leadflood.domain.features.stage import FeaturesStage
from leadflood.domain.leads.import_schemas import ImportPartWanted, UndoPartWanted
from leadflood.domain.leads.import_stage import ImportStage
from leadflood.domain.leads.schemas import EnrichmentWanted, LeadCreated, RescoreWanted
from leadflood.domain.messaging.schemas import MessageApproved
from leadflood.domain.messaging.stage import GenerateStage, SendStage, SuppressStage
from leadflood.domain.scoring.schemas import LeadQualified
from leadflood.domain.scoring.stage import ScoringStage
from leadflood.engine.queue.event_routes import Step

STEPS = (
    Step(on=ImportPartWanted, run=ImportStage.name),
    Step(on=UndoPartWanted, run=ImportStage.name),
    Step(on=PageWanted, run=DiscoveryStage.name),
    Step(on=LeadDiscovered, run=EnrichmentStage.name),
    Step(on=LeadCreated, run=EnrichmentStage.name),
    Step(on=EnrichmentWanted, run=EnrichmentStage.name),
    Step(on=LeadEnriched, run=FeaturesStage.name),
    Step(on=RescoreWanted, run=FeaturesStage.name),
    Step(on=FeaturesComputed, run=ScoringStage.name),
    Step(on=LeadQualified, run=GenerateStage.name),
    Step(on=MessageApproved, run=SendStage.name),
    Step(on=PersonClaimed, run=SuppressStage.name),
    Step(on=ChunkWanted, run=BulkStage.name),
)
