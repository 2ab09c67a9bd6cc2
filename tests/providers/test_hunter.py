import hashlib
from collections.abc import Callable
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import msgspec
import pytest
from leadflood.contracts.errors import (
    PersonOptedOut,
    ProviderChanged,
    ProviderDown,
    ProviderKeyRefused,
    ProviderRefused,
    ProviderThrottled,
    ProviderUnfunded,
    Unsupported,
)
from leadflood.contracts.ports.people import PersonSubject
from leadflood.contracts.provider_spec import ProviderSettings
from leadflood.contracts.values import EmailStatus, FieldName
from leadflood.engine.clock import ManualClock
from leadflood.engine.net.calls import Http
from leadflood.providers.hunter import Hunter

from tests.support.conformance import Samples
from tests.support.gate import DirectGate
from tests.support.tapes import Answer, RecordedRequest, Tape, playing, sample

CONFORMANCE = Samples(
    hit=sample("hunter.email_finder.success.json"),
    miss=sample("hunter.email_finder.not_found.json"),
    throttled=403,
)
PRICE = 34_000
MIRA = PersonSubject(
    subject_id="lead-1", first_name="Mira", last_name="Okafor", company_domain="example.com"
)

Make = Callable[[Tape], Hunter]


@pytest.fixture
def make(gate: DirectGate, http: Http, clock: ManualClock) -> Make:
    def build(tape: Tape) -> Hunter:
        settings = ProviderSettings(base_url=tape.url, api_key="key-1", credit_price_micros=PRICE)
        return Hunter(settings, gate, http, clock)

    return build


async def test_a_found_address_comes_with_its_status_and_score(
    make: Make, gate: DirectGate
) -> None:
    answer = sample("hunter.email_finder.success.json")
    async with playing(answer) as tape:
        result = await make(tape).enrich(MIRA)

    assert {value.field: value.value for value in result.values} == {
        FieldName.EMAIL: "mira.okafor@example.com",
        FieldName.EMAIL_STATUS: "valid",
        FieldName.TITLE: "VP Operations",
        FieldName.LINKEDIN_URL: "https://www.linkedin.com/in/mira-okafor-sample",
        FieldName.COMPANY_NAME: "Harbourworks Robotics",
    }
    assert result.values[0].confidence == 0.97
    assert result.values[0].evidence_hash == hashlib.sha256(answer.body).hexdigest()
    assert sum(value.cost_micros for value in result.values) == result.cost_micros == PRICE
    seen = tape.seen[-1]
    assert (seen.method, seen.path) == ("GET", "/email-finder")
    assert seen.query == {"domain": "example.com", "first_name": "Mira", "last_name": "Okafor"}
    assert seen.headers["x-api-key"] == "key-1"
    assert seen.headers["x-request-id"] == str(gate.references[-1])


@pytest.mark.parametrize("name", ["hunter.email_finder.not_found.json", "hunter.any.404.json"])
async def test_not_found_is_a_free_miss(make: Make, gate: DirectGate, name: str) -> None:
    async with playing(sample(name)) as tape:
        result = await make(tape).enrich(MIRA)

    assert (result.found, result.values, result.cost_micros) == (False, (), 0)
    assert not gate.replies[-1].found


async def test_only_a_whole_name_with_a_domain_may_be_asked(make: Make) -> None:
    async with playing(Answer()) as tape:
        hunter = make(tape)

        assert hunter.may_ask(MIRA)
        assert hunter.may_ask(
            PersonSubject(subject_id="1", full_name="Mira Okafor", company_domain="example.com")
        )
        assert not hunter.may_ask(
            PersonSubject(subject_id="1", full_name="Mira", company_domain="example.com")
        )
        assert not hunter.may_ask(
            PersonSubject(subject_id="1", first_name="Mira", last_name="O", company_name="Firm")
        )


@pytest.mark.parametrize(
    ("name", "status"),
    [
        ("valid", EmailStatus.VALID),
        ("invalid", EmailStatus.INVALID),
        ("accept_all", EmailStatus.CATCH_ALL),
        ("disposable", EmailStatus.INVALID),
    ],
)
async def test_a_verdict_is_told_in_our_words(make: Make, name: str, status: EmailStatus) -> None:
    async with playing(sample(f"hunter.email_verifier.{name}.json")) as tape:
        verdict = await make(tape).verify("mira.okafor@example.com", "lead-1")

    assert verdict.status is status
    assert (verdict.value.field, verdict.value.value) == (FieldName.EMAIL_STATUS, status.value)
    assert verdict.cost_micros == verdict.value.cost_micros == PRICE // 2
    assert tape.seen[-1].query == {"email": "mira.okafor@example.com"}


