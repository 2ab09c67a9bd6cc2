import hashlib
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import msgspec
import pytest
from leadflood.contracts.errors import (
    ProviderChanged,
    ProviderDown,
    ProviderKeyRefused,
    ProviderRefused,
    ProviderThrottled,
    ProviderUnfunded,
)
from leadflood.contracts.ports.people import PersonSubject
from leadflood.contracts.provider_spec import ProviderSettings
from leadflood.contracts.values import FieldName
from leadflood.engine.clock import ManualClock
from leadflood.engine.errors import Invalid
from leadflood.engine.net.calls import Http, LimitHint
from leadflood.providers.pdl import Pdl

from tests.support.conformance import Samples
from tests.support.gate import DirectGate
from tests.support.tapes import Answer, Tape, playing, sample

CONFORMANCE = Samples(
    hit=sample("pdl.person_enrich.success.json"),
    miss=sample("pdl.person_enrich.404.json"),
    misses=Answer(200, b'[{"status": 404}, {"status": 404}]'),
)
PRICE = 280_000
MIRA_ID = "qAbCdEfGhIjKlMnOpQrStU_0000"
MIRA = PersonSubject(
    subject_id="lead-1", first_name="Mira", last_name="Okafor", company_domain="example.com"
)

Make = Callable[..., Pdl]


@pytest.fixture
def make(gate: DirectGate, http: Http, clock: ManualClock) -> Make:
    def build(tape: Tape, **extra: Any) -> Pdl:
        settings = ProviderSettings(
            base_url=tape.url, api_key="key-1", credit_price_micros=PRICE, extra=extra
        )
        return Pdl(settings, gate, http, clock)

    return build


def request_body(tape: Tape) -> Any:
    return tape.seen[-1].json()


async def test_a_person_is_told_in_our_words(make: Make, gate: DirectGate) -> None:
    answer = sample("pdl.person_enrich.success.json")
    async with playing(answer) as tape:
        result = await make(tape).enrich(MIRA)

    assert {value.field: value.value for value in result.values} == {
        FieldName.FULL_NAME: "Mira Okafor",
        FieldName.FIRST_NAME: "Mira",
        FieldName.LAST_NAME: "Okafor",
        FieldName.LINKEDIN_URL: "https://www.linkedin.com/in/mira-okafor-sample",
        FieldName.EMAIL: "mira.okafor@example.com",
        FieldName.MOBILE_PHONE: "+14155550164",
        FieldName.CITY: "Oakland",
        FieldName.COUNTRY: "US",
        FieldName.TITLE: "VP Operations",
        FieldName.SENIORITY: "vp",
        FieldName.DEPARTMENT: "operations",
        FieldName.COMPANY_NAME: "Harbourworks Robotics",
        FieldName.COMPANY_DOMAIN: "example.com",
        FieldName.COMPANY_INDUSTRY: "machinery",
        FieldName.COMPANY_SIZE: 350,
        FieldName.COMPANY_COUNTRY: "US",
        FieldName.COMPANY_FOUNDED: 2014,
        FieldName.COMPANY_LINKEDIN_URL: (
            "https://www.linkedin.com/company/harbourworks-robotics-sample"
        ),
    }
    assert result.provider_id == MIRA_ID
    assert sum(value.cost_micros for value in result.values) == result.cost_micros == PRICE
    assert result.values[0].evidence_hash == hashlib.sha256(answer.body).hexdigest()
    seen = tape.seen[-1]
    assert (seen.method, seen.path) == ("POST", "/person/enrich")
    assert seen.headers["x-api-key"] == "key-1"
    assert seen.headers["x-request-id"] == str(gate.references[-1])
    assert request_body(tape) == {
        "first_name": "Mira",
        "last_name": "Okafor",
        "company": "example.com",
        "min_likelihood": 6,
        "titlecase": True,
    }


async def test_the_free_plans_true_is_no_value(make: Make) -> None:
    async with playing(sample("pdl.person_enrich.success_free_plan.json")) as tape:
        result = await make(tape).enrich(MIRA)

    fields = {value.field for value in result.values}
    assert result.found
    assert FieldName.TITLE in fields
    assert not {FieldName.EMAIL, FieldName.MOBILE_PHONE} & fields


async def test_a_likelihood_at_the_least_is_believed_and_below_it_is_not(make: Make) -> None:
    six = sample("pdl.person_enrich.success_matched.json")
    async with playing(six) as tape:
        enough = await make(tape).enrich(MIRA)
        guess = await make(tape, min_likelihood=7).enrich(MIRA)

    assert enough.found
    assert enough.values[0].confidence == 0.7
    assert (guess.found, guess.values, guess.cost_micros) == (False, (), PRICE)


async def test_no_record_is_a_free_miss(make: Make, gate: DirectGate) -> None:
    async with playing(sample("pdl.person_enrich.404.json")) as tape:
        result = await make(tape).enrich(MIRA)

    assert (result.found, result.cost_micros) == (False, 0)
    assert not gate.replies[-1].found


