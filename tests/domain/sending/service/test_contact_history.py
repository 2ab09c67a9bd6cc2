from datetime import timedelta
from typing import Any
from uuid import UUID

import anyio
import asyncpg
import msgspec
import pytest
from leadflood.contracts.errors import ProviderRefused
from leadflood.contracts.ports.sender import Receipt
from leadflood.domain.auth.schemas.principals import Editor
from leadflood.domain.leads.schemas.inputs import LeadChange
from leadflood.domain.leads.service import withdrawal
from leadflood.domain.leads.service.editing import LeadEditing
from leadflood.domain.leads.service.merging import LeadMerging
from leadflood.domain.messages.schemas import Decider, MessageState, MessageView
from leadflood.domain.sending.schemas import MessageApproved, MessageRefused
from leadflood.domain.suppressions.schemas import AddressKey, SuppressionKind
from leadflood.engine.clock import REAL_TIME
from leadflood.engine.context import Allow, Defer, Deny, SendDecision
from leadflood.engine.db.pool import Database
from leadflood.engine.errors import Conflict, Denied, Transient, Unsure
from tests.support.messaging import SETTINGS, World
from tests.support.statements import sql

pytestmark = pytest.mark.pg
ANN = Editor(by="ann")


@pytest.fixture
async def world(database: Database) -> World:
    made = World(database)
    await made.release()
    return made


async def ready(world: World, lead_id: UUID) -> MessageApproved:
    """Draft to a lead in a run of its own, under an autopilot."""
    [event] = await world.drafted([lead_id], await world.run(), await world.icp())
    assert isinstance(event, MessageApproved)
    return event


async def depart(world: World, event: MessageApproved) -> Any:
    """Let a message leave; its call is under way then."""
    job = await world.load_send(event)
    [decision] = await world.authorize(job)
    assert isinstance(decision, Allow)
    return job


async def sent(world: World, event: MessageApproved) -> None:
    await world.end_send(await depart(world, event), Receipt(remote_id="r"))
    assert await world.state(event) == "accepted"


async def asked(world: World, event: MessageApproved) -> SendDecision:
    [decision] = await world.authorize(await world.load_send(event))
    return decision


async def shown(world: World, event: MessageApproved) -> MessageView:
    return (await world.messages.get(event.message_id)).message


async def merge(world: World, lead_id: UUID, into_id: UUID) -> None:
    async with world.db.transaction() as tx:
        await LeadMerging(world.ids, world.clock).merge(tx, lead_id, into_id, ANN)


async def unmerge(world: World, lead_id: UUID) -> None:
    async with world.db.transaction() as tx:
        await LeadMerging(world.ids, world.clock).unmerge(tx, lead_id, ANN)


async def test_of_three_runs_that_bring_one_person_one_message_goes(world: World) -> None:
    lead_id = await world.lead()
    first, second, third = [await ready(world, lead_id) for _ in range(3)]

    await sent(world, first)
    denials = [await asked(world, event) for event in (second, third)]

    for event, denial in zip((second, third), denials, strict=True):
        assert isinstance(denial, Deny)
        assert denial.code == "already_written"
        view = await shown(world, event)
        assert (view.intent_state, view.intent_code) == ("cancelled", "already_written")
        assert view.earlier_message_id == first.message_id


async def test_the_end_of_a_second_first_message_is_told(world: World) -> None:
    lead_id = await world.lead()
    first, second = [await ready(world, lead_id) for _ in range(2)]
    await sent(world, first)
    job = await world.load_send(second)
    [denial] = await world.authorize(job)
    assert isinstance(denial, Deny)
    world.sender.fails_with = Denied(denial.reason, code=denial.code)

    [refused] = await world.end_send(job, await world.send.work(job.input))

    assert isinstance(refused, MessageRefused)
    assert refused.code == "already_written"


