"""Which facts become notifications: for whom, in which words, and by which key they are one."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from types import MappingProxyType
from uuid import UUID

from leadflood.domain.notifications.schemas import (
    RUN,
    BudgetLevel,
    CreatedKey,
    DeadJobs,
    FactorChange,
    NewNotification,
    NotableEvent,
    NotificationKind,
    RunFacts,
    SendingHold,
)

RUN_COMPLETED = "run.completed"
SEARCH_FAILED = "discovery.run.failed"
DRAFTED = "messaging.message.drafted"
UNKNOWN = "messaging.message.unknown"
ASSIGNED = "leads.lead.assigned"
STOPPED = "messaging.sends.stopped"
NOTABLE_EVENTS = (RUN_COMPLETED, SEARCH_FAILED, DRAFTED, UNKNOWN, ASSIGNED, STOPPED)
"""The events that become notifications."""

_FACTOR_CHANGES = {
    "auth.totp_removed": (
        NotificationKind.TOTP_REMOVED,
        "Your second factor was taken away",
        "The password alone lets you in now.",
    ),
    "auth.recovery_codes_renewed": (
        NotificationKind.RECOVERY_CODES_RENEWED,
        "New recovery codes were made for your second factor",
        "The former ones are void.",
    ),
}
FACTOR_ACTIONS = tuple(_FACTOR_CHANGES)
"""The acts on record that the owner of a second factor is told of."""

NEARLY_RATIO = 0.9
_SINGLE = "lead"
"""The kind of a run for one lead: notifications of such runs are one a day."""
_PERMISSIONS = {"import": "leads:import", "bulk": "leads:write", "csv": "leads:import"}


def describe_events(
    events: Sequence[NotableEvent], runs: Mapping[UUID, RunFacts]
) -> list[NewNotification]:
    """Return the notifications of events, in their order, each key once."""
    by_key: dict[str, NewNotification] = {}
    for event in events:
        for notification in _of_event(event, runs):
            by_key.setdefault(notification.key, notification)
    for notification in _of_assignments(event for event in events if event.type == ASSIGNED):
        by_key.setdefault(notification.key, notification)
    return list(by_key.values())


def describe_dead_jobs(dead_jobs: Iterable[DeadJobs]) -> list[NewNotification]:
    """Return the notifications of dead jobs: one a stage, cause and run, or a day outside runs."""
    return [
        NewNotification(
            key=f"dead:{jobs.stage}:{jobs.error_code}:{jobs.run_id or _day(jobs.died_at)}",
            kind=NotificationKind.JOBS_DEAD,
            permission="admin:read",
            title=f"Jobs of {jobs.stage} failed for good ({jobs.error_code})",
            body=f"{_count(jobs.count, 'dead letter')} so far: replay or discard them.",
            subject=_about_run(jobs.run_id),
        )
        for jobs in dead_jobs
    ]


def describe_hold(hold: SendingHold | None) -> list[NewNotification]:
    """Return the notification of a hold of sending, one for each."""
    if hold is None:
        return []
    return [
        NewNotification(
            key=f"held:{hold.changed_at.isoformat()}",
            kind=NotificationKind.SENDING_HELD,
            permission="messages:approve",
            title="Sending is held",
            body=f"The guard stopped it: {hold.reason}. An administrator has to release it.",
        )
    ]


def describe_created_keys(keys: Iterable[CreatedKey]) -> list[NewNotification]:
    """Return the notifications of new API keys, for their owners alone."""
    return [
        NewNotification(
            key=f"key:{key.id}",
            kind=NotificationKind.KEY_CREATED,
            permission="self",
            title=f"An API key was made in your name: {key.name}",
            body=f"It works until {key.expires_at:%Y-%m-%d}. If that was not you, revoke it and"
            " change your password.",
            subject=("api_key", str(key.id)),
            user_id=key.user_id,
        )
        for key in keys
    ]


def describe_factor_changes(changes: Iterable[FactorChange]) -> list[NewNotification]:
    """Return the notifications of second factors that got weaker, for their owners alone."""
    notifications = []
    for change in changes:
        kind, title, effect = _FACTOR_CHANGES[change.action]
        notifications.append(
            NewNotification(
                key=f"factor:{change.id}",
                kind=kind,
                permission="self",
                title=title,
                body=f"{effect} If that was not you, change your password, end your other sessions"
                " and ask an administrator for help.",
                subject=("user", str(change.user_id)),
                user_id=change.user_id,
            )
        )
    return notifications


def describe_budgets(budgets: Iterable[BudgetLevel]) -> list[NewNotification]:
    """Return the notifications of caps that are nearly used up, one in their day or month."""
    return [
        NewNotification(
            key=f"budget:{budget.scope}",
            kind=NotificationKind.BUDGET_NEARLY_SPENT,
            permission="settings:read",
            title=f"{_percent(budget)} % of the {_period(budget.scope)} is used",
            body="Paid calls wait until it renews once nothing is left.",
        )
        for budget in budgets
        if budget.cap_micros > 0 and budget.used_micros >= budget.cap_micros * NEARLY_RATIO
    ]


def _of_event(event: NotableEvent, runs: Mapping[UUID, RunFacts]) -> list[NewNotification]:
    run = runs.get(event.run_id) if event.run_id is not None else None
    match event.type:
        case "run.completed":
            return [] if run is None else [*_of_run(run), *_of_waiting(event, run)]
        case "discovery.run.failed":
            return _of_failure(event, run)
        case "messaging.message.drafted":
            return [] if run is None else _of_drafts(event, run)
        case _:
            describe = _DESCRIBERS.get(event.type)
            return [] if describe is None else [describe(event)]


def _of_run(run: RunFacts) -> list[NewNotification]:
    if run.kind == _SINGLE:
        return []
    completion = _completion_of(run)
    return [completion, _exhaustion_of(run)] if run.exhausted_count else [completion]


def _completion_of(run: RunFacts) -> NewNotification:
    counts = [_count(run.lead_count, "lead")] if run.lead_count else []
    counts += [f"{run.high_count} HIGH"] if run.high_count else []
    counts += [f"{_count(run.waiting_count, 'draft')} to approve"] if run.waiting_count else []
    return NewNotification(
        key=f"run:{run.run_id}",
        kind=NotificationKind.RUN_COMPLETED,
        permission=_permission_of(run),
        title=f"{run.title or run.kind}: done",
        body=", ".join(counts),
        subject=_about_run(run.run_id),
    )


def _exhaustion_of(run: RunFacts) -> NewNotification:
    return NewNotification(
        key=f"spent:{run.run_id}",
        kind=NotificationKind.BUDGET_SPENT,
        permission=_permission_of(run),
        title=f"{run.title or run.kind}: its cap is spent",
        body=f"{_count(run.exhausted_count, 'lead')} went on without more paid answers.",
        subject=_about_run(run.run_id),
    )


def _of_waiting(event: NotableEvent, run: RunFacts) -> list[NewNotification]:
    """Return what keeps a run's messages, once a run, or once a day for those of single leads."""
    is_single = run.kind == _SINGLE
    return [
        NewNotification(
            key=f"waiting:{cause}:{_day(event.at) if is_single else run.run_id}",
            kind=NotificationKind.SENDS_WAITING,
            permission="messages:approve",
            title=f"{run.title or run.kind}: {_count(count, 'message')} {verb} for {cause}",
            body=advice,
            subject=_about_run(run.run_id),
        )
        for count, cause, advice in (
            (
                run.unpaid_count,
                "money",
                "The cap of the run is spent: they go once somebody raises it (the run says how).",
            ),
            (
                run.unset_count,
                "a setting",
                "They go once an administrator has made it (the run says which).",
            ),
        )
        if count and (verb := "waits" if count == 1 else "wait")
    ]