async def test_an_id_overrides_the_rest_and_required_is_a_setting(make: Make) -> None:
    subject = PersonSubject(subject_id="1", provider_ids={"pdl": MIRA_ID}, email="m@example.com")
    async with playing(sample("pdl.person_enrich.404.json")) as tape:
        await make(tape).enrich(subject)
        by_id = request_body(tape)
        await make(tape, required="emails", min_likelihood=0).enrich(
            PersonSubject(subject_id="2", email="m@example.com")
        )

    assert by_id == {"pdl_id": MIRA_ID, "titlecase": True}
    assert request_body(tape) == {"email": "m@example.com", "required": "emails", "titlecase": True}


async def test_a_bulk_call_answers_in_order_and_bills_the_hits(
    make: Make, gate: DirectGate
) -> None:
    subjects = [PersonSubject(subject_id=str(n), email=f"person{n}@example.com") for n in range(3)]
    async with playing(sample("pdl.person_bulk.mixed.json")) as tape:
        answers = await make(tape).enrich_many(subjects)

    assert [answer.found for answer in answers] == [True, False, False]
    assert [answer.cost_micros for answer in answers] == [PRICE, 0, 0]
    assert answers[0].provider_id == MIRA_ID
    assert [request["params"]["email"] for request in request_body(tape)["requests"]] == [
        subject.email for subject in subjects
    ]
    assert gate.calls[-1].max_cost_micros == 3 * PRICE


async def test_single_and_bulk_ask_the_same_question(make: Make, gate: DirectGate) -> None:
    bulk = msgspec.json.decode(sample("pdl.person_bulk.mixed.json").body)[:1]
    async with playing(
        sample("pdl.person_enrich.success.json"), Answer(body=msgspec.json.encode(bulk))
    ) as tape:
        pdl = make(tape)
        await pdl.enrich(MIRA)
        await pdl.enrich_many([MIRA])

    assert gate.calls[0].question == gate.calls[1].question
    assert gate.calls[0].operation == gate.calls[1].operation


async def test_a_bulk_answer_of_another_length_is_changed(make: Make) -> None:
    async with playing(sample("pdl.person_bulk.mixed.json")) as tape:
        with pytest.raises(ProviderChanged, match="3 of 1"):
            await make(tape).enrich_many([MIRA])


async def test_more_than_a_hundred_are_refused_before_the_call(
    make: Make, gate: DirectGate
) -> None:
    async with playing(Answer()) as tape:
        with pytest.raises(Invalid, match="at most 100"):
            await make(tape).enrich_many([MIRA] * 101)

    assert not gate.calls


@pytest.mark.parametrize(
    ("name", "error"),
    [
        ("400", ProviderRefused),
        ("401", ProviderKeyRefused),
        ("402", ProviderUnfunded),
        ("405", ProviderRefused),
        ("429", ProviderThrottled),
        ("500", ProviderDown),
    ],
)
async def test_errors_are_translated(make: Make, name: str, error: type[Exception]) -> None:
    async with playing(sample(f"pdl.any.{name}.json")) as tape:
        with pytest.raises(error) as caught:
            await make(tape).enrich(MIRA)

    assert type(caught.value) is error


async def test_throttling_waits_to_the_reset_but_never_longer_than_the_window(
    gate: DirectGate, http: Http
) -> None:
    answer = sample("pdl.any.429.json")  # resets at 2026-11-22 17:21:00
    near = ManualClock(datetime(2026, 11, 22, 17, 20, 48, tzinfo=UTC))
    waits = []
    async with playing(answer) as tape:
        for clock in (near, ManualClock(), ManualClock(datetime(2027, 1, 1, tzinfo=UTC))):
            settings = ProviderSettings(base_url=tape.url, api_key="k")
            with pytest.raises(ProviderThrottled) as caught:
                await Pdl(settings, gate, http, clock).enrich(MIRA)
            waits.append(caught.value.retry_after_seconds)

    assert waits == [12, 60, 60]


async def test_headers_become_hints_in_either_form(gate: DirectGate, http: Http) -> None:
    recorded = sample("pdl.person_enrich.404.json")
    python_like = {"x-ratelimit-remaining": "{'minute': 5, 'day': 90, 'month': None}"}
    clock = ManualClock(datetime(2026, 11, 22, 17, 20, 30, tzinfo=UTC))
    async with playing(
        recorded, Answer(404, recorded.body, python_like), Answer(404, recorded.body)
    ) as tape:
        pdl = Pdl(ProviderSettings(base_url=tape.url, api_key="k"), gate, http, clock)
        for _ in range(3):
            await pdl.enrich(MIRA)

    assert [reply.hints for reply in gate.replies] == [
        (LimitHint(60, limit=1_000, remaining=998, resets_in_seconds=30),),
        (LimitHint(60, remaining=5), LimitHint(86_400, remaining=90)),
        (),
    ]


async def test_what_may_be_asked(make: Make) -> None:
    async with playing(Answer()) as tape:
        pdl = make(tape)

        assert pdl.may_ask(MIRA)
        assert pdl.may_ask(PersonSubject(subject_id="1", phone="+4420"))
        assert not pdl.may_ask(PersonSubject(subject_id="1", first_name="Mira", company_name="F"))
