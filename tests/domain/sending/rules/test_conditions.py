from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest
from leadflood.contracts.values import Channel
from leadflood.domain.sending.rules.conditions import check_sendable
from leadflood.domain.sending.schemas import (
    HELD,
    ContactPast,
    EarlierMessage,
    IntentState,
    SendConditions,
)
from leadflood.engine.context import Allow, Defer, Deny

NOW = datetime(2026, 11, 22, tzinfo=UTC)
JOB = UUID(int=1)


def past(state: IntentState) -> ContactPast:
    return ContactPast(earlier=EarlierMessage(UUID(int=8), state, NOW - timedelta(days=3)))


def conditions(**over: object) -> SendConditions:
    fields: dict[str, object] = {
        "id": UUID(int=3),
        "state": IntentState.READY,
        "claim": None,
        "job_id": None,
        "lead_id": UUID(int=4),
        "mailbox_lead_id": None,
        "step": 1,
        "channel": Channel.EMAIL,
        "address_key": b"",
        "repeats": False,
        "to_address": "ada@acme.example",
        "latest_useful_at": NOW + timedelta(hours=1),
        "is_approved": True,
        "lead_gone": False,
        "lead_merged": False,
        "lead_deleted": False,
        "run_cancelled": False,
        "never_sends": False,
        "address_stands": True,
        "suppressed": False,
        "opted_in": False,
        "held": False,
    }
    return SendConditions(**(fields | over))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("over", "code"),
    [
        ({"lead_gone": True}, "lead.gone"),
        ({"lead_merged": True}, "lead.merged"),
        ({"lead_deleted": True}, "lead.deleted"),
        ({"run_cancelled": True}, "run.cancelled"),
        ({"never_sends": True}, "run.never_sends"),
        ({"is_approved": False}, "message.not_approved"),
        ({"suppressed": True}, "suppressed"),
        ({"address_stands": False}, "address.changed"),
        ({"channel": Channel.WHATSAPP}, "opt_in.missing"),
        ({"latest_useful_at": NOW - timedelta(seconds=1)}, "too_late"),
        ({"state": IntentState.SENDING, "claim": 2, "job_id": JOB}, "intent.sending"),
        ({"state": IntentState.SENDING, "claim": 1, "job_id": UUID(int=2)}, "intent.sending"),
        ({"state": IntentState.UNKNOWN}, "intent.unknown"),
        ({"past": past(IntentState.ACCEPTED)}, "already_written"),
        ({"past": past(IntentState.UNKNOWN)}, "already_written"),
    ],
)
def test_each_reason_refuses_a_sending_even_while_it_is_held(
    over: dict[str, object], code: str
) -> None:
    for held in (False, True):
        decision = check_sendable(conditions(**over | {"held": held}), 1, JOB, NOW, 10.0)

        assert isinstance(decision, Deny)
        assert decision.code == code


def test_a_free_sending_goes_and_a_held_one_waits() -> None:
    free, held = (
        check_sendable(conditions(held=held), 1, JOB, NOW, 10.0) for held in (False, True)
    )

    assert isinstance(free, Allow)
    assert isinstance(held, Defer)
    assert held.retry_after_seconds == 10.0


def test_a_first_message_under_way_is_waited_for_and_one_asked_for_by_name_goes() -> None:
    under_way = {"past": past(IntentState.SENDING)}

    waiting = check_sendable(conditions(**under_way), 1, JOB, NOW, 5.0)
    held = check_sendable(conditions(**under_way, held=True), 1, JOB, NOW, 5.0)
    repeated = check_sendable(
        conditions(past=past(IntentState.ACCEPTED), repeats=True), 1, JOB, NOW, 5.0
    )

    assert isinstance(waiting, Defer)
    assert waiting.reason != HELD
    assert isinstance(held, Defer)
    assert held.reason == HELD
    assert isinstance(repeated, Allow)