def _permission_of(run: RunFacts) -> str:
    return _PERMISSIONS.get(run.kind, "discovery:read")


def _of_failure(event: NotableEvent, run: RunFacts | None) -> list[NewNotification]:
    subject = event.run_id
    if subject is None:
        return []
    return [
        NewNotification(
            key=f"failed:{subject}",
            kind=NotificationKind.SEARCH_FAILED,
            permission="discovery:read",
            title=f"{run.title if run else 'A search'}: the source did not go on",
            body=f"{event.payload.get('code', '')}: leads found so far go on.",
            subject=_about_run(subject),
        )
    ]


def _of_drafts(event: NotableEvent, run: RunFacts) -> list[NewNotification]:
    if not run.waiting_count:
        return []
    is_single = run.kind == _SINGLE
    return [
        NewNotification(
            key=f"drafts:{_day(event.at)}" if is_single else f"drafts:{run.run_id}",
            kind=NotificationKind.DRAFTS_WAITING,
            permission="messages:approve",
            title="Drafts wait for approval",
            body="" if is_single else run.title,
            subject=_about_run(None if is_single else run.run_id),
        )
    ]


def _of_unknown(event: NotableEvent) -> NewNotification:
    return NewNotification(
        key=f"unknown:{_day(event.at)}",
        kind=NotificationKind.SENDING_UNKNOWN,
        permission="admin:read",
        title="Nobody knows whether a message arrived",
        body="Look at the unknown sendings and say whether they arrived.",
    )


def _of_stopped(event: NotableEvent) -> NewNotification:
    suppression_id = str(event.payload.get("suppression_id"))
    return NewNotification(
        key=f"stopped:{suppression_id}",
        kind=NotificationKind.SENDS_STOPPED,
        permission="messages:approve",
        title=f"Due sends are stopped: a {event.payload.get('kind')} was suppressed",
        body=f"{event.payload.get('due_send_count')} are cancelled when their time comes, unless an"
        " administrator lifts the line; restoreSends brings back those cancelled until then.",
        subject=("suppression", suppression_id),
    )


_DESCRIBERS = MappingProxyType({UNKNOWN: _of_unknown, STOPPED: _of_stopped})


def _of_assignments(events: Iterable[NotableEvent]) -> list[NewNotification]:
    """Return the notifications of new owners, one an hour each; only users have any."""
    counts: dict[tuple[UUID, str], int] = {}
    for event in events:
        owner = _user_of(event.payload.get("owner"))
        if owner is not None:
            key = (owner, f"{event.at:%Y-%m-%dT%H}")
            counts[key] = counts.get(key, 0) + 1
    return [
        NewNotification(
            key=f"assigned:{owner}:{hour}",
            kind=NotificationKind.LEADS_ASSIGNED,
            permission="leads:read",
            title="Leads were assigned to you",
            body=f"{_count(count, 'lead')}, perhaps more within the hour.",
            user_id=owner,
        )
        for (owner, hour), count in counts.items()
    ]


def _user_of(owner: object) -> UUID | None:
    try:
        return UUID(owner) if isinstance(owner, str) else None
    except ValueError:
        return None


def _about_run(run_id: UUID | None) -> tuple[str, str]:
    return ("", "") if run_id is None else (RUN, str(run_id))


def _percent(budget: BudgetLevel) -> int:
    return budget.used_micros * 100 // budget.cap_micros


def _period(scope: str) -> str:
    return "month's budget" if ":month:" in scope else "day's budget"


def _day(at: datetime) -> str:
    return f"{at:%Y-%m-%d}"


def _count(number: int, noun: str) -> str:
    return f"{number:,} {noun}" if number == 1 else f"{number:,} {noun}s"
