import anyio
import msgspec
import pytest
from leadflood.contracts.errors import ProviderDown, ProviderKeyRefused, ProviderRefused
from leadflood.contracts.ports.sender import Receipt
from leadflood.contracts.values import Channel
from leadflood.domain.sending.repository import find_intents, own_sending_lock
from leadflood.domain.sending.schemas import (
    IntentState,
    MessageAccepted,
    MessageApproved,
    MessageRefused,
    MessageUnknown,
)
from leadflood.domain.suppressions.schemas import SuppressionKind
from leadflood.engine.context import Allow, Defer, Deny
from leadflood.engine.db.pool import Database
from leadflood.engine.errors import CapSpent, Denied, NotConfigured, Transient, Unsure
from leadflood.engine.net.calls import Cut
from leadflood.engine.queue import runs
from leadflood.engine.queue.outcome import Cancelled, Discard, Done, Snooze
from leadflood.engine.queue.stage import FinishedTask
from tests.support.messaging import SETTINGS, World
from tests.support.statements import sql

pytestmark = pytest.mark.pg
DAY_SECONDS = 86_400.0


@pytest.fixture
async def world(database: Database) -> World:
    made = World(database)
    await made.release()
    return made


async def test_an_approved_message_is_authorized_sent_and_accepted_once(world: World) -> None:
    [event] = await world.approved()
    job = await world.load_send(event)

    [decision] = await world.authorize(job)
    outcome = await world.send.work(job.input)
    await world.record(job, None)
    events = await world.end_send(job, outcome)

    assert isinstance(decision, Allow)
    assert await world.state(event) == "accepted"
    assert [type(published) for published in events] == [MessageAccepted]
    assert len(world.sender.sent) == 1


async def test_an_email_carries_sender_postal_address_and_both_ways_to_stop(
    world: World,
) -> None:
    [event] = await world.approved()
    job = await world.load_send(event)

    await world.send.work(job.input)

    [message] = world.sender.sent
    assert message.from_address == "grace@send.example.com"
    assert message.reference == f"<lf-{event.intent_id.hex}@send.example.com>"
    assert message.unsubscribe_url.startswith("https://u.example.com/u/")
    assert message.unsubscribe_mailto.startswith("stop@example.com?subject=unsubscribe")
    assert "Example Ltd, 1 Test Street, Testville" in message.text
    assert message.unsubscribe_url in message.text


async def test_without_a_released_switch_nothing_leaves(database: Database) -> None:
    world = World(database)
    [event] = await world.approved()
    job = await world.load_send(event)
    loaded, job.input = (
        job.input,
        (await find_intents(database, [event.intent_id]))[event.intent_id],
    )

    [decision] = await world.authorize(job)

    assert isinstance(loaded, Snooze)  # the mail server is asked for nothing
    assert isinstance(decision, Defer)
    assert await world.state(event) == "ready"


async def test_a_suppressed_address_domain_or_channel_is_never_written_to(world: World) -> None:
    asked = [
        (SuppressionKind.ADDRESS, "p0@acme.example"),
        (SuppressionKind.DOMAIN, "acme.example"),
        (SuppressionKind.DOMAIN, "EXAMPLE"),
        (SuppressionKind.CHANNEL, "email"),
        (SuppressionKind.LEAD, ""),
    ]
    events = await world.approved(len(asked))
    codes = []

    for event, (kind, value) in zip(events, asked, strict=True):
        job = await world.load_send(event)
        own = {"address": job.input.to_address.upper(), "lead": str(event.lead_id)}
        line = await world.suppress(kind, own.get(kind, value), "asked by phone", by="ann")
        [decision] = await world.authorize(job)
        [refused] = await world.end_send(job, Denied("no", code="suppressed"))
        await world.lift(line.id, "ann")
        assert isinstance(refused, MessageRefused)
        codes.append((getattr(decision, "code", ""), refused.code, await world.state(event)))

    assert codes == [("suppressed", "suppressed", "cancelled")] * len(asked)


async def test_a_lifted_suppression_stops_nothing(world: World) -> None:
    [event] = await world.approved()
    line = await world.suppress(SuppressionKind.ADDRESS, "p0@acme.example", "x", by="ann")
    await world.lift(line.id, "bob")
    job = await world.load_send(event)

    [decision] = await world.authorize(job)

    assert isinstance(decision, Allow)


