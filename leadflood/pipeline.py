"""The pipeline on one page: which event starts a task of which stage.

imports.run ─────────┐
discovery.run → enrichment.run → features.compute → scoring.compute
                                                         │ HIGH only
                                      message.send ← message.generate
"""

from typing import Any

from leadflood.domain.bulk_actions.schemas import ChunkWanted
from leadflood.domain.bulk_actions.stage import BulkActionStage
from leadflood.domain.discovery.schemas import LeadDiscovered, PageWanted
from leadflood.domain.discovery.stage import DiscoveryStage
from leadflood.domain.enrichment.schemas import LeadEnriched
from leadflood.domain.enrichment.stage import EnrichmentStage
from leadflood.domain.features.schemas import FeaturesComputed
from leadflood.domain.features.stage import FeaturesStage
from leadflood.domain.imports.schemas.events import ImportPartWanted, UndoPartWanted
from leadflood.domain.imports.stage import ImportStage
from leadflood.domain.leads.schemas.events import (
    EnrichmentWanted,
    LeadCreated,
    PersonClaimed,
    RescoreWanted,
)
from leadflood.domain.messages.stage import GenerateStage
from leadflood.domain.scoring.schemas import LeadQualified
from leadflood.domain.scoring.stage import ScoringStage
from leadflood.domain.sending.schemas import MessageApproved
from leadflood.domain.sending.stage import SendStage
from leadflood.domain.suppressions.stage import SuppressStage
from leadflood.engine.queue.event_routes import Step
from leadflood.engine.queue.stage import Stage

STEPS = (
    Step(on=ImportPartWanted, run=ImportStage),
    Step(on=UndoPartWanted, run=ImportStage),
    Step(on=PageWanted, run=DiscoveryStage),
    Step(on=LeadDiscovered, run=EnrichmentStage),
    Step(on=LeadCreated, run=EnrichmentStage),
    Step(on=EnrichmentWanted, run=EnrichmentStage),
    Step(on=LeadEnriched, run=FeaturesStage),
    Step(on=RescoreWanted, run=FeaturesStage),
    Step(on=FeaturesComputed, run=ScoringStage),
    Step(on=LeadQualified, run=GenerateStage),
    Step(on=MessageApproved, run=SendStage),
    Step(on=PersonClaimed, run=SuppressStage),
    Step(on=ChunkWanted, run=BulkActionStage),
)
STAGES: dict[str, type[Stage[Any, Any, Any]]] = {step.run.name: step.run for step in STEPS}
STAGE_NAMES = tuple(STAGES)
