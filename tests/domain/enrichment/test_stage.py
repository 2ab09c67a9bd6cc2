from collections.abc import Callable, Sequence
from datetime import timedelta
from uuid import UUID

import msgspec
import pytest
from leadflood.contracts.errors import (
    PersonOptedOut,
    ProviderChanged,
    ProviderDown,
    ProviderRefused,
    ProviderThrottled,
    Unsupported,
)
from leadflood.contracts.found_values import FoundPerson, FoundValue, Scalar
from leadflood.contracts.parts import Ports
from leadflood.contracts.ports.email import EmailVerdict
from leadflood.contracts.ports.people import PersonAnswer, PersonSubject
from leadflood.contracts.values import Channel, EmailStatus, FieldName
from leadflood.domain.discovery.schemas import LeadDiscovered
from leadflood.domain.enrichment import repository
from leadflood.domain.enrichment.schemas import (
    CLAIMED_CODE,
    EnrichmentFailed,
    EnrichmentResult,
    EnrichmentState,
    LeadEnriched,
    LeadsMerged,
    Settings,
)
from leadflood.domain.enrichment.service.waterfall import WaterfallInput
from leadflood.domain.enrichment.stage import EnrichmentStage, EnrichTask
from leadflood.domain.lead_views.repository.pages import list_lead_records
from leadflood.domain.lead_views.schemas import LeadRecord
from leadflood.domain.leads.repository.profiles import find_survivors
from leadflood.domain.leads.schemas.events import LeadCreated, PersonClaimed
from leadflood.domain.leads.schemas.identity import IdentityKey, NewPerson
from leadflood.domain.leads.schemas.inputs import OptInEvidence
from leadflood.domain.leads.schemas.lead_states import LeadStatus
from leadflood.domain.leads.service import kernel as leads
from leadflood.domain.leads.service.upserting import upsert
from leadflood.domain.suppressions.schemas import AddressKey, SuppressionInput, SuppressionKind
from leadflood.domain.suppressions.service.opt_ins import OptInService
from leadflood.domain.suppressions.service.suppressions import SuppressionService
from leadflood.engine.clock import ManualClock
from leadflood.engine.db.pool import Database
from leadflood.engine.errors import CapSpent, Denied, NotFound, Throttled, Transient
from leadflood.engine.ids import Ids
from leadflood.engine.net.breaker import BreakerOpen
from leadflood.engine.queue.event import Event
from leadflood.engine.queue.outcome import Cancelled, Discard, Done
from leadflood.engine.queue.stage import ClaimedTask, FinishedTask, Policy
from tests.support.leads import find_view
from tests.support.messaging import RecordingPublisher
from tests.support.statements import sql

CLOCK = ManualClock()
IDS = Ids(CLOCK, seed=5)
ICP = UUID(int=99)
RUN = UUID(int=77)
KEY = AddressKey(b"k" * 32)
MERGED = sql(
    "UPDATE lead SET merged_into = $2::uuid, merge_reason = 'r', merged_by = 'b',"
    " merged_at = now() WHERE id = $1::uuid",
    "lead_id",
    "into",
)
END_OF = sql("SELECT code FROM enrichment WHERE lead_id = $1::uuid", "lead_id")
pytestmark = pytest.mark.pg
Answering = Callable[[PersonSubject], PersonAnswer]


def found(source: str, **given: Scalar) -> tuple[FoundValue, ...]:
    return tuple(
        FoundValue(
            field=FieldName(field),
            value=value,
            source=source,
            method="person.enrich",
            observed_at=CLOCK.now(),
            confidence=0.9,
            evidence_hash=f"{source} {sorted(given.items())}",
            cost_micros=10,
        )
        for field, value in given.items()
    )