async def test_who_was_written_to_gets_no_further_draft(world: World) -> None:
    lead_id = await world.lead()
    first = await ready(world, lead_id)
    await sent(world, first)

    for sends in ("go", "hold", "never"):
        await world.drafted([lead_id], await world.run(sends), await world.icp())

    messages = await world.messages.list()
    assert [message.state for message in messages] == [MessageState.ALREADY_WRITTEN] * 3 + [
        MessageState.APPROVED
    ]
    assert {message.earlier_message_id for message in messages[:3]} == {first.message_id}
    assert messages[0].reason == f"message:{first.message_id}"


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ("info@acme.example", "info@acme.example"),
        ("ada@acme.example", "Ada+news@ACME.example"),
        ("a.da@gmail.com", "ada+x@googlemail.com"),
        ("ada@bücher.de", "ada@xn--bcher-kva.de"),
    ],
)
async def test_a_mailbox_gets_one_first_message_whoever_its_leads_are(
    world: World, first: str, second: str
) -> None:
    one = await world.lead(email=first, full_name="Ada B")
    await world.db.execute(sql("DELETE FROM identity"))  # two people who share it
    other = await world.lead(email=second, full_name="Bea C")
    assert one != other
    earlier, later = await ready(world, one), await ready(world, other)

    await sent(world, earlier)

    assert isinstance(await asked(world, later), Deny)
    assert (await shown(world, later)).earlier_message_id == earlier.message_id


async def test_of_two_in_one_transaction_the_second_waits_and_then_ends(world: World) -> None:
    lead_id = await world.lead()
    jobs = [await world.load_send(await ready(world, lead_id)) for _ in range(2)]

    first, second = await world.authorize(*jobs)
    during = await asked(world, jobs[1].task)
    await world.end_send(jobs[0], Receipt())
    after = await asked(world, jobs[1].task)

    assert isinstance(first, Allow)
    assert isinstance(second, Defer)
    assert isinstance(during, Defer)
    assert isinstance(after, Deny)


async def test_of_two_nodes_at_the_same_moment_one_takes_the_keys_and_the_other_waits(
    world: World,
) -> None:
    """Two leads, so that nothing but the mailbox is shared; neither transaction sees the other."""
    one = await world.lead(email="info@acme.example", full_name="Ada B")
    await world.db.execute(sql("DELETE FROM identity"))
    other = await world.lead(email="info+x@acme.example", full_name="Bea C")
    jobs = [await world.load_send(await ready(world, lead_id)) for lead_id in (one, other)]
    decisions: dict[int, SendDecision] = {}
    is_first_open, may_commit = anyio.Event(), anyio.Event()

    async def first() -> None:
        async with world.db.transaction() as tx:
            [decisions[0]] = await world.send.authorize(tx, [jobs[0]])
            is_first_open.set()
            await may_commit.wait()

    async def second() -> None:
        await is_first_open.wait()
        async with world.db.transaction() as tx:
            [decisions[1]] = await world.send.authorize(tx, [jobs[1]])

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(first)
        tasks.start_soon(second)
        await is_first_open.wait()
        await REAL_TIME.sleep(0.2)
        has_waited = 1 not in decisions
        may_commit.set()

    assert has_waited
    assert isinstance(decisions[0], Allow)
    assert isinstance(decisions[1], Defer)


async def test_the_database_refuses_a_second_departure_that_forgot_the_keys(world: World) -> None:
    lead_id = await world.lead()
    first, second = [await ready(world, lead_id) for _ in range(2)]
    await sent(world, first)

    with pytest.raises(asyncpg.UniqueViolationError, match="intent_touch"):
        await world.db.execute(
            sql(
                "UPDATE intent SET state = 'sending', claim = 1, job_id = id, touch = 1,"
                " sending_at = $2 WHERE id = $1",
                "id",
                "now",
            ),
            id=second.intent_id,
            now=world.clock.now(),
        )


@pytest.mark.parametrize("end", [Receipt(), Unsure("cut after the dot")])
async def test_what_may_have_arrived_counts(world: World, end: Any) -> None:
    lead_id = await world.lead()
    first, second = [await ready(world, lead_id) for _ in range(2)]

    await world.end_send(await depart(world, first), end)

    assert isinstance(await asked(world, second), Deny)


