from datetime import timedelta
from uuid import UUID, uuid4

import msgspec
import pytest
from leadflood.contracts.errors import ProviderDown, ProviderRefused
from leadflood.contracts.ports.text import Claim, Draft, DraftRequest
from leadflood.contracts.values import Channel, FieldName
from leadflood.domain.drafting.schemas import TemplateInput
from leadflood.domain.leads.schemas.identity import LeadValues
from leadflood.domain.leads.schemas.lead_states import LeadStatus
from leadflood.domain.leads.service import kernel as leads
from leadflood.domain.messages.schemas import MessageDetail, MessageDrafted, MessageState
from leadflood.domain.scoring.schemas import LeadQualified
from leadflood.domain.sending.schemas import MessageApproved
from leadflood.domain.suppressions.schemas import SuppressionInput, SuppressionKind
from leadflood.engine.db.pool import Database
from leadflood.engine.errors import Invalid
from leadflood.engine.queue.outcome import Discard
from leadflood.engine.queue.stage import FinishedTask
from tests.support.messaging import SETTINGS, World
from tests.support.statements import sql

pytestmark = pytest.mark.pg
HONEST = Draft(
    subject="A question about Acme Freight",
    body="Hi Ada,\n\nYou work as Head of Logistics at Acme Freight.\n\nBest regards,\nGrace Sample",
    claims=(Claim("You work as Head of Logistics at Acme Freight.", (3, 4)),),
    writer="pretend:1",
)

LINKED = msgspec.structs.replace(HONEST, body=HONEST.body + "\nVisit https://evil.example now!")


class PretendWriter:
    """Writes the answers it has, the last one again and again, and keeps the requests."""

    name = "pretend"

    def __init__(self, *answers: Draft | Exception) -> None:
        self.answers = answers
        self.asked: list[DraftRequest] = []

    async def write_draft(self, request: DraftRequest) -> Draft:
        answer = self.answers[min(len(self.asked), len(self.answers) - 1)]
        self.asked.append(request)
        if isinstance(answer, Exception):
            raise answer
        return answer


@pytest.fixture
def world(database: Database) -> World:
    return World(database)


async def only_message(world: World) -> MessageDetail:
    [message] = await world.messages.list()
    return await world.messages.get(message.id)


async def counted(world: World, table: str) -> int:
    found = await world.db.fetch_value(sql(f"SELECT count(*) FROM {table}"))  # noqa: S608 - own names
    return int(found)


async def test_autopilot_approves_and_makes_one_ready_intent_whatever_is_repeated(
    world: World,
) -> None:
    run_id, icp_id, lead_id = await world.run(), await world.icp(), await world.lead()

    first = await world.drafted([lead_id], run_id, icp_id)
    second = await world.drafted([lead_id], run_id, icp_id)

    assert [type(event) for event in (*first, *second)] == [MessageApproved]
    detail = await only_message(world)
    assert detail.message.state is MessageState.APPROVED
    assert detail.message.decided_by == "autopilot"
    assert detail.message.to_address == "ada@acme.example"
    assert await counted(world, "intent") == await counted(world, "unsubscribe_token") == 1


@pytest.mark.parametrize(
    ("kind", "value"),
    [("lead", "{lead}"), ("address", "ADA+x@acme.example"), ("domain", "acme.example")],
)
async def test_whom_nothing_may_be_sent_to_no_writer_is_paid_for(
    database: Database, kind: str, value: str
) -> None:
    writer = PretendWriter(HONEST)
    world = World(database, writer=writer)
    lead_id, icp_id = await world.lead(), await world.icp()
    suppression = SuppressionInput(
        kind=SuppressionKind(kind), value=value.format(lead=lead_id), reason="asked"
    )
    async with world.publisher.transaction() as publication:
        line = await world.suppressions.add(publication, suppression, by="ann", source="test")

    await world.drafted([lead_id], await world.run(), icp_id)

    stopped = await only_message(world)
    assert (stopped.message.state, stopped.message.body, writer.asked) == ("suppressed", "", [])
    assert await counted(world, "intent") == 0
    async with database.transaction() as tx:
        await world.suppressions.lift(tx, line.id, "ann")
    assert await world.drafted([lead_id], await world.run(), icp_id)
    assert len(writer.asked) == 1