class Enricher:
    """A provider that answers from a function and counts who it was asked for."""

    def __init__(self, name: str, answer: Answering | Exception, *gives: FieldName) -> None:
        self.name = name
        self.gives = frozenset(gives or FieldName)
        self.asked: list[PersonSubject] = []
        self._answer = answer

    def may_ask(self, subject: PersonSubject) -> bool:
        return bool(subject.provider_ids or subject.full_name or subject.email)

    def is_certain(self, subject: PersonSubject) -> bool:
        return bool(subject.provider_ids or subject.email)

    async def enrich(self, subject: PersonSubject) -> PersonAnswer:
        self.asked.append(subject)
        if isinstance(self._answer, Exception):
            raise self._answer
        return self._answer(subject)

    async def enrich_many(self, subjects: Sequence[PersonSubject]) -> Sequence[PersonAnswer]:
        raise Unsupported(f"one at a time, not {len(subjects)}")


class Verifier:
    """A verifier that says one thing."""

    def __init__(self, status: EmailStatus | Exception) -> None:
        self.name = "hunter"
        self.asked: list[str] = []
        self._status = status

    async def verify(self, email: str, subject_id: str) -> EmailVerdict:
        assert UUID(subject_id).version == 7
        self.asked.append(email)
        if isinstance(self._status, Exception):
            raise self._status
        (value,) = found("hunter", email_status=self._status.value)
        return EmailVerdict(status=self._status, observed_at=CLOCK.now(), value=value)


def telling(source: str, provider_id: str | None = None, **given: Scalar) -> Answering:
    def answer(_: PersonSubject) -> PersonAnswer:
        return PersonAnswer(
            found=bool(given),
            values=found(source, **given),
            provider_id=provider_id,
            cost_micros=50,
        )

    return answer


def a_stage(
    *enrichers: Enricher, verifier: Verifier | None = None, settings: Settings | None = None
) -> EnrichmentStage:
    by_name = {enricher.name: enricher for enricher in enrichers}
    settings = msgspec.structs.replace(settings or Settings(), order=tuple(by_name))
    ports = Ports(enrichers=by_name, verifier=verifier)
    return EnrichmentStage(Policy(), ports, settings, KEY, IDS, CLOCK)


async def records_of(database: Database, lead_id: UUID) -> list[LeadRecord]:
    records = await list_lead_records(database, [lead_id])
    return sorted(records[lead_id], key=lambda record: record.provider)


async def a_lead(database: Database, name: str = "a1", **given: Scalar) -> UUID:
    values = found("apollo", **{"first_name": "Ann", **given})
    person = FoundPerson("apollo", name, values)
    async with database.transaction() as tx:
        (upserted,) = await upsert(
            tx,
            [
                NewPerson(
                    source="apollo",
                    values=person.values,
                    keys=(IdentityKey("provider:apollo", name),),
                    status=LeadStatus.PROCESSING,
                )
            ],
            IDS,
            CLOCK.now(),
        )
    return upserted.lead_id


def a_claim(lead_id: UUID, run_id: UUID = RUN) -> ClaimedTask[EnrichTask]:
    return ClaimedTask(LeadDiscovered(lead_id, ICP), IDS.new(), 1, run_id, 0, CLOCK.now())


async def worked(
    database: Database, stage: EnrichmentStage, claims: Sequence[ClaimedTask[EnrichTask]]
) -> list[FinishedTask[EnrichTask, EnrichmentResult]]:
    ended = []
    for claim, item in zip(claims, await stage.load(database, claims), strict=True):
        assert isinstance(item, WaterfallInput)
        outcome = await stage.work(item)
        assert isinstance(outcome, Done)
        ended.append(FinishedTask(claim, outcome, item))
    return ended


async def committed(
    database: Database,
    stage: EnrichmentStage,
    ended: Sequence[FinishedTask[EnrichTask, EnrichmentResult]],
) -> list[Event]:
    async with database.transaction() as tx:
        return [follow.event for follow in await stage.commit(tx, ended)]