async def test_a_cancelled_run_a_merged_lead_and_a_late_hour_cancel_the_intent(
    world: World,
) -> None:
    [cancelled], [merged], [late] = [
        await world.approved(email=f"{name}@acme.example", full_name=f"Ada {name}")
        for name in ("first", "second", "third")
    ]
    jobs = [await world.load_send(event) for event in (cancelled, merged)]
    assert jobs[0].run_id is not None
    await runs.cancel(world.db, jobs[0].run_id, "ann", world.clock.now())
    await world.db.execute(
        sql(
            "UPDATE lead SET merged_into = $1, merge_reason = 'x', merged_by = 'x',"
            " merged_at = $3 WHERE id = $2",
            "into",
            "id",
            "now",
        ),
        into=cancelled.lead_id,
        id=merged.lead_id,
        now=world.clock.now(),
    )

    decisions = list(await world.authorize(*jobs))
    world.clock.advance(SETTINGS.latest_useful_hours * 3600 + 1)
    decisions += await world.authorize(await world.load_send(late))

    codes = [decision.code for decision in decisions if isinstance(decision, Deny)]
    assert codes == ["run.cancelled", "lead.merged", "too_late"]
    assert {await world.state(event) for event in (cancelled, merged, late)} == {"cancelled"}


async def test_whatsapp_goes_only_while_an_opt_in_is_recorded(world: World) -> None:
    lead_id = await world.lead(email_status="unknown", phone="+31620000000")
    await world.opt_in(lead_id)
    [event] = await world.drafted([lead_id], await world.run(), await world.icp())
    assert isinstance(event, MessageApproved)
    first = await world.load_send(event)
    await world.withdraw(lead_id)

    [decision] = await world.authorize(first)

    assert first.input.channel is Channel.WHATSAPP
    assert first.input.parameters == ("Ada", "We help freight teams plan routes 30% faster.")
    assert isinstance(decision, Deny)
    assert decision.code == "opt_in.missing"


async def test_what_the_call_did_is_recorded_before_the_job_ends(world: World) -> None:
    errors = [
        (ProviderRefused("550 no such user"), "refused"),
        (Unsure("cut after the final dot"), "unknown"),
        (Cut("no whole answer"), "unknown"),
        (ProviderDown("connection refused"), "ready"),
        (RuntimeError("a bug after the call"), "unknown"),
        (TimeoutError(), "unknown"),
        (None, "accepted"),
    ]
    events = await world.approved(len(errors))
    states = []

    for event, (error, _) in zip(events, errors, strict=True):
        job = await world.load_send(event)
        await world.authorize(job)
        await world.record(job, error)
        states.append(await world.state(event))

    assert states == [state for _, state in errors]


async def test_a_job_that_ends_without_a_record_settles_its_intent_itself(world: World) -> None:
    errors = [
        (ProviderRefused("550 no such user"), "refused", MessageRefused),
        (Unsure("cut after the final dot"), "unknown", MessageUnknown),
        (Transient("out of attempts"), "refused", MessageRefused),
        (Cancelled("its run was cancelled"), "unknown", MessageUnknown),
    ]
    events = await world.approved(len(errors))
    ends = []

    for event, (error, _, _) in zip(events, errors, strict=True):
        job = await world.load_send(event)
        await world.authorize(job)
        [refused] = await world.end_send(job, error)
        ends.append((error, await world.state(event), type(refused)))

    assert ends == errors


async def test_a_job_cancelled_before_its_call_cancels_the_intent(world: World) -> None:
    [event] = await world.approved()
    job = await world.load_send(event)

    [refused] = await world.end_send(job, Cancelled("its run was cancelled"))

    assert await world.state(event) == "cancelled"
    assert isinstance(refused, MessageRefused)
    assert refused.code == "run.cancelled"


async def test_a_try_that_did_nothing_goes_again_under_its_next_claim(world: World) -> None:
    [event] = await world.approved()
    job = await world.load_send(event)
    await world.authorize(job)
    await world.record(job, ProviderDown("connection refused"))

    again = await world.load_send(event, claim=2)
    [decision] = await world.authorize(again)

    assert isinstance(decision, Allow)
    assert await world.state(event) == "sending"