async def test_who_wants_no_mail_and_agreed_to_whatsapp_is_written_to_there(world: World) -> None:
    lead_id = await world.lead(phone="+31620000001")
    await world.opt_in(lead_id)
    async with world.publisher.transaction() as publication:
        line = SuppressionInput(
            kind=SuppressionKind.LEAD, value=f"{lead_id} email", reason="no mails"
        )
        await world.suppressions.add(publication, line, by="ann", source="test")

    await world.drafted([lead_id], await world.run(), await world.icp())

    assert (await only_message(world)).message.channel is Channel.WHATSAPP


@pytest.mark.parametrize("address", ["office@acme.example", "an.low@gmail.com", "an+x@k.example"])
async def test_who_reads_a_mailbox_and_said_no_is_read_as_sending_reads_it(
    world: World, address: str
) -> None:
    ann = await world.lead(email=address, full_name="Ann Low", first_name="Ann")
    bob = await world.lead(email="", full_name="Bob Hi", first_name="Bob", last_name="Hi")
    async with world.db.transaction() as tx:
        values = [world.value(FieldName.EMAIL, address)]
        await leads.record_values(
            tx,
            [LeadValues(lead_id=bob, values=tuple(values), status=LeadStatus.ENRICHED)],
            world.ids,
            world.clock.now(),
        )
    async with world.publisher.transaction() as publication:
        line = SuppressionInput(kind=SuppressionKind.LEAD, value=str(ann), reason="asked")
        await world.suppressions.add(publication, line, by="ann", source="test")

    await world.drafted([bob], await world.run(), await world.icp())

    assert (await only_message(world)).message.state is MessageState.SUPPRESSED


async def test_each_fact_names_its_stored_value_and_where_it_is_claimed(world: World) -> None:
    run_id, icp_id, lead_id = await world.run(), await world.icp(), await world.lead()

    await world.drafted([lead_id], run_id, icp_id)

    detail = await only_message(world)
    proven = await world.db.fetch(sql("SELECT id FROM field_value"))
    assert {fact.field_value_id for fact in detail.facts} <= {row["id"] for row in proven}
    claimed = {
        fact.field: [detail.message.body[start:end] for start, end in fact.claimed_at]
        for fact in detail.facts
    }
    assert claimed["title"] == ["You work as Head of Logistics at Acme Freight."]


async def test_who_decides_depends_on_the_run_and_on_autopilot(world: World) -> None:
    lead_id = await world.lead()
    cases = [("never", True), ("hold", True), ("go", False), ("go", True)]

    events = []
    for sends, autopilot in cases:
        run_id, icp_id = await world.run(sends), await world.icp(autopilot=autopilot)
        events += await world.drafted([lead_id], run_id, icp_id)

    messages = await world.messages.list()
    assert [message.state for message in reversed(messages)] == [
        "not_wanted",
        "waiting",
        "waiting",
        "approved",
    ]
    assert [type(event) for event in events] == [MessageDrafted] * 3 + [MessageApproved]
    assert await counted(world, "intent") == 1


async def test_what_is_missing_is_told_and_nothing_can_be_queued(world: World) -> None:
    run_id, icp_id = await world.run(), await world.icp()
    poor = [
        await world.lead(email="b@acme.example", full_name="Ada C", email_status="catch_all"),
        await world.lead(email="c@acme.example", full_name="Ada D", company_name=""),
    ]

    await world.drafted(poor, run_id, icp_id)
    blank_offer = await world.drafted(poor[1:], await world.run(), await world.icp(offer=" "))

    messages = await world.messages.list()
    reasons = {message.lead_id: message.reason for message in messages[1:]}
    assert [reasons[lead_id] for lead_id in poor] == [
        "email.not_verified:catch_all",
        "value:company_name",
    ]
    assert {message.state for message in messages} == {MessageState.NEEDS_DATA}
    assert [type(event) for event in blank_offer] == [MessageDrafted]
    assert await counted(world, "intent") == 0