async def enriched(
    database: Database, stage: EnrichmentStage, *lead_ids: UUID, run_id: UUID = RUN
) -> list[Event]:
    claims = [a_claim(lead_id, run_id) for lead_id in lead_ids]
    return await committed(database, stage, await worked(database, stage, claims))


async def test_the_next_provider_is_asked_only_for_what_is_missing(database: Database) -> None:
    apollo = Enricher("apollo", telling("apollo", last_name="Lee", title="CTO"))
    hunter = Enricher("hunter", telling("hunter", email="ann@acme.example"), FieldName.EMAIL)
    pdl = Enricher("pdl", telling("pdl", email="other@acme.example"), FieldName.EMAIL)
    lead_id = await a_lead(database)

    events = await enriched(database, a_stage(apollo, hunter, pdl), lead_id)

    profile = (await leads.find_profiles(database, [lead_id]))[lead_id]
    assert events == [LeadEnriched(lead_id, ICP)]
    assert profile.status is LeadStatus.ENRICHED
    assert profile.text(FieldName.TITLE) == "CTO"
    assert profile.text(FieldName.EMAIL) == "ann@acme.example"
    assert hunter.asked[0].full_name == "Ann Lee"
    assert pdl.asked == []
    records = await records_of(database, lead_id)
    assert [(one.provider, one.state, one.is_found) for one in records] == [
        ("apollo", EnrichmentState.COMPLETED, True),
        ("hunter", EnrichmentState.COMPLETED, True),
    ]


async def test_a_repeated_commit_publishes_no_event_twice(database: Database) -> None:
    lead_id = await a_lead(database)
    stage = a_stage(Enricher("apollo", telling("apollo", email="ann@acme.example")))
    ended = await worked(database, stage, [a_claim(lead_id)])

    first = await committed(database, stage, ended)
    second = await committed(database, stage, ended)

    view = await find_view(database, lead_id)
    assert first == [LeadEnriched(lead_id, ICP)]
    assert second == []
    assert view is not None
    assert len(view.provenance) == 2


async def test_two_leads_of_a_run_that_are_one_person_go_on_once_as_the_older(
    database: Database,
) -> None:
    older, younger = await a_lead(database, "a1"), await a_lead(database, "a2")
    stage = a_stage(Enricher("apollo", telling("apollo", email="ann@acme.example")))

    events = await enriched(database, stage, younger, older)

    survivors = await find_survivors(database, [older, younger])
    assert survivors == {older: older, younger: older}
    assert sorted(map(str, events)) == sorted(
        map(str, [LeadsMerged(younger, older), LeadEnriched(older, ICP)])
    )


async def test_a_lead_merged_in_a_later_batch_does_not_send_the_survivor_on_again(
    database: Database,
) -> None:
    older, younger = await a_lead(database, "a1"), await a_lead(database, "a2")
    stage = a_stage(Enricher("apollo", telling("apollo", email="ann@acme.example")))

    first = await enriched(database, stage, older)
    second = await enriched(database, stage, younger)

    assert first == [LeadEnriched(older, ICP)]
    assert second == [LeadsMerged(younger, older)]


async def test_the_same_lead_goes_on_once_in_each_run(database: Database) -> None:
    lead_id = await a_lead(database)
    stage = a_stage(Enricher("apollo", telling("apollo", email="ann@acme.example")))

    one = await enriched(database, stage, lead_id, run_id=UUID(int=1))
    other = await enriched(database, stage, lead_id, run_id=UUID(int=2))

    assert one == other == [LeadEnriched(lead_id, ICP)]


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (ProviderDown("cut"), "provider.down"),
        (ProviderThrottled("wait", 30), "provider.throttled"),
        (Throttled("our own pace, far away", 3600), "engine.throttled"),
        (BreakerOpen("left alone", 5), "net.breaker_open"),
        (ProviderRefused("no"), "provider.refused"),
        (ProviderChanged("new shape"), "provider.changed"),
        (Denied("not in this run"), "engine.denied"),
    ],
)
async def test_a_provider_that_fails_is_followed_by_the_next_one(
    database: Database, error: Exception, code: str
) -> None:
    apollo = Enricher("apollo", error)
    pdl = Enricher("pdl", telling("pdl", email="ann@acme.example"))
    lead_id = await a_lead(database)

    events = await enriched(database, a_stage(apollo, pdl), lead_id)

    records = await records_of(database, lead_id)
    assert events == [LeadEnriched(lead_id, ICP)]
    assert {(one.provider, one.code) for one in records} == {("apollo", code), ("pdl", None)}