async def test_an_unknown_word_is_an_unknown_status(make: Make) -> None:
    answer = Answer(body=msgspec.json.encode({"data": {"status": "brand_new"}}))
    async with playing(answer) as tape:
        verdict = await make(tape).verify("a@example.com", "lead-1")

    assert verdict.status is EmailStatus.UNKNOWN


async def test_a_malformed_address_is_invalid_and_free(make: Make) -> None:
    answer = Answer(400, b'{"errors":[{"id":"invalid_email","code":400,"details":"no"}]}')
    async with playing(answer) as tape:
        verdict = await make(tape).verify("not an address", "lead-1")

    assert (verdict.status, verdict.cost_micros) == (EmailStatus.INVALID, 0)


@pytest.mark.parametrize("name", ["202_pending", "222"])
async def test_a_running_check_is_asked_again_and_billed_once(
    make: Make, gate: DirectGate, name: str
) -> None:
    pending = sample(f"hunter.email_verifier.{name}.json")
    async with playing(pending, sample("hunter.email_verifier.valid.json")) as tape:
        hunter = make(tape)
        with pytest.raises(ProviderThrottled) as caught:
            await hunter.verify("mira.okafor@example.com", "lead-1")
        verdict = await hunter.verify("mira.okafor@example.com", "lead-1")

    assert 0 < caught.value.retry_after_seconds <= 60
    assert verdict.status is EmailStatus.VALID
    assert gate.calls[0].question == gate.calls[1].question
    assert [reply.cost_micros for reply in gate.replies] == [0, PRICE // 2]
    assert gate.calls[0].miss_seconds == 0


@pytest.mark.parametrize(
    ("name", "error"),
    [
        ("hunter.any.401.json", ProviderKeyRefused),
        ("hunter.any.403_no_discover_access.json", ProviderRefused),
        ("hunter.any.403_rate_limit.json", ProviderThrottled),
        ("hunter.any.429_quota.json", ProviderUnfunded),
        ("hunter.any.451_claimed.json", PersonOptedOut),
        ("hunter.any.500.json", ProviderDown),
        ("hunter.email_finder.400.json", ProviderRefused),
    ],
)
async def test_errors_are_translated(make: Make, name: str, error: type[Exception]) -> None:
    async with playing(sample(name)) as tape:
        with pytest.raises(error) as caught:
            await make(tape).enrich(MIRA)

    assert type(caught.value) is error


async def test_a_claimed_address_is_a_person_who_opted_out(make: Make) -> None:
    async with playing(sample("hunter.any.451_claimed.json")) as tape:
        with pytest.raises(PersonOptedOut):
            await make(tape).verify("mira.okafor@example.com", "lead-1")


async def test_a_spent_quota_waits_for_the_accounts_renewal(make: Make, clock: ManualClock) -> None:
    def script(seen: RecordedRequest) -> Answer:
        name = "hunter.account.success" if seen.path == "/account" else "hunter.any.429_quota"
        return sample(f"{name}.json")

    async with playing(script=script) as tape:
        hunter = make(tape)
        waits = []
        for _ in range(2):
            with pytest.raises(ProviderUnfunded) as caught:
                await hunter.enrich(MIRA)
            waits.append(caught.value.retry_after_seconds)

    until = datetime(2026, 12, 1, tzinfo=UTC) - clock.now()
    assert waits == [until.total_seconds()] * 2
    assert [seen.path for seen in tape.seen].count("/account") == 1


async def test_usage_is_what_is_used_and_left(make: Make) -> None:
    async with playing(sample("hunter.account.success.json")) as tape:
        hunter = make(tape)
        await hunter.check_key()
        usage = await hunter.read_usage()

    assert (usage.used, usage.left) == (Decimal("120.5"), Decimal("1879.5"))
    assert usage.renews_at == datetime(2026, 12, 1, tzinfo=UTC)


async def test_bulk_is_not_supported(make: Make) -> None:
    async with playing(Answer()) as tape:
        with pytest.raises(Unsupported):
            await make(tape).enrich_many([MIRA])


async def test_a_verdict_without_a_status_is_changed(make: Make, gate: DirectGate) -> None:
    async with playing(Answer(body=b'{"data": {}}')) as tape:
        with pytest.raises(ProviderChanged):
            await make(tape).verify("a@example.com", "lead-1")

    assert not gate.replies


async def test_the_wait_of_a_search_there_can_be_set(
    gate: DirectGate, http: Http, clock: ManualClock
) -> None:
    async with playing(sample("hunter.email_finder.not_found.json")) as tape:
        extra: dict[str, Any] = {"max_duration": 20}
        settings = ProviderSettings(base_url=tape.url, api_key="k", extra=extra)
        await Hunter(settings, gate, http, clock).enrich(MIRA)

    assert tape.seen[-1].query["max_duration"] == "20"
