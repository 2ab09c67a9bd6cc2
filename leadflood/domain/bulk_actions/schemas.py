"""Bulk actions as they are wanted, run and read."""

from collections.abc import Sequence
from datetime import datetime
from enum import StrEnum
from typing import Any, ClassVar
from uuid import UUID

import msgspec
from typing_extensions import override

from leadflood.domain.leads.schemas import LeadState
from leadflood.engine.queue.event import Event

CHUNK = 500
"""How many leads a job takes."""

MOST_LEADS = 100_000
"""How many leads one action takes."""


class Verb(StrEnum):
    """What is done to each lead."""

    DELETE = "delete"
    RESTORE = "restore"
    ASSIGN = "assign"
    TAG = "tag"
    UNTAG = "untag"
    ENRICH = "enrich"
    SCORE = "score"


UNDOABLE = frozenset({Verb.DELETE, Verb.RESTORE, Verb.ASSIGN, Verb.TAG, Verb.UNTAG})
"""What can be taken back; what was asked of providers cannot."""


class ItemState(StrEnum):
    """What became of one lead. `unchanged`: it was so already. `refused`: it may not be done."""

    WAITING = "waiting"
    DONE = "done"
    UNCHANGED = "unchanged"
    REFUSED = "refused"
    FAILED = "failed"
    CANCELLED = "cancelled"


class ChunkWanted(Event, frozen=True, tag="bulk.chunk.wanted"):
    """A part of a bulk action is to be done: its items from `first` to `last`."""

    internal: ClassVar[bool] = True

    bulk_id: UUID
    first: int
    last: int

    @override
    def job_key(self) -> str:
        return str(self.first)


class Parameters(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """What an action needs to know: `owner` None is nobody, `icp_id` what to score for."""

    owner: str | None = None
    tag: str = ""
    icp_id: UUID | None = None
    is_forced: bool = False


class Money(msgspec.Struct, frozen=True, kw_only=True):
    """What an action may do outside: `providers` None asks all, a cap None is none."""

    sends: str = "never"
    providers: tuple[str, ...] | None = ()
    cap_micros: int | None = 0
    lead_cap_micros: int | None = None


class NewBulk(msgspec.Struct, frozen=True, kw_only=True):
    """An action to begin. `sees_owner` None: on all leads, else on this owner's only.

    `filter_text` None: the leads were named by their ids.
    """

    verb: Verb
    lead_ids: Sequence[UUID]
    by: str
    parameters: Parameters = Parameters()
    money: Money = Money()
    filter_text: str | None = None
    sees_owner: str | None = None


class Action(msgspec.Struct, frozen=True, kw_only=True):
    """An action as it is kept; `undoes` None: it is no undoing."""

    run_id: UUID
    verb: Verb
    parameters: Parameters
    filter_text: str | None
    item_count: int
    undoes: UUID | None
    sees_owner: str | None
    created_at: datetime
    created_by: str


class Before(msgspec.Struct, frozen=True, kw_only=True):
    """What a lead had before an action, what tags it had after, and when that was."""

    owner: str | None = None
    tags: tuple[str, ...] | None = None
    tags_after: tuple[str, ...] | None = None
    deleted_at: datetime | None = None
    deleted_by: str | None = None
    ended_at: datetime | None = None


class Item(msgspec.Struct, frozen=True, kw_only=True):
    """One lead of an action; `undone` is what the action that is undone kept of it."""

    run_id: UUID
    number: int
    lead_id: UUID
    undone: Before | None = None


class Decision(msgspec.Struct, frozen=True, kw_only=True):
    """What to do with one lead: `after` None writes nothing; `starts` work in the same run."""

    state: ItemState
    code: str | None = None
    after: LeadState | None = None
    starts: bool = False


class CodeCount(msgspec.Struct, frozen=True, kw_only=True):
    """How many leads it was not done for, and why."""

    code: str
    count: int


class Preview(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """What an action would do now: nothing was changed. `sample` are some of the leads."""

    count: int
    change_count: int
    unchanged_count: int
    refused: tuple[CodeCount, ...]
    sample: tuple[UUID, ...]


class ItemProblem(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """A lead that it was not done for."""

    lead_id: UUID
    state: ItemState
    code: str


class BulkView(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """An action and how far it is.

    `state`: running, completed or cancelled. `filter` null: the leads were named. `undoes` and
    `undoneBy` null: it undoes none, none undoes it. `problems` are the first hundred.
    """

    run_id: UUID
    action: Verb
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