async def test_an_intent_found_in_sending_under_another_claim_is_unknown_and_not_called(
    world: World,
) -> None:
    [event] = await world.approved()
    first = await world.load_send(event)
    await world.authorize(first)
    second = await world.load_send(event, claim=2)
    second.job_id = first.job_id

    events = await world.end_send(second, second.input)

    assert isinstance(second.input, Done)
    assert await world.state(event) == "unknown"
    assert [type(published) for published in events] == [MessageUnknown]
    assert world.sender.sent == []


async def test_a_call_that_did_nothing_after_all_is_not_stranded(world: World) -> None:
    [event] = await world.approved()
    first = await world.load_send(event)
    await world.authorize(first)
    second = await world.load_send(event, claim=2)
    second.job_id = first.job_id
    await world.record(first, ProviderDown("connection refused"))

    events = await world.end_send(second, second.input)

    assert await world.state(event) == "ready"
    assert events == [event]


async def test_authorize_refuses_a_second_claim_and_lets_its_own_repeat(world: World) -> None:
    [event] = await world.approved()
    first = await world.load_send(event)
    stale = await world.load_send(event, claim=2)
    await world.authorize(first)

    [repeated] = await world.authorize(first)
    [other] = await world.authorize(stale)

    assert isinstance(repeated, Allow)
    assert isinstance(other, Deny)
    assert other.code == "intent.sending"


async def test_a_job_lost_while_it_sent_does_not_call_again_under_its_next_claim(
    world: World,
) -> None:
    [event] = await world.approved()
    lost, again = await world.load_send(event, claim=1), await world.load_send(event, claim=2)
    again.job_id = lost.job_id

    decisions = [*await world.authorize(lost), *await world.authorize(again)]

    assert [type(decision) for decision in decisions] == [Allow, Deny]


async def test_two_jobs_of_one_intent_in_one_transaction_send_it_once(world: World) -> None:
    [event] = await world.approved()
    jobs = [await world.load_send(event), await world.load_send(event)]

    decisions = await world.authorize(*jobs)

    assert [type(decision) for decision in decisions] == [Allow, Defer]


async def test_a_sending_that_has_ended_ends_at_once(world: World) -> None:
    ends = {
        "accepted": None,
        "refused": ProviderRefused("no"),
        "unknown": Unsure("?"),
        "cancelled": Denied("no", code="suppressed"),
    }
    events = await world.approved(len(ends))
    seen = []

    for event, (state, error) in zip(events, ends.items(), strict=True):
        job = await world.load_send(event)
        if state == "cancelled":
            await world.end_send(job, error)
        else:
            await world.authorize(job)
            await world.record(job, error)
        again = await world.load_send(event, claim=2)
        [decision] = await world.authorize(job)
        seen.append((type(again.input), type(decision), await world.state(event)))

    assert seen == [(Done, Deny, state) for state in ends]


async def test_a_record_that_lost_its_fence_is_still_told_by_the_next_claim(world: World) -> None:
    [event] = await world.approved()
    job = await world.load_send(event)
    await world.authorize(job)
    await world.record(job, None)

    again = await world.load_send(event, claim=2)
    events = await world.end_send(again, again.input)
    repeated = await world.end_send(again, again.input)

    assert [type(published) for published in events] == [MessageAccepted]
    assert repeated == []


async def test_a_record_of_another_claim_moves_no_intent_that_may_go(world: World) -> None:
    [event] = await world.approved()
    late = await world.load_send(event, claim=1)

    await world.record(late, ProviderRefused("no such mailbox"))

    assert await world.state(event) == "ready"


async def test_a_call_that_returns_late_turns_unknown_into_what_it_was(world: World) -> None:
    [event] = await world.approved()
    job = await world.load_send(event)
    await world.authorize(job)
    await world.unknown_sends.settle_lost()

    await world.record(job, None)

    assert await world.state(event) == "accepted"