@pytest.mark.parametrize("error", [ProviderDown("cut"), ProviderThrottled("wait", 30)])
async def test_a_task_is_snoozed_or_retried_when_no_provider_could_answer(
    database: Database, error: Exception
) -> None:
    lead_id = await a_lead(database)
    stage = a_stage(Enricher("apollo", error), Enricher("pdl", telling("pdl")))
    (item,) = await stage.load(database, [a_claim(lead_id)])
    assert isinstance(item, WaterfallInput)

    with pytest.raises(type(error)):
        await stage.work(item)


async def test_our_own_pacing_is_waited_for_before_a_dearer_provider_is_asked(
    database: Database,
) -> None:
    pdl = Enricher("pdl", telling("pdl", email="ann@acme.example"))
    lead_id = await a_lead(database)
    stage = a_stage(Enricher("apollo", Throttled("our turn comes", 5)), pdl)
    (item,) = await stage.load(database, [a_claim(lead_id)])
    assert isinstance(item, WaterfallInput)

    with pytest.raises(Throttled):
        await stage.work(item)

    assert pdl.asked == []


async def test_a_spent_budget_ends_the_paid_part_and_the_lead_goes_on(database: Database) -> None:
    apollo = Enricher("apollo", telling("apollo", title="CTO"))
    hunter = Enricher("hunter", CapSpent("the run's money is spent"))
    pdl = Enricher("pdl", telling("pdl", email="ann@acme.example"))
    lead_id = await a_lead(database)

    events = await enriched(database, a_stage(apollo, hunter, pdl), lead_id)

    records = await records_of(database, lead_id)
    assert events == [LeadEnriched(lead_id, ICP)]
    assert pdl.asked == []
    assert [one.code for one in records] == [None, "budget.exhausted"]


async def test_a_person_who_opted_out_at_a_provider_is_left_alone(database: Database) -> None:
    claimed = PersonOptedOut("they asked to be left alone")
    pdl = Enricher("pdl", telling("pdl", email="ann@acme.example"))
    lead_id = await a_lead(database)

    events = await enriched(database, a_stage(Enricher("hunter", claimed), pdl), lead_id)

    profile = (await leads.find_profiles(database, [lead_id]))[lead_id]
    assert pdl.asked == []
    assert events == [
        PersonClaimed(lead_id, "hunter"),
        EnrichmentFailed(lead_id, ICP, CLAIMED_CODE),
    ]
    assert (profile.status, profile.failed_code) == (LeadStatus.FAILED, CLAIMED_CODE)


async def suppress(database: Database, kind: SuppressionKind, value: str) -> UUID:
    service = SuppressionService(database, KEY, IDS, CLOCK)
    suppression = SuppressionInput(kind=kind, value=value, reason="asked")
    async with RecordingPublisher(database).transaction() as publication:
        return (await service.add(publication, suppression, by="ann", source="test")).id


