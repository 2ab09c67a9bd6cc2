"""Notifications, their readers, and the facts they are made of."""

from collections.abc import Mapping
from datetime import datetime
from enum import StrEnum
from uuid import UUID

import msgspec
from typing_extensions import override

from leadflood.domain.auth.schemas.principals import EVERYTHING, Visibility
from leadflood.engine.queue.event import Event


class Settings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How often the log is read, and how long notifications are kept."""

    look_seconds: float = 2.0
    keep_days: float = 90.0


class NotificationKind(StrEnum):
    """The subjects of notifications."""

    RUN_COMPLETED = "run.completed"
    SEARCH_FAILED = "search.failed"
    BUDGET_SPENT = "budget.spent"
    BUDGET_NEARLY_SPENT = "budget.nearly_spent"
    DRAFTS_WAITING = "drafts.waiting"
    LEADS_ASSIGNED = "leads.assigned"
    SENDING_HELD = "sending.held"
    SENDING_UNKNOWN = "sending.unknown"
    SENDS_STOPPED = "sends.stopped"
    SENDS_WAITING = "sends.waiting"
    JOBS_DEAD = "jobs.dead"
    KEY_CREATED = "api_key.created"
    TOTP_REMOVED = "totp.removed"
    RECOVERY_CODES_RENEWED = "recovery_codes.renewed"


RUN = "run"
"""The kind of a subject that is a run."""


class CreatedKey(msgspec.Struct, frozen=True):
    """An API key that was made, and whose it is."""

    id: UUID
    user_id: UUID
    name: str
    expires_at: datetime


class FactorChange(msgspec.Struct, frozen=True):
    """An act on record by which a second factor got weaker; `id` is the record's."""

    id: UUID
    user_id: UUID
    action: str


class NewNotification(msgspec.Struct, frozen=True, kw_only=True):
    """A notification to store.

    `key`: another one with the same key is the same notification.
    `permission`: a reader needs it.
    `subject` is what to look at, by its kind and its id; empty: nothing.
    `user_id` is the only reader; None: everybody with the permission.
    """

    key: str
    kind: NotificationKind
    permission: str
    title: str
    body: str = ""
    subject: tuple[str, str] = ("", "")
    user_id: UUID | None = None

    @property
    def about_run_id(self) -> UUID | None:
        """The run that it is about."""
        kind, subject_id = self.subject
        return UUID(subject_id) if kind == RUN else None


class NotificationView(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """A notification as its reader sees it.

    `subjectKind` and `subjectId` null: there is nothing to look at. `forMe`: the reader's alone.
    """

    id: UUID
    kind: NotificationKind
    title: str
    body: str
    subject_kind: str | None
    subject_id: str | None
    for_me: bool
    is_read: bool
    created_at: datetime


class NotificationReader(msgspec.Struct, frozen=True, kw_only=True):
    """A reader: `name` owns the marks; `user_id` None: an operator.

    `visibility` limited: what is about runs of others is hidden.
    """

    name: str
    user_id: UUID | None
    permissions: tuple[str, ...]
    visibility: Visibility = EVERYTHING


class NotificationCreated(Event, frozen=True, tag="notifications.notification.created"):
    """There is something to know for a user, or (None) for everybody with a permission.

    `about_run_id`: the run that it is about; None: no run.
    """

    notification_id: UUID
    kind: str
    title: str
    permission: str
    user_id: UUID | None
    about_run_id: UUID | None = None

    @override
    def subject(self) -> UUID:
        return self.notification_id


class NotableEvent(msgspec.Struct, frozen=True, kw_only=True):
    """An event of the log with its payload decoded; `run_id` None: outside a run."""

    type: str
    at: datetime
    run_id: UUID | None
    payload: Mapping[str, object]


class RunFacts(msgspec.Struct, frozen=True, kw_only=True):
    """The facts of a run that a notification needs.

    `unpaid_count`, `unset_count`: its messages that wait for money, or for a setting.
    """

    run_id: UUID
    kind: str
    title: str
    lead_count: int
    high_count: int
    waiting_count: int
    exhausted_count: int
    unpaid_count: int = 0
    unset_count: int = 0


class DeadJobs(msgspec.Struct, frozen=True, kw_only=True):
    """Jobs of one stage that died of one cause in one run (None: outside a run)."""

    stage: str
    error_code: str
    run_id: UUID | None
    count: int
    died_at: datetime


class BudgetLevel(msgspec.Struct, frozen=True, kw_only=True):
    """A cap over all providers, and what is used of it."""

    scope: str
    cap_micros: int
    used_micros: int


class SendingHold(msgspec.Struct, frozen=True, kw_only=True):
    """A hold of sending by the guard."""

    reason: str
    changed_at: datetime
