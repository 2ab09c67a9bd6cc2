"""The adapters in the pretend world: unchanged, by base URL and key alone."""

from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from leadflood.contracts.ports.people import PeopleQuery, PersonSubject
from leadflood.contracts.ports.sender import Arrival, OutgoingMessage
from leadflood.contracts.ports.text import DraftRequest, NumberedFact
from leadflood.contracts.provider import ProviderSettings
from leadflood.contracts.values import Channel, FieldName
from leadflood.engine.clock import ManualClock
from leadflood.engine.net.call import Http
from leadflood.providers.catalog import CATALOG, close_all
from leadflood.sandbox.plans import Keys
from leadflood.sandbox.world import WorldConfig, serve

from tests.support.gate import DirectGate


class Adapters:
    """Every adapter, pointed at one world."""

    def __init__(self, built: dict[str, Any]) -> None:
        self.apollo = built["apollo"]
        self.hunter = built["hunter"]
        self.pdl = built["pdl"]
        self.openai = built["openai"]
        self.trengo = built["trengo"]
        self.smtp = built["smtp"]


@pytest.fixture
async def adapters(
    tmp_path: Path, gate: DirectGate, http: Http, clock: ManualClock
) -> AsyncIterator[Adapters]:
    config = WorldConfig(folder=str(tmp_path), people_count=500)
    async with serve(config, clock) as at:
        urls = {name: getattr(at, name) for name in CATALOG if name != "smtp"}
        urls["smtp"] = f"smtp://sales@{at.smtp_host}:{at.smtp_port}"
        built = {
            name: entry.build(
                ProviderSettings(
                    base_url=urls[name],
                    api_key=getattr(Keys(), name),
                    credit_price_micros=1_000,
                    extra={"starttls": False} if name == "smtp" else {},
                ),
                gate,
                http,
                clock,
            )
            for name, entry in CATALOG.items()
        }
        yield Adapters(built)
        await close_all(list(built.values()))


async def a_known_person(adapters: Adapters) -> tuple[PersonSubject, dict[FieldName, Any]]:
    page = await adapters.apollo.find_people(PeopleQuery(page_size=25), None)
    for person in page.people:
        subject = PersonSubject(subject_id="1", provider_ids={"apollo": person.provider_id})
        found = await adapters.apollo.enrich(subject)
        values = {value.field: value.value for value in found.values}
        if {FieldName.EMAIL, FieldName.COMPANY_DOMAIN} <= set(values):
            return subject, values
    raise AssertionError("nobody with an address among the first 25")


async def test_people_are_found_page_by_page_and_matched(
    adapters: Adapters, gate: DirectGate
) -> None:
    first = await adapters.apollo.find_people(PeopleQuery(page_size=10), None)
    second = await adapters.apollo.find_people(PeopleQuery(page_size=10), first.next_cursor)
    subjects = [
        PersonSubject(subject_id=person.provider_id, provider_ids={"apollo": person.provider_id})
        for person in first.people
    ]
    one_by_one = [await adapters.apollo.enrich(subject) for subject in subjects]
    at_once = await adapters.apollo.enrich_many(subjects)

    ids = [person.provider_id for person in (*first.people, *second.people)]
    assert len(set(ids)) == 20
    assert [answer.provider_id for answer in at_once] == [
        answer.provider_id for answer in one_by_one
    ]
    assert gate.replies[0].hints
    await adapters.apollo.check_key()


async def test_filters_reach_the_world(adapters: Adapters) -> None:
    everyone = await adapters.apollo.find_people(PeopleQuery(), None)
    germans = await adapters.apollo.find_people(
        PeopleQuery(countries=("DE",), company_sizes=((50, 1_000),)), None
    )

    assert 0 < germans.total < everyone.total


async def test_hunter_and_pdl_know_people_too(adapters: Adapters) -> None:
    _, values = await a_known_person(adapters)
    subject = PersonSubject(
        subject_id="1",
        first_name=str(values[FieldName.FIRST_NAME]),
        last_name=str(values[FieldName.LAST_NAME]),
        company_domain=str(values[FieldName.COMPANY_DOMAIN]),
        email=str(values[FieldName.EMAIL]),
    )

    hunted = await adapters.hunter.enrich(subject)
    verdict = await adapters.hunter.verify(subject.email, "1")
    (enriched,) = await adapters.pdl.enrich_many([subject])
    usage = await adapters.hunter.read_usage()

    assert hunted.found in {True, False}
    assert verdict.value.field is FieldName.EMAIL_STATUS
    assert enriched.found in {True, False}
    assert usage.used is not None


async def test_the_pretend_model_writes_a_draft(adapters: Adapters) -> None:
    draft = await adapters.openai.write_draft(
        DraftRequest(
            subject_id="1",
            channel=Channel.EMAIL,
            facts=(NumberedFact(1, "title", "CTO"),),
            offer="Widgets",
            sender_name="Grace",
        )
    )

    assert draft.body
    assert all(set(claim.facts) <= {1} for claim in draft.claims)


async def test_a_template_goes_out_and_is_found_again(
    adapters: Adapters, clock: ManualClock
) -> None:
    message = OutgoingMessage(
        intent_id="i",
        subject_id="1",
        reference="lf-1",
        channel=Channel.WHATSAPP,
        to="+447700900001",
        template_id="48211",
        parameters=("Ada", "Example Widgets Ltd"),
    )
    since = clock.now()

    receipt = await adapters.trengo.send(message)
    clock.advance(timedelta(minutes=5).total_seconds())
    other = OutgoingMessage(
        intent_id="j",
        subject_id="1",
        reference="lf-2",
        channel=Channel.WHATSAPP,
        to="+447700900001",
        template_id="48211",
        parameters=("Ada", "Somebody Else GmbH"),
    )

    assert receipt.remote_id
    assert await adapters.trengo.look_up(message, since) is Arrival.SENT
    assert await adapters.trengo.look_up(other, since) is Arrival.NOT_SENT


async def test_a_mail_goes_out_with_a_login(adapters: Adapters) -> None:
    receipt = await adapters.smtp.send(
        OutgoingMessage(
            intent_id="i",
            subject_id="1",
            reference="<lf-1@send.example.com>",
            channel=Channel.EMAIL,
            to="ada@example.net",
            from_address="grace@send.example.com",
            subject="Widgets",
            text="Hi Ada",
        )
    )

    assert receipt.remote_id == "<lf-1@send.example.com>"