@pytest.mark.parametrize(
    ("kind", "value", "email"),
    [
        (SuppressionKind.LEAD, "{lead}", None),
        (SuppressionKind.LEAD, "{lead} email", None),
        (SuppressionKind.ADDRESS, "ann+x@no.example", "Ann@no.example"),
        (SuppressionKind.DOMAIN, "no.example", "ann@mail.no.example"),
    ],
)
async def test_nobody_is_paid_to_know_more_of_whom_nothing_may_be_sent_to(
    database: Database, kind: SuppressionKind, value: str, email: str | None
) -> None:
    apollo = Enricher("apollo", telling("apollo", title="CTO"))
    verifier = Verifier(EmailStatus.VALID)
    lead_id = await a_lead(database, **({} if email is None else {"email": email}))
    line_id = await suppress(database, kind, value.format(lead=lead_id))
    stage = a_stage(apollo, verifier=verifier)

    events = await enriched(database, stage, lead_id)

    asked = (list(apollo.asked), list(verifier.asked))
    end = await database.fetch_value(END_OF, lead_id=lead_id)
    async with database.transaction() as tx:
        await SuppressionService(database, KEY, IDS, CLOCK).lift(tx, line_id, "ann")
    await enriched(database, stage, lead_id, run_id=UUID(int=78))
    assert (asked, end, events) == (([], []), "suppressed", [LeadEnriched(lead_id, ICP)])
    assert len(apollo.asked) == 1


async def test_who_wants_no_mail_and_agreed_to_whatsapp_is_worth_asking_about(
    database: Database,
) -> None:
    apollo = Enricher("apollo", telling("apollo", title="CTO"))
    lead_id = await a_lead(database, phone="+31620000002")
    await suppress(database, SuppressionKind.LEAD, f"{lead_id} email")
    opt_ins = OptInService(database, KEY, IDS, CLOCK)
    evidence = OptInEvidence(source="form", wording="yes")
    async with RecordingPublisher(database).transaction() as publication:
        await opt_ins.record(publication, lead_id, Channel.WHATSAPP, evidence, "ann")

    await enriched(database, a_stage(apollo), lead_id)

    assert len(apollo.asked) == 1


async def test_whose_lead_merged_into_said_no_nobody_is_paid_for(database: Database) -> None:
    apollo = Enricher("apollo", telling("apollo", title="CTO"))
    older, younger = [await a_lead(database, name) for name in ("old", "young")]
    await suppress(database, SuppressionKind.LEAD, str(younger))
    await database.execute(MERGED, lead_id=younger, into=older)

    await enriched(database, a_stage(apollo), older)

    assert apollo.asked == []


async def test_an_address_that_does_not_work_is_no_reason_to_ask_nobody(
    database: Database,
) -> None:
    apollo = Enricher("apollo", telling("apollo", email="ann@new.example"))
    given = {"email": "ann@gone.example", "email_status": "invalid"}
    lead_id = await a_lead(database, **given)
    await suppress(database, SuppressionKind.ADDRESS, "ann@gone.example")

    await enriched(database, a_stage(apollo), lead_id)

    assert len(apollo.asked) == 1


async def test_an_address_that_no_provider_verified_is_verified(database: Database) -> None:
    verifier = Verifier(EmailStatus.VALID)
    apollo = Enricher("apollo", telling("apollo", email="ann@acme.example"))
    lead_id = await a_lead(database)

    await enriched(database, a_stage(apollo, verifier=verifier), lead_id)

    profile = (await leads.find_profiles(database, [lead_id]))[lead_id]
    assert verifier.asked == ["ann@acme.example"]
    assert profile.text(FieldName.EMAIL_STATUS) == "valid"


@pytest.mark.parametrize("status", ["valid", "invalid"])
async def test_an_address_with_a_verdict_is_not_verified_again(
    database: Database, status: str
) -> None:
    verifier = Verifier(EmailStatus.VALID)
    apollo = Enricher("apollo", telling("apollo", email="a@acme.example", email_status=status))

    await enriched(database, a_stage(apollo, verifier=verifier), await a_lead(database))

    assert verifier.asked == []