async def test_what_certainly_did_not_arrive_frees_person_and_mailbox(world: World) -> None:
    lead_id = await world.lead()
    cut, refused, unsure, last = [await ready(world, lead_id) for _ in range(4)]

    job = await depart(world, cut)
    await world.record(job, Transient("connection refused"))
    assert await world.state(cut) == "ready"
    await world.end_send(await depart(world, refused), ProviderRefused("550 no such user"))
    assert await world.state(refused) == "refused"
    await world.end_send(await depart(world, unsure), Unsure("cut"))
    assert isinstance(await asked(world, last), Deny)
    await world.resolve(unsure.intent_id, sent=False, by="ann")

    await sent(world, cut)
    assert isinstance(await asked(world, unsure), Deny)


async def test_two_leads_that_turn_out_to_be_one_get_no_second_message(world: World) -> None:
    older = await world.lead(email="a@acme.example", full_name="Ada B")
    younger = await world.lead(email="b@acme.example", full_name="Bea C")
    to_older, to_younger = await ready(world, older), await ready(world, younger)
    await sent(world, to_younger)

    await merge(world, younger, older)

    assert isinstance(await asked(world, to_older), Deny)
    assert (await shown(world, to_older)).earlier_message_id == to_younger.message_id
    await world.drafted([older], await world.run(), await world.icp())
    assert (await world.messages.list())[0].state is MessageState.ALREADY_WRITTEN


async def test_of_two_that_were_ready_before_the_merge_one_goes(world: World) -> None:
    older = await world.lead(email="a@acme.example", full_name="Ada B")
    younger = await world.lead(email="b@acme.example", full_name="Bea C")
    async with world.db.transaction() as tx:  # a person says which address is theirs
        change = LeadChange(email="a@acme.example")
        await LeadEditing(world.ids, world.clock).update(tx, older, change, ANN)
    to_older, to_younger = await ready(world, older), await ready(world, younger)

    await merge(world, younger, older)
    decisions = [await asked(world, event) for event in (to_younger, to_older)]

    assert isinstance(decisions[0], Deny)
    assert decisions[0].code == "lead.merged"
    assert isinstance(decisions[1], Allow)


async def test_two_that_were_both_written_to_stay_as_they_are_and_get_no_third(
    world: World,
) -> None:
    older = await world.lead(email="a@acme.example", full_name="Ada B")
    younger = await world.lead(email="b@acme.example", full_name="Bea C")
    for lead_id in (older, younger):
        await sent(world, await ready(world, lead_id))

    await merge(world, younger, older)
    await world.drafted([older], await world.run(), await world.icp())

    assert (await world.messages.list())[0].state is MessageState.ALREADY_WRITTEN


async def test_after_an_undone_merge_each_has_its_own_past_but_for_the_mailbox(
    world: World,
) -> None:
    older = await world.lead(email="a@acme.example", full_name="Ada B")
    younger = await world.lead(email="b@acme.example", full_name="Bea C")
    to_younger = await ready(world, younger)
    await merge(world, younger, older)
    to_older = await ready(world, older)
    is_to_older = (await shown(world, to_older)).to_address == "a@acme.example"
    await sent(world, to_older)

    await unmerge(world, younger)

    assert isinstance(await asked(world, to_younger), Allow if is_to_older else Deny)


@pytest.mark.parametrize("was_sent", [True, False])
async def test_an_undone_import_forgets_no_mailbox_and_frees_one_that_got_nothing(
    world: World, *, was_sent: bool
) -> None:
    lead_id = await world.lead()
    first = await ready(world, lead_id)
    if was_sent:
        await sent(world, first)
    async with world.db.transaction() as tx:
        await withdrawal.delete_leads(tx, {lead_id})

    later = await world.drafted([await world.lead()], await world.run(), await world.icp())

    assert isinstance(later[0], MessageApproved) is not was_sent
    if not was_sent:
        denial = await asked(world, first)
        assert isinstance(denial, Deny)
        assert denial.code == "lead.gone"
        assert isinstance(later[0], MessageApproved)
        await sent(world, later[0])