async def test_hold_waits_for_authorize_under_way_and_lists_what_may_still_arrive(
    world: World,
) -> None:
    first, second = await world.approved(2)
    jobs = [await world.load_send(event) for event in (first, second)]
    answered = []

    async def hold() -> None:
        answered.append(await world.hold("ann", "wrong text"))

    async with anyio.create_task_group() as group, world.db.transaction() as tx:
        await world.send.authorize(tx, jobs[:1])
        group.start_soon(hold)
        await _until_somebody_waits_for_a_lock(world)
        was_answered_early = bool(answered)
    [decision] = await world.authorize(jobs[1])

    assert not was_answered_early
    assert [intent.id for intent in answered[0].sending] == [first.intent_id]
    assert isinstance(decision, Defer)
    assert await world.state(second) == "ready"


async def test_after_hold_answered_no_intent_leaves_ready_whatever_is_in_flight(
    world: World,
) -> None:
    events = await world.approved(40)
    jobs = [await world.load_send(event) for event in events]
    listed: set[object] = set()

    async def authorize(part: int) -> None:
        for job in jobs[part::4]:
            await world.authorize(job)

    async def hold() -> None:
        await anyio.lowlevel.checkpoint()
        status = await world.hold("ann", "stop")
        listed.update(intent.id for intent in status.sending)

    async with anyio.create_task_group() as group:
        for part in range(4):
            group.start_soon(authorize, part)
        group.start_soon(hold)

    sending = await world.sending.status()
    assert {intent.id for intent in sending.sending} == listed
    assert sending.held
    assert sending.counts.get(IntentState.READY, 0) + len(listed) == len(events)


async def test_nothing_is_sent_without_the_switch(world: World) -> None:
    [event] = await world.approved()
    job = await world.load_send(event)
    await world.db.execute(sql("DELETE FROM switch WHERE name = 'sending'"))

    assert [type(decision) for decision in await world.authorize(job)] == [Defer]


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ("UPDATE run SET sends = 'never'", "run.never_sends"),
        ("UPDATE message SET state = 'rejected'", "message.not_approved"),
        ("UPDATE lead SET deleted_at = created_at", "lead.deleted"),
    ],
)
async def test_what_changed_since_the_approval_stops_the_send(
    world: World, change: str, code: str
) -> None:
    [event] = await world.approved()
    job = await world.load_send(event)
    await world.db.execute(sql(change))

    [decision] = await world.authorize(job)

    assert isinstance(decision, Deny)
    assert decision.code == code


async def test_an_authorize_that_waited_for_hold_sees_the_switch_it_wrote(world: World) -> None:
    [event] = await world.approved()
    job = await world.load_send(event)
    decisions: list[object] = []

    async def authorize() -> None:
        decisions.extend(await world.authorize(job))

    async with anyio.create_task_group() as group, world.db.transaction() as tx:
        await own_sending_lock(tx)
        group.start_soon(authorize)
        await _until_somebody_waits_for_a_lock(world)
        await tx.execute(sql("UPDATE switch SET state = 'held' WHERE name = 'sending'"))

    assert [type(decision) for decision in decisions] == [Defer]


async def test_a_missing_setting_holds_the_mail_names_it_and_lets_it_go_once_it_is_made(
    database: Database,
) -> None:
    poor = msgspec.structs.replace(SETTINGS, sender_address="", public_url="")
    blind = World(database, poor, missing_senders={Channel.EMAIL: "providers.smtp.base_url"})
    await blind.release()
    [event] = await blind.approved()

    waiting = await blind.load_send(event)
    events = await blind.end_send(waiting, waiting.input)
    shown = (await blind.messages.get(event.message_id)).message
    blind.clock.advance(20 * DAY_SECONDS)
    resumed_count = await blind.waiting_sends.resume()
    world = World(database)
    world.clock.advance(20 * DAY_SECONDS)
    await world.waiting_sends.resume()
    job = await world.load_send(event)
    [decision] = await world.authorize(job)
    await world.end_send(job, await world.send.work(job.input))

    assert (events, resumed_count) == ([], 0)
    assert world.publisher.events == [event]
    assert (shown.intent_state, shown.intent_code) == ("ready", "waits_for_setup")
    assert shown.intent_detail == "set providers.smtp.base_url, messaging.sender_address"
    assert blind.sender.sent == []
    assert isinstance(decision, Allow)
    assert await world.state(event) == "accepted"
    assert world.sender.sent[0].reference == f"<lf-{event.intent_id.hex}@send.example.com>"
    stored = (await find_intents(database, [event.intent_id]))[event.intent_id]
    assert stored.reference == world.sender.sent[0].reference