async def test_a_slow_check_is_waited_for_but_not_for_ever(database: Database) -> None:
    verifier = Verifier(ProviderThrottled("still checking", 5))
    stage = a_stage(
        Enricher("apollo", telling("apollo", email="ann@acme.example")), verifier=verifier
    )
    lead_id = await a_lead(database)
    claim = a_claim(lead_id)
    (item,) = await stage.load(database, [claim])
    assert isinstance(item, WaterfallInput)

    with pytest.raises(ProviderThrottled):
        await stage.work(item)
    late = WaterfallInput(item.profile, CLOCK.now() - timedelta(seconds=601))
    outcome = await stage.work(late)

    assert isinstance(outcome, Done)
    assert outcome.result.records[-1].code == "provider.throttled"


@pytest.mark.parametrize("error", [Transient("down"), BreakerOpen("left alone", 5)])
async def test_a_verifier_that_is_down_does_not_hold_the_lead(
    database: Database, error: Exception
) -> None:
    verifier = Verifier(error)
    apollo = Enricher("apollo", telling("apollo", email="ann@acme.example"))
    lead_id = await a_lead(database)

    events = await enriched(database, a_stage(apollo, verifier=verifier), lead_id)

    assert events == [LeadEnriched(lead_id, ICP)]


async def test_a_lead_out_of_attempts_fails_with_the_code(database: Database) -> None:
    lead_id = await a_lead(database)
    ended = FinishedTask[EnrichTask, EnrichmentResult](
        a_claim(lead_id), Discard(ProviderDown("cut"))
    )

    events = await committed(database, a_stage(), [ended])

    profile = (await leads.find_profiles(database, [lead_id]))[lead_id]
    assert events == [EnrichmentFailed(lead_id, ICP, "provider.down")]
    assert (profile.status, profile.failed_code) == (LeadStatus.FAILED, "provider.down")


async def test_a_dead_letter_replayed_in_its_run_goes_on(database: Database) -> None:
    lead_id = await a_lead(database)
    stage = a_stage(Enricher("apollo", telling("apollo", title="CTO")))
    failed = FinishedTask[EnrichTask, EnrichmentResult](
        a_claim(lead_id), Discard(ProviderDown("cut"))
    )
    await committed(database, stage, [failed])

    events = await enriched(database, stage, lead_id)

    assert events == [LeadEnriched(lead_id, ICP)]


async def test_a_cancelled_run_leaves_the_lead_as_it_is(database: Database) -> None:
    lead_id = await a_lead(database)
    ended = FinishedTask[EnrichTask, EnrichmentResult](
        a_claim(lead_id), Discard(Cancelled("cancelled"))
    )

    events = await committed(database, a_stage(), [ended])

    profile = (await leads.find_profiles(database, [lead_id]))[lead_id]
    assert events == []
    assert profile.status is LeadStatus.PROCESSING


async def test_a_lead_that_is_gone_is_discarded_and_writes_nothing(database: Database) -> None:
    claim: ClaimedTask[EnrichTask] = ClaimedTask(
        LeadCreated(UUID(int=5), ICP), IDS.new(), 1, RUN, 0, CLOCK.now()
    )
    stage = a_stage()

    (loaded,) = await stage.load(database, [claim])

    assert isinstance(loaded, Discard)
    assert isinstance(loaded.error, NotFound)
    assert await committed(database, stage, [FinishedTask(claim, loaded)]) == []


async def test_statistics_count_which_provider_fills_which_field(database: Database) -> None:
    apollo = Enricher("apollo", telling("apollo", title="CTO"), FieldName.TITLE, FieldName.EMAIL)
    ids = [await a_lead(database, f"a{number}") for number in range(3)]

    await enriched(database, a_stage(apollo), *ids)

    stats = await repository.list_stats(database, CLOCK.now().date())
    assert {(one.field, one.asked_count, one.found_count) for one in stats} == {
        (FieldName.EMAIL, 3, 0),
        (FieldName.TITLE, 3, 3),
    }