async def test_after_the_days_set_a_person_may_be_written_to_again_once(
    database: Database,
) -> None:
    world = World(database, msgspec.structs.replace(SETTINGS, again_after_days=30.0))
    await world.release()
    lead_id = await world.lead()
    await sent(world, await ready(world, lead_id))

    world.clock.advance(timedelta(days=29).total_seconds())
    await world.drafted([lead_id], await world.run(), await world.icp())
    too_early = (await world.messages.list())[0]
    world.clock.advance(timedelta(days=2).total_seconds())
    again, once_more = [await ready(world, lead_id) for _ in range(2)]
    await sent(world, again)

    assert too_early.state is MessageState.ALREADY_WRITTEN
    assert isinstance(await asked(world, once_more), Deny)
    assert (await shown(world, once_more)).earlier_message_id == again.message_id


async def test_a_person_asks_for_another_one_by_name(world: World) -> None:
    lead_id = await world.lead()
    first, second = [await ready(world, lead_id) for _ in range(2)]
    await sent(world, first)
    await asked(world, second)
    by_name = Decider(by="ann", repeats=True)

    async with world.publisher.transaction() as publication:
        await world.approval.approve(publication, second.message_id, Decider(by="ann"))
    still = await world.state(second)
    async with world.publisher.transaction() as publication:
        view = await world.approval.send(publication, second.message_id, by_name)

    assert still == "cancelled"
    assert (view.intent_state, view.earlier_message_id) == ("ready", None)
    await sent(world, second)


async def test_a_waiting_draft_is_not_approved_twice_but_by_name(world: World) -> None:
    lead_id = await world.lead()
    icp_id = await world.icp(autopilot=False)
    await world.drafted([lead_id], await world.run(), icp_id)
    [waiting] = await world.messages.list()
    first = await ready(world, lead_id)
    await sent(world, first)

    with pytest.raises(Conflict, match=str(first.message_id)) as refused:
        await world.approve(waiting.id, "ann")
    async with world.publisher.transaction() as publication:
        view = await world.approval.approve(
            publication, waiting.id, Decider(by="ann", repeats=True)
        )

    assert refused.value.error_code == "message.already_written"
    assert (view.state, view.intent_state) == (MessageState.APPROVED, "ready")
    assert view.intent_id is not None
    event = MessageApproved(lead_id, waiting.id, view.intent_id)
    await sent(world, event)


async def test_a_run_that_repeats_by_name_drafts_and_sends(world: World) -> None:
    lead_id = await world.lead()
    await sent(world, await ready(world, lead_id))
    run_id = await world.run(repeats=True)

    [event] = await world.drafted([lead_id], run_id, await world.icp())

    assert isinstance(event, MessageApproved)
    await sent(world, event)


async def test_a_replaced_secret_forgets_nobody(world: World) -> None:
    lead_id = await world.lead()
    await sent(world, await ready(world, lead_id))
    renewed = World(world.db, key=AddressKey(b"another key of the tests"))
    renewed.clock.advance(60)
    async with world.db.transaction() as tx:
        await renewed.rekeying.rekey(tx, "ann")
    await renewed.release()
    await world.db.execute(sql("DELETE FROM identity"))
    other = await renewed.lead(email="Ada+x@acme.example", full_name="Bea C")

    later = await renewed.drafted([other], await renewed.run(), await renewed.icp())

    assert not isinstance(later[0], MessageApproved)
    assert (await renewed.messages.list())[0].state is MessageState.ALREADY_WRITTEN


async def test_another_address_of_the_family_that_said_stop_stops_a_mail(world: World) -> None:
    older = await world.lead(email="a@acme.example", full_name="Ada B")
    younger = await world.lead(email="b@acme.example", full_name="Bea C")
    await merge(world, younger, older)
    event = await ready(world, older)
    written = (await shown(world, event)).to_address
    [other] = {"a@acme.example", "b@acme.example"} - {written}

    await world.suppress(SuppressionKind.ADDRESS, f"{other[0]}+x@acme.example", "no", by="ann")
    denial = await asked(world, event)

    assert isinstance(denial, Deny)
    assert denial.code == "suppressed"


async def test_a_whatsapp_follows_no_mail_as_a_first_message(world: World) -> None:
    lead_id = await world.lead(phone="+31620000001")
    await sent(world, await ready(world, lead_id))
    await world.opt_in(lead_id)

    await world.drafted([lead_id], await world.run(), await world.icp())

    assert (await world.messages.list())[0].state is MessageState.ALREADY_WRITTEN
