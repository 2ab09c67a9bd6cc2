import hashlib
from collections.abc import Callable
from datetime import UTC, datetime
from decimal import Decimal
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
from leadflood.contracts.found_values import FoundValue, Scalar
from leadflood.contracts.ports.people import PeopleQuery, PersonSubject
from leadflood.contracts.provider_spec import ProviderSettings
from leadflood.contracts.values import FieldName
from leadflood.engine.clock import ManualClock
from leadflood.engine.errors import Invalid, NotConfigured
from leadflood.engine.net.calls import Http, LimitHint, Reply
from leadflood.providers import catalog
from leadflood.providers.apollo import Apollo

from tests.support.conformance import SUBJECT, Samples
from tests.support.gate import CachedGate, DirectGate
from tests.support.tapes import Answer, RecordedRequest, Tape, playing, sample

MIRA, TOBIAS, ADAEZE = (f"67bdafd0c3a4c50001aa000{n}" for n in (1, 2, 3))
CONFORMANCE = Samples(
    hit=sample("apollo.people_match.success.json"),
    miss=sample("apollo.people_match.no_match.json"),
    misses=Answer(200, b'{"matches": [null, null], "credits_consumed": 0}'),
    subject=msgspec.structs.replace(SUBJECT, provider_ids={"apollo": MIRA}),
)
PRICE = 30_000

Make = Callable[[Tape], Apollo]


@pytest.fixture
def make(gate: DirectGate, http: Http, clock: ManualClock) -> Make:
    def build(tape: Tape, **extra: str | bool) -> Apollo:
        settings = ProviderSettings(
            base_url=tape.url, api_key="key-1", credit_price_micros=PRICE, extra=dict(extra)
        )
        return Apollo(settings, gate, http, clock)

    return build


def request_body(tape: Tape) -> Any:
    return tape.seen[-1].json()


def by_field(values: tuple[FoundValue, ...]) -> dict[FieldName, Scalar]:
    return {result.field: result.value for result in values}


def a_subject(**over: Any) -> PersonSubject:
    return PersonSubject(subject_id="lead-1", **over)


async def test_a_search_page_becomes_people_without_a_surname(make: Make) -> None:
    async with playing(sample("apollo.people_search.page1.json")) as tape:
        page = await make(tape).find_people(PeopleQuery(page_size=2), None)

    assert page.total == 3
    assert [person.provider_id for person in page.people] == [MIRA, TOBIAS]
    assert by_field(page.people[0].values) == {
        FieldName.FIRST_NAME: "Mira",
        FieldName.TITLE: "VP Operations",
        FieldName.COMPANY_NAME: "Harbourworks Robotics",
    }
    assert "***" not in str(page)
    assert page.cost_micros == 0


async def test_search_goes_on_while_the_total_says_so_and_stops_on_a_short_page(make: Make) -> None:
    first, last = (sample(f"apollo.people_search.{name}.json") for name in ("page1", "last_page"))
    async with playing(first, last) as tape:
        apollo = make(tape)
        page = await apollo.find_people(PeopleQuery(page_size=2), None)
        end = await apollo.find_people(PeopleQuery(page_size=2), page.next_cursor)

    assert page.next_cursor == "2"
    assert request_body(tape)["page"] == 2
    assert end.next_cursor is None
    assert FieldName.TITLE not in by_field(end.people[0].values)


async def test_search_stops_when_the_total_is_reached_and_at_page_500(make: Make) -> None:
    two = [{"id": "a", "first_name": "A"}, {"id": "b", "first_name": "B"}]
    exact = Answer(body=msgspec.json.encode({"total_entries": 4, "people": two}))
    endless = Answer(body=msgspec.json.encode({"total_entries": 9_999, "people": two}))
    async with playing(exact, endless) as tape:
        reached = await make(tape).find_people(PeopleQuery(page_size=2), "2")
        ceiling = await make(tape).find_people(PeopleQuery(page_size=2), "500")

    assert reached.next_cursor is None
    assert ceiling.next_cursor is None


async def test_an_empty_search_is_an_empty_last_page(make: Make) -> None:
    async with playing(sample("apollo.people_search.empty.json")) as tape:
        page = await make(tape).find_people(PeopleQuery(), None)

    assert (page.people, page.total, page.next_cursor) == ((), 0, None)


