"""Leads over HTTP: bring one in, look at one."""

from collections.abc import Sequence
from datetime import datetime
from http import HTTPStatus
from typing import Annotated
from uuid import UUID

import msgspec

from leadflood.api.edge import Caller, Node
from leadflood.api.icp import Icps
from leadflood.api.idempotency import remembered
from leadflood.api.route import Route
from leadflood.contracts.values import Band, Micros, SendsPolicy
from leadflood.domain.icp.schemas import Operator, RuleField, RuleKind, RuleValue
from leadflood.domain.leads.schemas import LeadInput, LeadView
from leadflood.domain.leads.service import LeadService
from leadflood.domain.messaging.schemas import MessageView
from leadflood.domain.overview.schemas import LeadRecord
from leadflood.domain.overview.service import OverviewService
from leadflood.domain.scoring.schemas import Prediction, SeenValue
from leadflood.engine.db.tx import Tx
from leadflood.engine.errors import Conflict, Invalid, NotFound
from leadflood.engine.queue import runs
from leadflood.engine.queue.runs import NewRun

Providers = tuple[Annotated[str, msgspec.Meta(max_length=40)], ...]
Cap = Annotated[int, msgspec.Meta(ge=0, le=10**15)]


class NewLead(LeadInput, frozen=True, kw_only=True, forbid_unknown_fields=True, rename="camel"):
    """A lead to bring in: enriched, scored and drafted for at once.

    `icpId` null means the newest ICP. `sends` says what may be sent for it, `providers` who may
    be asked (null: all), `capMicros` the most it may cost (null: the cap of the settings).
    """

    icp_id: UUID | None = None
    sends: SendsPolicy = SendsPolicy.HOLD
    providers: Providers | None = None
    cap_micros: Cap | None = None


class LeadMade(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """A lead is in; `jobId` is its first step, `runId` the whole of its way."""

    lead_id: UUID
    job_id: UUID
    run_id: UUID


class ContributionView(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """One part of a score; all parts sum to it exactly."""

    name: str
    points_milli: int


class RuleView(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """What one rule saw and gave; `seen` null: the value is not known."""

    position: int
    kind: RuleKind
    field: RuleField
    operator: Operator
    wanted: RuleValue
    seen: SeenValue | None
    is_met: bool
    points_milli: int
    worth_milli: int
    reason: str


class ScoreView(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """A score, why it is so, and what would make it HIGH. Points are in 1/1000."""

    id: UUID
    icp_id: UUID
    run_id: UUID | None
    score: float
    score_milli: int
    band: Band
    is_filtered_out: bool
    contributions: tuple[ContributionView, ...]
    trace: tuple[RuleView, ...]
    explanation: tuple[str, ...]
    algorithm: str
    algorithm_version: int
    created_at: datetime


class LeadDetail(LeadView, frozen=True, kw_only=True, rename="camel"):
    """A lead with all that is known, where it comes from, what it cost and what came of it.

    `score` null: it has none yet.
    """

    cost_micros: Micros
    records: Sequence[LeadRecord]
    score: ScoreView | None
    messages: Sequence[MessageView]


class Leads:
    """The routes of leads."""

    def __init__(self, node: Node, icps: Icps) -> None:
        self._node = node
        self._icps = icps

    @property
    def _leads(self) -> LeadService:
        return LeadService(self._node.storage.ids, self._node.storage.clock)

    @property
    def _overview(self) -> OverviewService:
        return OverviewService(self._node.storage.db)

    def routes(self) -> tuple[Route, ...]:
        """List the rows of the table."""
        return (
            Route(
                method="POST", path="/v1/leads", handler=self.create, permission="leads:write",
                status=HTTPStatus.CREATED, errors=(Invalid, NotFound, Conflict),
                is_idempotent=True,
            ),
            Route(
                method="GET", path="/v1/leads/{leadId}", handler=self.get,
                permission="leads:read", errors=(NotFound,),
            ),
        )  # fmt: skip

    async def create(self, body: NewLead, caller: Caller) -> LeadMade:
        """Bring a lead in: one run of one lead, enriched and scored at once."""
        icp_id = await self._icps.choose(body.icp_id)
        storage = self._node.storage
        async with self._node.publisher.transaction() as publication:
            async with remembered(publication.tx, caller, LeadMade, storage.clock) as memory:
                if memory.answer is None:
                    run_id = await self._open_run(publication.tx, body)
                    event = await self._leads.create(publication.tx, body, icp_id)
                    (job_id,) = await publication.publish(
                        [event], run_id=run_id, request_id=caller.request_id
                    )
                    memory.answer = LeadMade(lead_id=event.lead_id, job_id=job_id, run_id=run_id)
            made: LeadMade = memory.answer
        return made

    async def _open_run(self, tx: Tx, body: NewLead) -> UUID:
        storage = self._node.storage
        budget = storage.settings.budget
        new = NewRun(
            id=storage.ids.new(),
            kind="lead",
            title="one lead by the API",
            sends=body.sends.value,
            providers=body.providers,
            cap_micros=budget.run_micros if body.cap_micros is None else body.cap_micros,
            lead_cap_micros=budget.lead_micros,
        )
        return await runs.create(tx, new, storage.clock.now())

    async def get(self, lead_id: UUID) -> LeadDetail:
        """Show a lead: values, provenance, records, score with contributions, messages."""
        storage = self._node.storage
        view = await self._leads.get(storage.db, lead_id)
        records = await self._overview.list_records(view.id)
        scores = await storage.scores.scores_of([view.id])
        found = scores.get(view.id)
        return LeadDetail(
            **msgspec.structs.asdict(view),
            cost_micros=sum(record.cost_micros for record in records),
            records=records,
            score=None if found is None else self._show(found),
            messages=await self._node.messaging.list_of_lead(view.id),
        )

    def _show(self, found: Prediction) -> ScoreView:
        score = found.score
        return ScoreView(
            id=found.id, icp_id=found.icp_id, run_id=found.run_id,
            score=score.score_milli / 1000, score_milli=score.score_milli, band=score.band,
            is_filtered_out=score.is_filtered_out,
            contributions=tuple(
                ContributionView(name=part.name, points_milli=part.points_milli)
                for part in score.contributions
            ),
            trace=msgspec.convert(score.trace, tuple[RuleView, ...], from_attributes=True),
            explanation=tuple(self._node.storage.scores.explain(found)),
            algorithm=found.algorithm, algorithm_version=found.algorithm_version,
            created_at=found.created_at,
        )  # fmt: skip
