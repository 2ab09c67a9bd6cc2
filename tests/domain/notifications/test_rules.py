from datetime import UTC, datetime
from uuid import UUID, uuid4

import msgspec
import pytest
from leadflood.domain.notifications.rules import (
    describe_budgets,
    describe_dead_jobs,
    describe_events,
    describe_hold,
)
from leadflood.domain.notifications.schemas import (
    BudgetLevel,
    DeadJobs,
    NotableEvent,
    NotificationKind,
    RunFacts,
    SendingHold,
)

AT = datetime(2026, 3, 4, 5, 6, tzinfo=UTC)
RUN = UUID(int=7)


def a_run(**over: object) -> RunFacts:
    run = RunFacts(
        run_id=RUN,
        kind="discovery",
        title="100 leads",
        lead_count=0,
        high_count=0,
        waiting_count=0,
        exhausted_count=0,
    )
    return msgspec.structs.replace(run, **over)


def an_event(name: str, **payload: object) -> NotableEvent:
    return NotableEvent(type=name, at=AT, run_id=RUN, payload=payload)


def test_a_completed_run_gives_one_notification_with_its_counts() -> None:
    run = a_run(lead_count=1, high_count=3, waiting_count=2)

    [told] = describe_events([an_event("run.completed")] * 2, {RUN: run})

    assert told.kind is NotificationKind.RUN_COMPLETED
    assert told.title == "100 leads: done"
    assert told.body == "1 lead, 3 HIGH, 2 drafts to approve"
    assert told.subject == ("run", str(RUN))


def test_a_run_whose_cap_is_spent_gives_a_second_notification() -> None:
    told = describe_events([an_event("run.completed")], {RUN: a_run(exhausted_count=4)})

    assert [one.kind for one in told] == ["run.completed", "budget.spent"]
    assert told[1].body.startswith("4 leads")


@pytest.mark.parametrize(
    ("kind", "counts", "keys", "titles"),
    [
        ("discovery", {"unpaid_count": 1}, [f"money:{RUN}"], ["1 message waits for money"]),
        (
            "discovery",
            {"unpaid_count": 2, "unset_count": 3},
            [f"money:{RUN}", f"a setting:{RUN}"],
            ["2 messages wait for money", "3 messages wait for a setting"],
        ),
        ("lead", {"unset_count": 1}, ["a setting:2026-03-04"], ["1 message waits for a setting"]),
        ("lead", {}, [], []),
    ],
)
def test_a_run_that_ends_with_messages_that_wait_says_what_for(
    kind: str, counts: dict[str, int], keys: list[str], titles: list[str]
) -> None:
    run = a_run(kind=kind, **counts)

    notifications = describe_events([an_event("run.completed")] * 2, {RUN: run})

    waiting = [each for each in notifications if each.kind is NotificationKind.SENDS_WAITING]
    assert [each.key for each in waiting] == [f"waiting:{key}" for key in keys]
    assert [each.title for each in waiting] == [f"100 leads: {title}" for title in titles]


def test_a_run_for_one_lead_is_not_worth_a_notification() -> None:
    assert describe_events([an_event("run.completed")], {RUN: a_run(kind="lead")}) == []


@pytest.mark.parametrize(
    ("kind", "permission"),
    [("discovery", "discovery:read"), ("import", "leads:import"), ("bulk", "leads:write")],
)
def test_the_permission_to_see_a_run_s_notification_depends_on_its_kind(
    kind: str, permission: str
) -> None:
    [told] = describe_events([an_event("run.completed")], {RUN: a_run(kind=kind)})

    assert told.permission == permission


def test_drafts_give_one_notification_a_run_and_those_of_single_leads_one_a_day() -> None:
    drafted = [an_event("messaging.message.drafted") for _ in range(50)]

    [of_run] = describe_events(drafted, {RUN: a_run(waiting_count=50)})
    [of_day] = describe_events(drafted, {RUN: a_run(kind="lead", waiting_count=1)})

    assert (of_run.key, of_day.key) == (f"drafts:{RUN}", "drafts:2026-03-04")
    assert of_run.permission == "messages:approve"
    assert describe_events(drafted, {RUN: a_run()}) == []


def test_a_new_owner_gets_one_notification_an_hour_unless_they_are_no_user() -> None:
    ann = uuid4()
    owners = [str(ann)] * 300 + ["somebody", None]

    [told] = describe_events([an_event("leads.lead.assigned", owner=one) for one in owners], {})

    assert told.user_id == ann
    assert told.key == f"assigned:{ann}:2026-03-04T05"
    assert told.body.startswith("300 leads")


def test_a_search_whose_source_failed_names_the_code() -> None:
    [told] = describe_events(
        [an_event("discovery.run.failed", code="provider.down")], {RUN: a_run()}
    )

    assert told.kind is NotificationKind.SEARCH_FAILED
    assert told.body.startswith("provider.down")


def test_other_events_give_no_notification() -> None:
    assert describe_events([an_event("scoring.lead.scored")], {RUN: a_run()}) == []


def test_dead_jobs_give_one_notification_a_stage_cause_and_run() -> None:
    jobs = DeadJobs(stage="enrichment.run", error_code="x", run_id=RUN, count=2, died_at=AT)

    in_run, outside = describe_dead_jobs([jobs, msgspec.structs.replace(jobs, run_id=None)])

    assert in_run.key == f"dead:enrichment.run:x:{RUN}"
    assert outside.key == "dead:enrichment.run:x:2026-03-04"
    assert in_run.permission == "admin:read"


def test_each_hold_of_sending_gives_one_notification() -> None:
    first, second = (
        describe_hold(SendingHold(reason="restored", changed_at=at))
        for at in (AT, AT.replace(hour=9))
    )

    assert first[0].key != second[0].key
    assert describe_hold(None) == []


@pytest.mark.parametrize(("used", "is_told"), [(0, False), (89, False), (90, True), (130, True)])
def test_a_cap_gives_a_notification_when_nine_tenths_are_used(used: int, *, is_told: bool) -> None:
    told = describe_budgets(
        [BudgetLevel(scope="all:month:2026-03", cap_micros=100, used_micros=used)]
    )

    assert bool(told) == is_told
    assert all(one.title == f"{used} % of the month's budget is used" for one in told)