async def test_filters_are_written_in_apollos_words(make: Make, gate: DirectGate) -> None:
    query = PeopleQuery(
        titles=("VP Operations",),
        countries=("US", "GB"),
        industries=("robotics",),
        technologies=("Amazon AWS", "Node.js"),
        company_sizes=((11, 50), (201, 500)),
        company_domains=("www.Example.com",),
        keywords="ports",
        page_size=500,
    )
    async with playing(sample("apollo.people_search.page1.json")) as tape:
        page = await make(tape).find_people(query, None)

    assert request_body(tape) == {
        "person_titles": ["VP Operations"],
        "person_locations": ["United States", "United Kingdom"],
        "currently_using_any_of_technology_uids": ["amazon_aws", "node_js"],
        "organization_num_employees_ranges": ["11,50", "201,500"],
        "q_organization_domains_list": ["example.com"],
        "q_keywords": "ports",
        "page": 1,
        "per_page": 100,
    }
    assert page.ignored == ("industries",)
    seen = tape.seen[-1]
    assert (seen.method, seen.path) == ("POST", "/mixed_people/api_search")
    assert seen.headers["x-api-key"] == "key-1"
    assert seen.headers["x-request-id"] == str(gate.references[-1])
    assert gate.calls[-1].limit == "search"


async def test_settings_choose_whose_country_is_meant(make: Any) -> None:
    async with playing(sample("apollo.people_search.empty.json")) as tape:
        apollo = make(tape, countries_mean="organization", similar_titles=False)
        await apollo.find_people(PeopleQuery(countries=("DE",)), None)

    assert request_body(tape)["organization_locations"] == ["Germany"]
    assert request_body(tape)["include_similar_titles"] is False


async def test_a_setting_that_means_nothing_is_refused_by_its_path(make: Any) -> None:
    async with playing(sample("apollo.people_search.empty.json")) as tape:
        with pytest.raises(Invalid) as refused:
            make(tape, countries_mean="company")

    assert refused.value.fields[0].path == "providers.apollo.extra.countries_mean"


async def test_unusable_records_are_refused_one_by_one(make: Make) -> None:
    people = [
        {"first_name": "No", "title": "Id"},
        {"id": "x1"},
        {"id": 7},
        {"id": "ok", "title": "CTO"},
    ]
    answer = Answer(body=msgspec.json.encode({"total_entries": 4, "people": people}))
    async with playing(answer) as tape:
        page = await make(tape).find_people(PeopleQuery(page_size=4), None)

    assert [person.provider_id for person in page.people] == ["ok"]
    assert [where for where, _ in page.refused] == [f"page 1 record {n}" for n in (1, 2, 3)]
    assert [why.partition(":")[0] for _, why in page.refused] == [
        "apollo.no_id",
        "apollo.nobody",
        "apollo.unreadable",
    ]


@pytest.mark.parametrize("cursor", ["0", "501", "x", "-1", "", "٣"])
async def test_a_foreign_cursor_is_invalid(make: Make, cursor: str) -> None:
    async with playing(sample("apollo.people_search.empty.json")) as tape:
        with pytest.raises(Invalid, match="cursor"):
            await make(tape).find_people(PeopleQuery(), cursor)

    assert not tape.seen


async def test_rate_headers_become_hints_and_an_unlimited_window_is_left_out(
    make: Make, gate: DirectGate
) -> None:
    page = sample("apollo.people_search.page1.json")
    unlimited = {
        "x-rate-limit-minute": "200",
        "x-minute-requests-left": "7",
        "x-rate-limit-hourly": "",
    }
    old_names = {"x-rate-limit-daily": "600", "x-daily-requests-left": "5"}
    async with playing(page, Answer(200, page.body, unlimited | old_names)) as tape:
        await make(tape).find_people(PeopleQuery(), None)
        await make(tape).find_people(PeopleQuery(), None)

    assert gate.replies[0].hints == (
        LimitHint(60, limit=200, remaining=197),
        LimitHint(3_600, limit=6_000, remaining=5_959),
        LimitHint(86_400, limit=50_000, remaining=49_880),
    )
    assert gate.replies[1].hints == (
        LimitHint(60, limit=200, remaining=7),
        LimitHint(86_400, limit=600, remaining=5),
    )