@pytest.mark.parametrize(
    ("values", "greeting"),
    [
        ({"first_name": "", "full_name": ""}, "Hi,"),
        ({"first_name": "N/A", "full_name": ""}, "Hi,"),
        ({"first_name": "JT", "full_name": "JT Po"}, "Hi,"),
        ({"first_name": "{{ x }}", "full_name": "Sales Team"}, "Hi,"),
        ({"first_name": "", "full_name": "Ada Berg"}, "Hi Ada,"),
        ({"first_name": "", "full_name": "BERG, ADA"}, "Hi Ada,"),
        ({"first_name": "DR. ADA", "full_name": ""}, "Hi Ada,"),
    ],
)
async def test_nobody_is_greeted_by_what_is_no_first_name(
    world: World, values: dict[str, str], greeting: str
) -> None:
    run_id, icp_id = await world.run(), await world.icp()
    lead_id = await world.lead(email=f"{uuid4().hex}@acme.example", **values)

    await world.drafted([lead_id], run_id, icp_id)

    messages = {message.lead_id: message for message in await world.messages.list()}
    assert messages[lead_id].reason == ""
    assert messages[lead_id].body.splitlines()[0] == greeting


async def test_stale_facts_are_not_used(world: World) -> None:
    run_id, icp_id, lead_id = await world.run(), await world.icp(), await world.lead()
    world.clock.advance(timedelta(days=400).total_seconds())

    await world.drafted([lead_id], run_id, icp_id)

    detail = await only_message(world)
    assert detail.message.reason.startswith("value:")
    assert detail.facts == ()


async def test_a_proven_draft_of_a_writer_is_used(database: Database) -> None:
    writer = PretendWriter(HONEST)
    world = World(database, writer=writer)
    run_id, icp_id, lead_id = await world.run(), await world.icp(), await world.lead()

    await world.drafted([lead_id], run_id, icp_id)

    detail = await only_message(world)
    assert detail.message.writer == "pretend:1"
    assert detail.problems == ()
    assert [fact.text for fact in writer.asked[0].facts] == [
        "Ada",
        "Ada Byron",
        "Head of Logistics",
        "Acme Freight",
    ]


async def test_an_invented_or_obedient_draft_gives_way_to_the_template(
    database: Database,
) -> None:
    writer = PretendWriter(LINKED)
    world = World(database, writer=writer)
    run_id, icp_id, lead_id = await world.run(), await world.icp(), await world.lead()

    await world.drafted([lead_id], run_id, icp_id)

    detail = await only_message(world)
    assert detail.message.writer == "template:first_touch:1"
    assert "evil" not in detail.message.body
    assert "text.link" in {problem.code for problem in detail.problems}
    assert len(writer.asked) == 2


async def test_a_refused_draft_goes_back_to_its_writer_with_what_is_wrong(
    database: Database,
) -> None:
    writer = PretendWriter(LINKED, HONEST)
    world = World(database, writer=writer)

    await world.drafted([await world.lead()], await world.run(), await world.icp())

    first, second = writer.asked
    assert first.refused is None
    assert second.refused is not None
    assert second.refused.body == LINKED.body
    assert any(problem.startswith("text.link: ") for problem in second.refused.problems)
    detail = await only_message(world)
    assert (detail.message.writer, detail.message.body) == ("pretend:1", HONEST.body)
    assert "text.link" in {problem.code for problem in detail.problems}


async def test_a_writer_that_may_not_revise_is_asked_once(database: Database) -> None:
    writer = PretendWriter(LINKED, HONEST)
    world = World(database, msgspec.structs.replace(SETTINGS, revisions=0), writer=writer)

    await world.drafted([await world.lead()], await world.run(), await world.icp())

    assert len(writer.asked) == 1
    assert (await only_message(world)).message.writer == "template:first_touch:1"


