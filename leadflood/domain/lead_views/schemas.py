"""Leads as they are listed, exported and shown."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from enum import StrEnum
from typing import Annotated, Any
from uuid import UUID

import msgspec

from leadflood.contracts.found_values import Scalar
from leadflood.contracts.values import Band, FieldName, Micros
from leadflood.domain.auth.schemas.field_rights import needs
from leadflood.domain.auth.schemas.principals import EVERYTHING, Visibility
from leadflood.domain.auth.schemas.roles import Permission
from leadflood.domain.icp.schemas import Operator, RuleField, RuleKind, RuleValue
from leadflood.domain.leads.schemas.lead_states import LeadStatus
from leadflood.domain.leads.schemas.profiles import LeadView
from leadflood.domain.messages.schemas import MessageView
from leadflood.domain.scoring.schemas import FactValue, LeadCount, Needs, PreviewResult
from leadflood.domain.suppressions.schemas import OptInView


class LeadRecord(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """One answer of a provider that found a lead (`discovery`) or added to it (`enrichment`).

    `code` is why it said nothing or was not asked to the end; None when it gave its answer.
    """

    kind: str
    run_id: UUID
    provider: str
    state: str
    code: str | None
    is_found: bool
    is_cached: bool
    cost_micros: Micros
    at: datetime


class LeadSort(StrEnum):
    """Orders of leads; equals by id. A lead without a score is below all that have one."""

    NEWEST = "-createdAt"
    OLDEST = "createdAt"
    BEST = "-score"
    WORST = "score"
    LATEST = "-updatedAt"
    NAME = "name"


class LeadFilter(msgspec.Struct, frozen=True, kw_only=True):
    """A filter of leads; a field that is None does not filter. Text is compared as it is stored.

    `status`, `source`, `country`: the lead's own.
    `band`, `min_milli`, `max_milli`: its score, in 1/1000 of a point.
    `icp_id`, `run_id`: leads with a score for these; scores are then those for them.
    `owner`: whom it belongs to; `is_unowned`: nobody.
    `visibility`: whose leads may be seen, whatever else is asked.
    `tags`: all of them.
    `email`, `company_domain`, `company_id`: who the lead is, and where they work.
    `created_after`, `created_before`: when it was created.
    `q`: the words that a person typed.
    """

    status: LeadStatus | None = None
    band: Band | None = None
    min_milli: int | None = None
    max_milli: int | None = None
    icp_id: UUID | None = None
    run_id: UUID | None = None
    source: str | None = None
    owner: str | None = None
    is_unowned: bool = False
    visibility: Visibility = EVERYTHING
    country: str | None = None
    tags: tuple[str, ...] = ()
    email: str | None = None
    company_domain: str | None = None
    company_id: UUID | None = None
    created_after: datetime | None = None
    created_before: datetime | None = None
    q: str | None = None


class LeadPosition(msgspec.Struct, frozen=True, array_like=True):
    """The position of a lead in every sort: its id, last change, score (-1: none) and name."""

    id: UUID
    at: Annotated[datetime, msgspec.Meta(tz=True)]
    milli: Annotated[int, msgspec.Meta(ge=-1, le=100_000)]
    name: Annotated[str, msgspec.Meta(max_length=200, pattern=r"^[^\x00]*$")]


class LeadPaging(msgspec.Struct, frozen=True, kw_only=True):
    """A window of a list: so many from behind a position (None: from the beginning)."""

    sort: LeadSort = LeadSort.NEWEST
    after: LeadPosition | None = None
    offset: int = 0
    limit: int = 50


class Total(msgspec.Struct, frozen=True):
    """How many there are in all; exact up to 10,000, an estimate of the table beyond."""

    count: int
    is_estimate: bool


class LeadSummary(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """A lead in a list, with its newest score; the score's fields are None while it has none.

    `values` holds what is shown of a lead (name, title, e-mail, company, country) where known;
    `GET /v1/leads/{leadId}` shows everything.
    """

    id: UUID
    version: int
    status: LeadStatus
    failed_code: str | None
    source: str
    owner: str | None
    tags: tuple[str, ...]
    company_id: UUID | None
    values: dict[FieldName, Scalar]
    score: float | None
    band: Band | None
    icp_id: UUID | None
    run_id: UUID | None
    scored_at: datetime | None
    created_at: datetime
    updated_at: datetime


class ExportFormat(StrEnum):
    """The format of an export: CSV or XLSX for spreadsheets, one JSON array, or JSON a line."""

    CSV = "csv"
    XLSX = "xlsx"
    JSON = "json"
    NDJSON = "ndjson"


class ExportOptions(msgspec.Struct, frozen=True, kw_only=True):
    """How leads are exported.

    - `format`: the format of the file.
    - `columns`: its columns, by their headers.
    - `has_bom`: whether a CSV begins with a byte order mark, by which Excel knows UTF-8.
    """

    format: ExportFormat
    columns: tuple[str, ...]
    has_bom: bool = False


class ExportedLead(msgspec.Struct, frozen=True, kw_only=True):
    """A lead to be exported; without what its columns do not need.

    - `summary`: the lead as lists show it.
    - `values`: the values of its fields.
    - `owner_email`: the address of the user whose it is; None: nobody's.
    """

    summary: LeadSummary
    values: Mapping[FieldName, Scalar]
    owner_email: str | None = None


class ListedLead(msgspec.Struct, frozen=True):
    """A lead in a list and its position there."""

    lead: LeadSummary
    position: LeadPosition


class TimelineEvent(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """Something that happened to a lead; `run_id` None: outside a run."""

    id: UUID
    type: str
    at: datetime
    lead_id: UUID
    run_id: UUID | None
    payload: dict[str, Any]


class ContributionView(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """One part of a score; all parts sum to it exactly."""

    name: str
    points_milli: int


class RuleView(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """One rule's input and result; `seen` null: the value is not known.

    `error` not empty: why the rule cannot be evaluated. It counts for nothing then, and nobody is
    HIGH while a hard filter is such a rule.
    """

    position: int
    kind: RuleKind
    field: RuleField
    operator: Operator
    wanted: RuleValue
    seen: FactValue | None
    is_met: bool
    points_milli: int
    worth_milli: int
    reason: str
    error: str = ""


class ScoreView(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """A score, why it is so, and what would make it HIGH. Points are in 1/1000.

    `needs` are the fewest values that would have to be different; none for a lead that is HIGH.
    What tells the ICP's rules is left out for who may not read ICPs.
    """

    id: UUID
    icp_id: UUID
    run_id: UUID | None
    score: float
    score_milli: int
    band: Band
    is_filtered_out: bool
    contributions: Annotated[tuple[ContributionView, ...], needs(Permission.ICPS_READ)]
    trace: Annotated[tuple[RuleView, ...], needs(Permission.ICPS_READ)]
    explanation: Annotated[tuple[str, ...], needs(Permission.ICPS_READ)]
    needs: Annotated[Needs, needs(Permission.ICPS_READ)]
    algorithm: str
    algorithm_version: int
    created_at: datetime


class LeadDetail(LeadView, frozen=True, kw_only=True, rename="camel"):
    """A lead with all that is known, where it comes from, what it cost and its outcomes.

    `score` null: it has none yet. `optIns` are the person's agreements, live and withdrawn.
    """

    cost_micros: Micros
    records: Sequence[LeadRecord]
    score: ScoreView | None
    messages: Annotated[Sequence[MessageView], needs(Permission.MESSAGES_READ)]
    opt_ins: Sequence[OptInView]


class LeadPage(msgspec.Struct, frozen=True):
    """A lead's page, and the same as JSON."""

    lead: LeadDetail
    body: msgspec.Raw

    def is_visible_to(self, visibility: Visibility) -> bool:
        """Whether somebody with this visibility may see the lead."""
        return visibility.allows(self.lead.owner)


class IcpPreview(msgspec.Struct, frozen=True):
    """The scores of the leads there are under an ICP, and how many leads these are."""

    tally: PreviewResult
    total: LeadCount