async def test_a_match_by_id_tells_person_work_and_company(make: Make, gate: DirectGate) -> None:
    answer = sample("apollo.people_match.success.json")
    async with playing(answer) as tape:
        subject = a_subject(provider_ids={"apollo": MIRA}, first_name="Mira")
        result = await make(tape).enrich(subject)

    assert request_body(tape) == {"id": MIRA}
    assert by_field(result.values) == {
        FieldName.FIRST_NAME: "Mira",
        FieldName.LAST_NAME: "Okafor",
        FieldName.FULL_NAME: "Mira Okafor",
        FieldName.LINKEDIN_URL: "https://www.linkedin.com/in/mira-okafor-sample",
        FieldName.CITY: "Oakland",
        FieldName.COUNTRY: "US",
        FieldName.EMAIL: "mira.okafor@example.com",
        FieldName.EMAIL_STATUS: "valid",
        FieldName.TITLE: "VP Operations",
        FieldName.SENIORITY: "vp",
        FieldName.DEPARTMENT: "operations",
        FieldName.COMPANY_NAME: "Harbourworks Robotics",
        FieldName.COMPANY_DOMAIN: "example.com",
        FieldName.COMPANY_INDUSTRY: "mechanical or industrial engineering",
        FieldName.COMPANY_SIZE: 240,
        FieldName.COMPANY_COUNTRY: "US",
        FieldName.COMPANY_TECHNOLOGIES: ("Amazon AWS", "HubSpot", "React"),
        FieldName.COMPANY_FOUNDED: 2014,
        FieldName.COMPANY_REVENUE: 38_000_000,
        FieldName.COMPANY_LINKEDIN_URL: (
            "https://www.linkedin.com/company/harbourworks-robotics-sample"
        ),
    }
    assert result.provider_id == MIRA
    assert result.cost_micros == PRICE
    assert sum(value.cost_micros for value in result.values) == PRICE
    assert {value.evidence_hash for value in result.values} == {
        hashlib.sha256(answer.body).hexdigest()
    }
    assert {(value.source, value.method) for value in result.values} == {("apollo", "people.match")}
    call = gate.calls[-1]
    assert (call.max_cost_micros, call.limit, call.subjects) == (PRICE, "enrichment", ("lead-1",))
    assert call.answer_seconds == 30 * 86_400


async def test_without_an_id_all_that_is_known_is_asked(make: Make) -> None:
    async with playing(sample("apollo.people_match.no_match.json")) as tape:
        subject = a_subject(
            first_name="Mira",
            last_name="Okafor",
            full_name="Mira Okafor",
            company_domain="example.com",
        )
        result = await make(tape).enrich(subject)

    assert request_body(tape) == {
        "first_name": "Mira",
        "last_name": "Okafor",
        "domain": "example.com",
    }
    assert (result.found, result.values, result.cost_micros) == (False, (), 0)


async def test_a_placeholder_address_is_no_address(make: Make) -> None:
    async with playing(sample("apollo.people_match.placeholder_email.json")) as tape:
        result = await make(tape).enrich(a_subject(provider_ids={"apollo": MIRA}))

    assert result.found
    assert not {FieldName.EMAIL, FieldName.EMAIL_STATUS} & set(by_field(result.values))


async def test_employment_fills_in_for_a_missing_title_and_company(make: Make) -> None:
    person = {
        "id": MIRA,
        "employment_history": [
            {"current": False, "title": "Old", "organization_name": "Before"},
            {"current": True, "title": "CTO", "organization_name": "Now Ltd"},
        ],
    }
    async with playing(Answer(body=msgspec.json.encode({"person": person}))) as tape:
        result = await make(tape).enrich(a_subject(provider_ids={"apollo": MIRA}))

    assert by_field(result.values) == {FieldName.TITLE: "CTO", FieldName.COMPANY_NAME: "Now Ltd"}


async def test_a_kept_answer_parses_the_same_and_keeps_its_time(
    http: Http, clock: ManualClock
) -> None:
    body = sample("apollo.people_match.success.json").body
    came_in = datetime(2025, 12, 1, tzinfo=UTC)
    gate = CachedGate(Reply(body=body, cached=True, cost_micros=0, observed_at=came_in))
    apollo = Apollo(ProviderSettings(api_key="k"), gate, http, clock)

    result = await apollo.enrich(a_subject(provider_ids={"apollo": MIRA}))

    assert result.cached
    assert by_field(result.values)[FieldName.EMAIL] == "mira.okafor@example.com"
    assert {value.observed_at for value in result.values} == {came_in}


