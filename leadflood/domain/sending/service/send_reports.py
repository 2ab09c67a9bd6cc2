"""Reports of claims on their sends, written to the intents."""

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from leadflood.domain.sending import repository
from leadflood.domain.sending.rules.transitions import (
    SendOutcome,
    SendReport,
    StateChange,
    plan_change,
)
from leadflood.domain.sending.schemas import IntentState, MessageApproved
from leadflood.engine.db.tx import Tx
from leadflood.engine.queue.event import Event


async def record_reports(
    tx: Tx, reports: Sequence[SendReport], now: datetime, *, publishes: bool = True
) -> dict[UUID, Event]:
    """Write what claims learned, and return the events that are due, by intent.

    An intent that is ready again although its call is lost is approved anew: the job that reports
    it is the last that knew of it. `publishes` False leaves the events to the commit of the job.
    """
    if not reports:
        return {}
    intents = await repository.lock_intents(tx, (report.intent_id for report in reports))
    changes: dict[UUID, StateChange] = {}
    events: dict[UUID, Event] = {}
    for report in reports:
        intent = intents.get(report.intent_id)
        if intent is None:
            continue
        if report.outcome is SendOutcome.LOST and intent.state is IntentState.READY:
            events[intent.id] = MessageApproved(intent.lead_id, intent.message_id, intent.id)
        change = plan_change(intent, report, publishes=publishes)
        if change is not None:
            changes.setdefault(intent.id, change)
    await repository.write_changes(tx, list(changes.values()), now)
    await repository.park(
        tx, [report for report in reports if report.outcome is SendOutcome.WAITING]
    )
    due_events = {intent_id: change.event for intent_id, change in changes.items()}
    return events | {
        intent_id: event for intent_id, event in due_events.items() if event is not None
    }