async def test_what_waits_for_a_setting_longer_than_it_is_worth_ends_as_too_late(
    database: Database,
) -> None:
    world = World(database, missing_senders={Channel.EMAIL: "providers.smtp.base_url"})
    await world.release()
    [event] = await world.approved()
    world.clock.advance(31 * DAY_SECONDS)

    job = await world.load_send(event)
    [refused] = await world.end_send(job, job.input)

    assert isinstance(refused, MessageRefused)
    assert refused.code == "too_late"
    assert await world.state(event) == "cancelled"


@pytest.mark.parametrize(
    ("error", "code", "word"),
    [
        (NotConfigured("set providers.smtp.base_url"), "waits_for_setup", "smtp.base_url"),
        (CapSpent("the run's is spent", scope="run:1"), "waits_for_money", "raise capMicros"),
        (CapSpent("a lead's is spent", scope="lead:1"), "waits_for_money", "raise leadCapMicros"),
    ],
)
async def test_what_a_person_has_to_mend_waits_without_a_job_and_is_never_refused(
    world: World, error: Exception, code: str, word: str
) -> None:
    [event] = await world.approved()
    world.sender.fails_with = error
    job = await world.load_send(event)

    await world.authorize(job)
    outcome = await world.send.work(job.input)
    await world.record(job, error)
    events = await world.end_send(job, outcome)

    shown = (await world.messages.get(event.message_id)).message
    assert isinstance(outcome, Done)
    assert events == []
    assert (shown.intent_state, shown.intent_code) == ("ready", code)
    assert word in (shown.intent_detail or "")


async def test_a_login_that_is_refused_is_asked_again_as_long_as_the_message_is_useful(
    world: World,
) -> None:
    [event] = await world.approved()
    world.sender.fails_with = ProviderKeyRefused("the login is refused: set providers.smtp.api_key")
    job = await world.load_send(event)

    outcome = await world.send.work(job.input)

    assert isinstance(outcome, Snooze)
    assert outcome.reason == "the login is refused: set providers.smtp.api_key"
    assert await world.state(event) == "ready"


async def test_a_server_that_stays_away_is_asked_again_after_the_last_attempt(
    world: World,
) -> None:
    [event] = await world.approved()
    world.sender.fails_with = Transient("connection refused")
    job = await world.load_send(event, attempts=world.send.policy.attempts - 1)

    outcome = await world.send.work(job.input)

    assert isinstance(outcome, Snooze)
    assert await world.state(event) == "ready"
    world.clock.advance(SETTINGS.latest_useful_hours * 3600 + 1)
    assert isinstance(await world.send.work(job.input), Done)


async def test_a_refusal_of_the_gate_is_no_dead_letter_and_a_switched_off_provider_is_waited_for(
    world: World,
) -> None:
    [event] = await world.approved()
    missing = MessageApproved(event.lead_id, event.message_id, world.ids.new())
    job = await world.load_send(event)
    world.sender.fails_with = Denied("suppressed", code="suppressed")

    [gone] = await world.send.load(world.db, [world.claim(missing, job.run_id)])
    refused = await world.send.work(job.input)
    world.sender.fails_with = Denied("switched off", code="provider.off")
    switched_off = await world.send.work(job.input)

    assert isinstance(gone, Discard)
    assert isinstance(refused, Done)
    assert isinstance(switched_off, Snooze)


async def test_a_whole_batch_is_authorized_and_committed_at_once(world: World) -> None:
    events = await world.approved(20)
    jobs = [await world.load_send(event) for event in events]
    decisions = await world.authorize(*jobs)

    async with world.db.transaction() as tx:
        follows = await world.send.commit(
            tx, [FinishedTask(job, Done(Receipt(remote_id="r")), job.input) for job in jobs]
        )

    assert all(isinstance(decision, Allow) for decision in decisions)
    assert {type(follow.event) for follow in follows} == {MessageAccepted}
    assert len(follows) == 20


async def _until_somebody_waits_for_a_lock(world: World) -> None:
    waiting = sql(
        "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted"
        " AND database = (SELECT oid FROM pg_database WHERE datname = current_database())"
    )
    with anyio.fail_after(5):
        while not await world.db.fetch_value(waiting):
            await anyio.lowlevel.checkpoint()