async def test_a_bulk_match_is_keyed_on_the_id_whatever_its_order(
    make: Make, gate: DirectGate
) -> None:
    recorded = sample("apollo.people_bulk_match.success.json")
    recorded_body = msgspec.json.decode(recorded.body)
    recorded_body["matches"] = list(reversed(recorded_body["matches"]))
    shuffled = Answer(body=msgspec.json.encode(recorded_body))
    subjects = [
        PersonSubject(subject_id=f"lead-{n}", provider_ids={"apollo": apollo_id})
        for n, apollo_id in enumerate((MIRA, ADAEZE, TOBIAS))
    ]
    async with playing(recorded, shuffled) as tape:
        aligned = await make(tape).enrich_many(subjects)
        reordered = await make(tape).enrich_many(subjects)

    for answers in (aligned, reordered):
        assert [answer.found for answer in answers] == [True, False, True]
        assert [answer.provider_id for answer in answers] == [MIRA, None, TOBIAS]
        assert [answer.cost_micros for answer in answers] == [PRICE, 0, PRICE]
    assert request_body(tape) == {"details": [{"id": MIRA}, {"id": ADAEZE}, {"id": TOBIAS}]}
    assert gate.calls[-1].max_cost_micros == 3 * PRICE
    assert gate.calls[-1].limit == "bulk_enrichment"


async def test_fractional_credits_of_a_bulk_call_sum_exactly(make: Make, gate: DirectGate) -> None:
    recorded_body = msgspec.json.decode(sample("apollo.people_bulk_match.success.json").body)
    recorded_body["credits_consumed"] = 1.5
    subjects = [
        PersonSubject(subject_id=apollo_id, provider_ids={"apollo": apollo_id})
        for apollo_id in (MIRA, ADAEZE, TOBIAS)
    ]
    async with playing(Answer(body=msgspec.json.encode(recorded_body))) as tape:
        await make(tape).enrich_many(subjects)

    assert [reply.cost_micros for reply in gate.bulk[-1].items] == [22_500, 0, 22_500]


async def test_bulk_items_asked_without_an_id_are_told_apart_by_place_or_name(make: Make) -> None:
    recorded_body = msgspec.json.decode(sample("apollo.people_bulk_match.success.json").body)
    short = {**recorded_body, "matches": [person for person in recorded_body["matches"] if person]}
    subjects = [
        PersonSubject(subject_id="1", provider_ids={"apollo": MIRA}),
        PersonSubject(subject_id="2", full_name="Lena Nobody", company_domain="example.com"),
        PersonSubject(subject_id="3", full_name="Tobias Fennwick", company_domain="example.org"),
    ]
    async with playing(
        Answer(body=msgspec.json.encode(recorded_body)), Answer(body=msgspec.json.encode(short))
    ) as tape:
        by_place = await make(tape).enrich_many(subjects)
        by_name = await make(tape).enrich_many(subjects)

    for answers in (by_place, by_name):
        assert [answer.provider_id for answer in answers] == [MIRA, None, TOBIAS]


async def test_a_waterfall_answer_without_credits_counts_the_matches(make: Make) -> None:
    async with playing(sample("apollo.people_bulk_match.waterfall.json")) as tape:
        answers = await make(tape).enrich_many([a_subject(provider_ids={"apollo": MIRA})])

    assert answers[0].found
    assert answers[0].cost_micros == PRICE


async def test_more_than_ten_in_bulk_are_refused_before_the_call(
    make: Make, gate: DirectGate
) -> None:
    async with playing(sample("apollo.people_bulk_match.400_too_many.json")) as tape:
        with pytest.raises(Invalid, match="at most 10"):
            await make(tape).enrich_many([a_subject()] * 11)

    assert not gate.calls


@pytest.mark.parametrize(
    ("name", "error"),
    [
        ("apollo.people_search.401.txt", ProviderKeyRefused),
        ("apollo.people_search.403_plan.json", ProviderKeyRefused),
        ("apollo.people_search.403_scope.json", ProviderKeyRefused),
        ("apollo.people_search.422.json", ProviderRefused),
        ("apollo.people_search.429.json", ProviderThrottled),
        ("apollo.people_search.429_nested.json", ProviderThrottled),
    ],
)
async def test_search_errors_are_translated(make: Make, name: str, error: type[Exception]) -> None:
    async with playing(sample(name)) as tape:
        with pytest.raises(error) as caught:
            await make(tape).find_people(PeopleQuery(), None)

    assert type(caught.value) is error
    if isinstance(caught.value, ProviderThrottled):
        assert caught.value.retry_after_seconds == 1312


