"""Bulk actions: requests, their items, what is planned for each, and what is shown."""

from collections.abc import Sequence
from datetime import datetime
from enum import StrEnum
from typing import Any, ClassVar
from uuid import UUID

import msgspec
from typing_extensions import override

from leadflood.domain.auth.schemas.principals import EVERYTHING, Visibility
from leadflood.domain.leads.schemas.lead_states import LeadState
from leadflood.domain.runs.schemas import NO_SPENDING, RunLimits
from leadflood.engine.queue.event import Event

CHUNK = 500
"""How many leads a job takes."""

MOST_LEADS = 100_000
"""How many leads one action takes."""


class BulkAction(StrEnum):
    """The kinds of bulk actions."""

    DELETE = "delete"
    RESTORE = "restore"
    ASSIGN = "assign"
    TAG = "tag"
    UNTAG = "untag"
    ENRICH = "enrich"
    SCORE = "score"


UNDOABLE = frozenset(
    {BulkAction.DELETE, BulkAction.RESTORE, BulkAction.ASSIGN, BulkAction.TAG, BulkAction.UNTAG}
)
"""The actions that can be undone; requests to providers cannot."""


class ItemState(StrEnum):
    """The state of one lead. `unchanged`: it was so already. `refused`: it may not be done."""

    WAITING = "waiting"
    DONE = "done"
    UNCHANGED = "unchanged"
    REFUSED = "refused"
    FAILED = "failed"
    CANCELLED = "cancelled"


class ChunkWanted(Event, frozen=True, tag="bulk.chunk.wanted"):
    """A chunk of a bulk action is due: its items from `first` to `last`."""

    internal: ClassVar[bool] = True

    bulk_id: UUID
    first: int
    last: int

    @override
    def job_key(self) -> str:
        return str(self.first)


class BulkRequest(msgspec.Struct, frozen=True, kw_only=True):
    """A request as its rules see it: the parameters that it names, as JSON names them."""

    action: BulkAction
    parameters: frozenset[str]
    has_ids: bool
    has_filter: bool


class Parameters(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """The parameters of an action: `owner` None is nobody, `icp_id` what to score for."""

    owner: str | None = None
    tag: str = ""
    icp_id: UUID | None = None
    is_forced: bool = False


class NewBulkAction(msgspec.Struct, frozen=True, kw_only=True):
    """An action to start.

    - `lead_ids`: the leads it is about.
    - `by`: who starts it, as it is recorded.
    - `limits`: what its run may do.
    - `filter_text`: the filter that chose the leads; None: they were named by their ids.
    - `visibility`: the leads that it may change.
    """

    action: BulkAction
    lead_ids: Sequence[UUID]
    by: str
    parameters: Parameters = Parameters()
    limits: RunLimits = NO_SPENDING
    filter_text: str | None = None
    visibility: Visibility = EVERYTHING


class StoredAction(msgspec.Struct, frozen=True, kw_only=True):
    """An action as it is stored.

    - `run_id`: its id, and that of its run.
    - `filter_text`: the filter that chose the leads; None: they were named by their ids.
    - `item_count`: how many leads it is about.
    - `undoes`: the action that it undoes; None: none.
    - `visibility`: the leads that it may change.
    """

    run_id: UUID
    action: BulkAction
    parameters: Parameters
    filter_text: str | None
    item_count: int
    undoes: UUID | None
    visibility: Visibility
    created_at: datetime
    created_by: str


class PreviousState(msgspec.Struct, frozen=True, kw_only=True):
    """The change of a lead by an action.

    - `owner`, `tags`, `deleted_at`, `deleted_by`: what the lead had before.
    - `tags_after`: the tags it had after.
    - `ended_at`: when that was.
    """

    owner: str | None = None
    tags: tuple[str, ...] | None = None
    tags_after: tuple[str, ...] | None = None
    deleted_at: datetime | None = None
    deleted_by: str | None = None
    ended_at: datetime | None = None


class ActionItem(msgspec.Struct, frozen=True, kw_only=True):
    """One lead of an action; `previous` is what the action that is undone stored of it."""

    run_id: UUID
    number: int
    lead_id: UUID
    previous: PreviousState | None = None


class PlannedChange(msgspec.Struct, frozen=True, kw_only=True):
    """A change to make to one lead: `after` None writes nothing; `starts` work in the same run."""

    state: ItemState
    code: str | None = None
    after: LeadState | None = None
    starts: bool = False


class ItemResult(msgspec.Struct, frozen=True):
    """An item, what was planned for it, and its lead before; None: the lead is gone."""

    item: ActionItem
    change: PlannedChange
    before: LeadState | None


class StartedAction(msgspec.Struct, frozen=True, kw_only=True):
    """An action that is under way: `job_id` is its first chunk."""

    run_id: UUID
    job_id: UUID
    count: int


class CodeCount(msgspec.Struct, frozen=True, kw_only=True):
    """How many leads the action was not done for, by the reason."""

    code: str
    count: int


class BulkPreview(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """A preview of an action: nothing was changed. `sample` are some of the leads."""

    count: int
    change_count: int
    unchanged_count: int
    refused: tuple[CodeCount, ...]
    sample: tuple[UUID, ...]


class ItemProblem(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """A lead that the action was not done for, and why."""

    lead_id: UUID
    state: ItemState
    code: str


class BulkView(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """An action and how far it is.

    `state`: running, completed or cancelled. `filter` null: the leads were named. `undoes` and
    `undoneBy` null: it undoes none, none undoes it. `problems` are the first hundred.
    """

    run_id: UUID
    action: BulkAction
    parameters: Parameters
    filter: dict[str, Any] | None
    state: str
    count: int
    done_count: int
    unchanged_count: int
    refused_count: int
    failed_count: int
    cancelled_count: int
    left_count: int
    codes: tuple[CodeCount, ...]
    problems: tuple[ItemProblem, ...]
    undoes: UUID | None
    undone_by: UUID | None
    is_undoable: bool
    created_at: datetime
    created_by: str
    ended_at: datetime | None
