"""The adapters in the pretend world: unchanged, by base URL and key alone."""

from collections.abc import AsyncIterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import msgspec
import pytest
from leadflood.contracts.errors import ProviderThrottled
from leadflood.contracts.ports.email import EmailVerdict
from leadflood.contracts.ports.people import PeopleQuery, PersonSubject
from leadflood.contracts.ports.sender import Arrival, OutgoingMessage
from leadflood.contracts.ports.text import DraftRequest, NumberedFact
from leadflood.contracts.provider_spec import ProviderSettings
from leadflood.contracts.values import Channel, EmailStatus, FieldName
from leadflood.engine.clock import ManualClock
from leadflood.engine.net.calls import Http
from leadflood.providers.catalog import CATALOG, close_all
from leadflood.sandbox import prices
from leadflood.sandbox.world import WorldConfig, serve

from tests.support.gate import DirectGate

PRICES = {
    "apollo": prices.APOLLO_CREDIT_MICROS,
    "hunter": prices.HUNTER_CREDIT_MICROS,
    "pdl": prices.PDL_CREDIT_MICROS,
    "trengo": prices.TRENGO_MESSAGE_MICROS,
    "smtp": prices.SMTP_MESSAGE_MICROS,
}
EXTRA: dict[str, dict[str, Any]] = {
    "smtp": {"starttls": False},
    "openai": {
        "input_micros_per_million": prices.OPENAI_PROMPT_MICROS_PER_MILLION,
        "output_micros_per_million": prices.OPENAI_COMPLETION_MICROS_PER_MILLION,
    },
}
TEMPLATE = OutgoingMessage(
    intent_id="i",
    subject_id="1",
    reference="lf-1",
    channel=Channel.WHATSAPP,
    to="+447700900001",
    template_id="48211",
    parameters=("Ada", "Example Widgets Ltd"),
)
MAIL = OutgoingMessage(
    intent_id="i",
    subject_id="1",
    reference="<lf-1@send.example.com>",
    channel=Channel.EMAIL,
    to="ada@example.net",
    from_address="grace@send.example.com",
    subject="Widgets",
    text="Hi Ada",
)
DRAFT = DraftRequest(
    subject_id="1",
    channel=Channel.EMAIL,
    facts=(NumberedFact(1, "title", "CTO"),),
    offer="Widgets",
    sender_name="Grace",
)


class Adapters:
    """Every adapter, pointed at one world."""

    def __init__(self, built: dict[str, Any], admin: str) -> None:
        self.admin = admin
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
                    api_key=getattr(prices.Keys(), name),
                    credit_price_micros=PRICES.get(name, 0),
                    extra=EXTRA.get(name, {}),
                ),
                gate,
                http,
                clock,
            )
            for name, entry in CATALOG.items()
        }
        yield Adapters(built, at.admin)
        await close_all(list(built.values()))


async def known_people(adapters: Adapters) -> list[PersonSubject]:
    """Match the first page and keep who has an address and a company's domain."""
    page = await adapters.apollo.find_people(PeopleQuery(page_size=25), None)
    people = []
    for person in page.people:
        subject = PersonSubject(subject_id="1", provider_ids={"apollo": person.provider_id})
        answer = await adapters.apollo.enrich(subject)
        values = {value.field: str(value.value) for value in answer.values}
        if {FieldName.EMAIL, FieldName.LAST_NAME, FieldName.COMPANY_DOMAIN} <= set(values):
            people.append(
                PersonSubject(
                    subject_id=person.provider_id,
                    first_name=values[FieldName.FIRST_NAME],
                    last_name=values[FieldName.LAST_NAME],
                    company_domain=values[FieldName.COMPANY_DOMAIN],
                    email=values[FieldName.EMAIL],
                )
            )
    return people


async def verified(adapters: Adapters, address: str) -> EmailVerdict:
    """Check an address, again while the world is still at it."""
    for _ in range(5):
        with suppress(ProviderThrottled):
            verdict: EmailVerdict = await adapters.hunter.verify(address, "1")
            return verdict
    raise AssertionError("the check never ended")


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
    people = await known_people(adapters)

    hunted = [await adapters.hunter.enrich(person) for person in people]
    verdicts = [await verified(adapters, person.email) for person in people]
    enriched = await adapters.pdl.enrich_many(people)

    assert any(answer.found for answer in hunted)
    assert any(verdict.status is EmailStatus.VALID for verdict in verdicts)
    assert any(answer.found for answer in enriched)


async def test_the_pretend_model_writes_a_draft(adapters: Adapters) -> None:
    draft = await adapters.openai.write_draft(DRAFT)

    assert draft.body
    assert all(set(claim.facts) <= {1} for claim in draft.claims)


async def test_a_template_goes_out_and_is_found_again(
    adapters: Adapters, clock: ManualClock
) -> None:
    since = clock.now()
    other = msgspec.structs.replace(TEMPLATE, parameters=("Ada", "Somebody Else GmbH"))

    receipt = await adapters.trengo.send(TEMPLATE)
    clock.advance(300)

    assert receipt.remote_id
    assert await adapters.trengo.look_up(TEMPLATE, since) is Arrival.SENT
    assert await adapters.trengo.look_up(other, since) is Arrival.NOT_SENT


async def test_what_the_adapters_book_is_what_the_world_invoices(
    adapters: Adapters, gate: DirectGate, http: Http
) -> None:
    people = (await known_people(adapters))[:5]
    await adapters.pdl.enrich_many(people)
    for person in people:
        await adapters.hunter.enrich(person)
        await verified(adapters, person.email)
        await adapters.pdl.enrich(person)
    await adapters.openai.write_draft(DRAFT)
    await adapters.trengo.send(TEMPLATE)
    await adapters.smtp.send(MAIL)

    reply = await http.request("GET", f"{adapters.admin}/invoices")

    invoiced = {
        line["reference"]: line["amount_micros"] for line in msgspec.json.decode(reply.body)
    }
    mail = gate.references[-1]
    references = {reference: str(reference) for reference in gate.costs} | {mail: MAIL.reference}
    booked = {references[reference]: cost for reference, cost in gate.costs.items() if cost}
    booked[invoiced_mail(invoiced, str(mail))] = booked.pop(MAIL.reference)
    assert booked == invoiced


def invoiced_mail(invoiced: dict[str, int], reference: str) -> str:
    """Name the mail's line: by our reference where the sink reads it, else by the Message-ID."""
    return reference if reference in invoiced else MAIL.reference