@pytest.mark.parametrize(
    "answer",
    [
        sample("apollo.people_match.422_credits.json"),
        Answer(
            422, b"You have insufficient credits. Upgrade your plan.", content_type="text/plain"
        ),
        Answer(402, b""),
    ],
    ids=["code", "sentence", "402"],
)
async def test_credits_gone_is_unfunded(make: Make, answer: Answer) -> None:
    async with playing(answer) as tape:
        with pytest.raises(ProviderUnfunded):
            await make(tape).enrich(a_subject(provider_ids={"apollo": MIRA}))


@pytest.mark.parametrize("name", ["400_missing", "400_too_many"])
async def test_bulk_refusals_are_final(make: Make, name: str) -> None:
    async with playing(sample(f"apollo.people_bulk_match.{name}.json")) as tape:
        with pytest.raises(ProviderRefused):
            await make(tape).enrich_many([a_subject(provider_ids={"apollo": MIRA})])


async def test_a_throttled_match_says_how_long(make: Make) -> None:
    async with playing(sample("apollo.people_match.429.json")) as tape:
        with pytest.raises(ProviderThrottled) as caught:
            await make(tape).enrich(a_subject(provider_ids={"apollo": MIRA}))

    assert caught.value.retry_after_seconds == 1312


async def test_a_body_that_no_longer_fits_is_changed_and_never_kept(
    make: Make, gate: DirectGate
) -> None:
    async with playing(Answer(body=b'{"person": 3}')) as tape:
        with pytest.raises(ProviderChanged):
            await make(tape).enrich(a_subject(provider_ids={"apollo": MIRA}))

    assert not gate.replies


async def test_what_may_be_asked(make: Make) -> None:
    async with playing(Answer()) as tape:
        apollo = make(tape)

        assert apollo.may_ask(a_subject(provider_ids={"apollo": MIRA}))
        assert apollo.may_ask(a_subject(email="a@example.com"))
        assert apollo.may_ask(a_subject(full_name="A B", company_name="C"))
        assert not apollo.may_ask(a_subject(first_name="A", company_name="C"))
        assert not apollo.may_ask(a_subject(provider_ids={"pdl": "x"}))


async def test_a_missing_key_names_the_setting(
    gate: DirectGate, http: Http, clock: ManualClock
) -> None:
    apollo = Apollo(ProviderSettings(), gate, http, clock)

    with pytest.raises(NotConfigured, match=r"providers\.apollo\.api_key"):
        await apollo.find_people(PeopleQuery(), None)


async def test_health_and_usage_are_read(make: Make) -> None:
    def script(seen: RecordedRequest) -> Answer:
        name = "auth_health" if seen.path == "/auth/health" else "credit_usage"
        return sample(f"apollo.{name}.success.json")

    async with playing(script=script) as tape:
        apollo = make(tape)
        await apollo.check_key()
        usage = await apollo.read_usage()

    assert (usage.used, usage.left) == (Decimal(2500), Decimal(7500))
    assert usage.renews_at == datetime(2026, 12, 1, tzinfo=UTC)


async def test_a_key_that_is_not_logged_in_is_refused(make: Make) -> None:
    async with playing(Answer(body=b'{"healthy": true, "is_logged_in": false}')) as tape:
        with pytest.raises(ProviderKeyRefused):
            await make(tape).check_key()


async def test_a_server_error_is_down_with_its_retry_after(make: Make) -> None:
    async with playing(Answer(503, b"busy", {"retry-after": "7"})) as tape:
        with pytest.raises(ProviderDown) as caught:
            await make(tape).enrich(a_subject(provider_ids={"apollo": MIRA}))

    assert caught.value.retry_after_seconds == 7


@pytest.mark.parametrize(("currency", "revenue"), [("USD", 38_000_000), ("EUR", "38000000 USD")])
async def test_revenue_is_a_number_in_our_currency_alone(
    gate: DirectGate, http: Http, clock: ManualClock, currency: str, revenue: object
) -> None:
    async with playing(sample("apollo.people_match.success.json")) as tape:
        subject = a_subject(provider_ids={"apollo": MIRA}, first_name="Mira")
        settings = {name: ProviderSettings() for name in catalog.CATALOG}
        settings["apollo"] = ProviderSettings(base_url=tape.url, api_key="key-1")
        adapters = catalog.build_adapters(settings, gate, http, clock, currency)
        result = await adapters["apollo"].enrich(subject)

    assert by_field(result.values)[FieldName.COMPANY_REVENUE] == revenue
