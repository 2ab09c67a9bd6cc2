"""Scores: predictions with their contributions and traces. Points are whole 1/1000s."""

from datetime import datetime
from typing import ClassVar
from uuid import UUID

import msgspec
from typing_extensions import override

from leadflood.contracts.found_values import Scalar
from leadflood.contracts.values import Band, FieldName
from leadflood.domain.icp.schemas import Operator, RuleField, RuleKind, RuleValue
from leadflood.domain.leads.schemas.events import LeadEvent

FactValue = bool | int | float | str | tuple[str, ...]
"""The value of a feature, as a rule looks at it."""

MAX_SEEN_CHARS = 200
MAX_SEEN_ITEMS = 50
"""How much of a fact a trace and a sentence hold."""


class LeadScored(LeadEvent, frozen=True, tag="scoring.lead.scored"):
    """A lead has a score for an ICP version; points are 1/1000.

    `source_version` is the version of the lead that was scored: of two scores of a lead the one
    of the greater version is the newer, in whichever order they arrive.
    """

    icp_id: UUID
    prediction_id: UUID
    score_milli: int
    band: str
    source_version: int

    @override
    def version(self) -> int:
        return self.source_version


class LeadQualified(LeadEvent, frozen=True, tag="scoring.lead.qualified"):
    """A lead scored HIGH, and its newest score is HIGH: it gets a draft."""

    internal: ClassVar[bool] = True

    icp_id: UUID
    prediction_id: UUID


class Contribution(msgspec.Struct, frozen=True, array_like=True):
    """One part of a score: `rule.2`, `filter.0`, `clamp`, later `model` or `llm`."""

    name: str
    points_milli: int


class RuleTrace(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The evaluation of one rule for one lead.

    `position` is the rule's in the ICP.
    `kind`, `field`, `operator` and `wanted` are the rule.
    `seen` is the fact it looked at; None: unknown.
    `points_milli` is what it gave, `worth_milli` what it gives when it is met.
    `reason` says it in words.
    `error` not empty: why the rule cannot be evaluated.
    """

    position: int
    kind: RuleKind
    field: RuleField
    operator: Operator
    wanted: RuleValue
    seen: FactValue | None = None
    is_met: bool
    points_milli: int = 0
    worth_milli: int = 0
    reason: str
    error: str = ""


class Score(msgspec.Struct, frozen=True, kw_only=True):
    """A score: exactly the sum of its contributions."""

    score_milli: int
    band: Band
    is_filtered_out: bool
    contributions: tuple[Contribution, ...]
    trace: tuple[RuleTrace, ...]


class Prediction(msgspec.Struct, frozen=True, kw_only=True):
    """A score as it is stored. `run_id` None: computed outside a run.

    `source_version` is the version of the lead that was scored.
    """

    id: UUID
    lead_id: UUID
    icp_id: UUID
    run_id: UUID | None
    snapshot_id: UUID
    source_version: int
    algorithm: str
    algorithm_version: int
    medium_milli: int
    high_milli: int
    score: Score
    created_at: datetime


class Change(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """One value that would have to be different.

    `to` is a value that does it; None means not known. `pattern` set: any text that matches it.
    """

    field: RuleField
    words: str
    to: FactValue | None
    pattern: str | None = None
    gain_milli: int


class Needs(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """The fewest changes that reach a band. Not `is_reachable`: these rules cannot give it."""

    band: Band
    is_reachable: bool
    changes: tuple[Change, ...] = ()
    reaches_milli: int = 0


class BandCounts(msgspec.Struct, frozen=True, kw_only=True):
    """How many leads of a run have which band."""

    low: int
    medium: int
    high: int

    @property
    def scored(self) -> int:
        """All that have a score."""
        return self.low + self.medium + self.high


class RuleCount(msgspec.Struct, frozen=True, kw_only=True):
    """The evaluations of one rule, counted over many leads.

    Met, not met and unknown sum to all of them.
    `kept_as_only_filter`: how many would remain if it alone were a HARD_FILTER (an unknown value
    meets NEQ, NOT_IN and EXISTS = false).
    `fit_as_filter`: how many of those that fit now would still.
    `error` not empty: why the rule cannot be evaluated.
    """

    position: int
    kind: RuleKind
    field: RuleField
    operator: Operator
    wanted: RuleValue
    worth_milli: int
    met_count: int
    not_met_count: int
    unknown_count: int
    kept_as_only_filter: int
    fit_as_filter: int
    error: str = ""


class PreviewedLead(msgspec.Struct, frozen=True, kw_only=True):
    """A lead with the score it would have; `shown` are the values that identify it to people."""

    lead_id: UUID
    shown: dict[FieldName, Scalar]
    score: Score


class PreviewResult(msgspec.Struct, frozen=True, kw_only=True):
    """The scores of many leads by some rules. MEDIUM and HIGH fit; filtered ones are LOW."""

    evaluated_count: int
    fit_count: int
    filtered_out_count: int
    bands: BandCounts
    rules: tuple[RuleCount, ...]
    sample: tuple[PreviewedLead, ...]


class LeadCount(msgspec.Struct, frozen=True, kw_only=True):
    """How many leads there are, exact up to a bound; beyond it an estimate."""

    count: int
    is_estimate: bool