async def test_a_writer_that_refuses_or_stays_away_gives_way_to_the_template(
    database: Database,
) -> None:
    refusing = World(database, writer=PretendWriter(ProviderRefused("it will not")))
    absent = World(database, writer=PretendWriter(ProviderDown("nobody there")))
    run_id, icp_id = await refusing.run(), await refusing.icp()
    lead_id = await refusing.lead()
    claimed = absent.claim(LeadQualified(lead_id, icp_id, absent.ids.new()), run_id)

    await refusing.drafted([lead_id], run_id, icp_id)
    [loaded] = await absent.generate.load(absent.db, [claimed])
    claimed.attempts = 3
    [patient] = await absent.generate.load(absent.db, [claimed])

    assert (await only_message(refusing)).message.writer == "template:first_touch:1"
    with pytest.raises(ProviderDown):
        await absent.generate.work(loaded)  # type: ignore[arg-type]
    await absent.generate.work(patient)  # type: ignore[arg-type]


async def test_no_money_is_spent_on_a_text_that_will_never_go(database: Database) -> None:
    writer = PretendWriter(HONEST)
    world = World(database, writer=writer)

    await world.drafted([await world.lead()], await world.run("never"), await world.icp())

    assert writer.asked == []
    assert (await only_message(world)).message.state is MessageState.NOT_WANTED


async def test_a_stored_template_takes_the_place_of_the_shipped_one(world: World) -> None:
    template = TemplateInput(
        name="first_touch",
        channel=Channel.EMAIL,
        subject="Hello {{ first_name }}",
        body="Hi {{ first_name }}, {{ offer }}",
    )
    await world.add_template(template, "ann")
    newest = await world.add_template(template, "ann")

    await world.drafted([await world.lead()], await world.run(), await world.icp())

    message = (await only_message(world)).message
    assert newest.version == 2
    assert message.writer == "template:first_touch:2"
    assert message.subject == "Hello Ada"


async def test_autopilot_approves_while_a_setting_is_missing_and_says_what_is_waited_for(
    database: Database,
) -> None:
    world = World(database, msgspec.structs.replace(SETTINGS, postal_address=""))

    events = await world.drafted([await world.lead()], await world.run(), await world.icp())

    message = (await only_message(world)).message
    assert [type(event) for event in events] == [MessageApproved]
    assert message.state is MessageState.APPROVED
    assert message.intent_code == "waits_for_setup"
    assert message.intent_detail == "set messaging.postal_address"


async def test_a_drafting_that_failed_leaves_a_message_that_says_so(world: World) -> None:
    run_id, icp_id, lead_id = await world.run(), await world.icp(), await world.lead()
    claimed = world.claim(LeadQualified(lead_id, icp_id, world.ids.new()), run_id)
    gone = world.claim(LeadQualified(UUID(int=1), icp_id, world.ids.new()), run_id)

    [missing] = await world.generate.load(world.db, [gone])
    ended = [FinishedTask(claimed, Discard(Invalid("broken"))), FinishedTask(gone, missing)]  # type: ignore[arg-type]
    async with world.db.transaction() as tx:
        follows = await world.generate.commit(tx, ended)

    assert isinstance(missing, Discard)
    assert [type(follow.event) for follow in follows] == [MessageDrafted]
    message = (await only_message(world)).message
    assert (message.state, message.reason) == (MessageState.NEEDS_DATA, "failed:engine.invalid")


async def test_a_batch_of_leads_is_drafted_at_once(world: World) -> None:
    run_id, icp_id = await world.run(), await world.icp()
    lead_ids = [
        await world.lead(email=f"p{number}@acme.example", full_name=f"Ada B{number}")
        for number in range(30)
    ]

    events = await world.drafted(lead_ids, run_id, icp_id)

    assert len({event.subject() for event in events}) == 30
    assert await counted(world, "intent") == 30
