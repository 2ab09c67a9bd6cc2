"""What holds for every provider of the catalog, whichever ports it implements."""

from collections.abc import AsyncIterator, Callable
from datetime import date
from typing import Any

import msgspec
import pytest
from leadflood.contracts.errors import (
    ProviderChanged,
    ProviderDown,
    ProviderKeyRefused,
    ProviderRefused,
    ProviderThrottled,
    Unsupported,
)
from leadflood.contracts.ports.people import PersonEnricher
from leadflood.contracts.provider_spec import ProviderSettings
from leadflood.engine.clock import ManualClock, SystemClock
from leadflood.engine.db.pool import Database
from leadflood.engine.errors import NotConfigured, Permanent, Throttled, Unsure
from leadflood.engine.net.calls import Cut, Http, Unreached
from leadflood.engine.net.ledger_port import LineState
from leadflood.engine.net.settlement import classify_failure
from leadflood.providers.catalog import CATALOG, PORTS, Entry, close_all, write_page

from tests.support.conformance import Ask, list_asks, samples_of
from tests.support.gate import CachedGate, DirectGate
from tests.support.live_gate import running_gateway
from tests.support.tapes import (
    Answer,
    cut_after_request,
    cut_in_answer,
    never_answer,
    playing,
    raw_server,
)
from tests.support.tree import ROOT

ASKS = [ask for name, entry in CATALOG.items() for ask in list_asks(name, entry.spec.implements)]
ENRICHERS = [ask for ask in ASKS if ask.question.name == "enrich"]

every_ask = pytest.mark.parametrize("ask", ASKS, ids=str)
every_enricher = pytest.mark.parametrize("ask", ENRICHERS, ids=str)
every_entry = pytest.mark.parametrize("entry", CATALOG.values(), ids=lambda entry: entry.spec.name)

Make = Callable[..., Any]


@pytest.fixture
async def make(gate: DirectGate, http: Http, clock: ManualClock) -> AsyncIterator[Make]:
    made: list[Any] = []

    def build(name: str, url: str, timeout_seconds: float = 5, **over: Any) -> Any:
        known: dict[str, Any] = {"api_key": "key-1", "credit_price_micros": 1_000}
        settings = ProviderSettings(
            base_url=url, timeout_seconds=timeout_seconds, **{**known, **over}
        )
        made.append(CATALOG[name].build(settings, gate, http, clock))
        return made[-1]

    yield build
    await close_all(made)


@every_entry
def test_a_card_tells_source_limits_and_prices(entry: Entry) -> None:
    spec = entry.spec

    assert spec.docs_url.startswith("https://")
    assert date.fromisoformat(spec.read_on) <= date(2026, 11, 22)
    assert spec.plan
    assert spec.terms
    assert spec.credits
    assert all(most >= 0 for most in spec.credits.values())
    assert spec.limits
    for windows in spec.limits.values():
        assert windows
        assert all(each.calls > 0 and each.seconds > 0 for each in windows)


@every_entry
async def test_an_adapter_is_built_from_settings_alone_and_has_the_ports_of_its_card(
    entry: Entry, gate: DirectGate, http: Http, clock: ManualClock
) -> None:
    adapter = entry.build(ProviderSettings(), gate, http, clock)

    assert adapter.name == entry.spec.name
    assert {port for port in PORTS if isinstance(adapter, port)} == set(entry.spec.implements)
    assert set(entry.spec.implements.values()) <= set(entry.spec.credits)
    assert (entry.build.__doc__ or "").strip()


@every_entry
def test_a_provider_names_its_answers_or_why_it_has_none(entry: Entry) -> None:
    spec = entry.spec
    samples = samples_of(spec.name)

    if PersonEnricher in spec.implements:
        assert samples.hit is not None
        assert samples.miss is not None
    assert bool(samples.not_over_http) is not bool(
        list_asks(entry.spec.name, entry.spec.implements)
    )


def test_the_page_of_providers_is_written_from_the_catalog() -> None:
    page = (ROOT / "docs" / "providers.md").read_text("utf-8")

    assert page == write_page(), "leadflood provider list --markdown > docs/providers.md"


@every_ask
async def test_every_call_uses_a_limit_of_the_card_and_carries_our_reference(
    make: Make, gate: DirectGate, ask: Ask
) -> None:
    async with playing(Answer(500, b"{}")) as tape:
        with pytest.raises((ProviderDown, Unsure)):
            await ask.run(make(ask.provider, tape.url))

    assert tape.seen[0].headers["x-request-id"] == str(gate.references[0])
    call = gate.calls[0]
    assert call.provider == ask.provider
    assert call.limit in CATALOG[ask.provider].spec.limits
    assert call.operation in CATALOG[ask.provider].spec.credits
    assert call.effect is ask.is_effect


@every_ask
async def test_a_wrong_key_is_refused_and_names_its_setting(make: Make, ask: Ask) -> None:
    async with playing(Answer(401, b"no", content_type="text/plain")) as tape:
        with pytest.raises(ProviderKeyRefused, match=rf"providers\.{ask.provider}\."):
            await ask.run(make(ask.provider, tape.url))


@every_ask
async def test_a_missing_key_is_told_before_any_call(
    gate: DirectGate, http: Http, clock: ManualClock, ask: Ask
) -> None:
    adapter = CATALOG[ask.provider].build(ProviderSettings(), gate, http, clock)

    with pytest.raises(NotConfigured, match=rf"providers\.{ask.provider}\.api_key"):
        await ask.run(adapter)

    assert not gate.calls


@every_ask
async def test_throttling_says_how_long_and_is_nobodys_fault(make: Make, ask: Ask) -> None:
    async with playing(Answer(ask.samples.throttled, b"slow down", {"retry-after": "9"})) as tape:
        with pytest.raises(ProviderThrottled) as caught:
            await ask.run(make(ask.provider, tape.url))

    assert caught.value.retry_after_seconds > 0


def line_state(gate: DirectGate) -> LineState:
    """Return what the gateway makes of the last call's ledger line."""
    state, _ = classify_failure(gate.calls[-1], (gate.errors + gate.bulk_errors)[-1])
    return state


@every_ask
@pytest.mark.parametrize("status", [408, 409, 500, 502, 503, 504, 599])
async def test_a_fault_may_have_been_charged_and_is_down_or_for_an_effect_unsure(
    make: Make, gate: DirectGate, ask: Ask, status: int
) -> None:
    async with playing(Answer(status, b"<html>oops", content_type="text/html")) as tape:
        with pytest.raises(Unsure if ask.is_effect else ProviderDown):
            await ask.run(make(ask.provider, tape.url))

    assert line_state(gate) is LineState.UNRESOLVED


@every_ask
@pytest.mark.parametrize(
    "body",
    [b"", b"<html>", b"3", b"null", b'{"', b"\xff\xfe", b'"' * 9, b"{}", b'{"error": "upstream"}'],
)
async def test_garbage_is_changed_and_never_kept_or_for_an_effect_accepted(
    make: Make, gate: DirectGate, ask: Ask, body: bytes
) -> None:
    async with playing(Answer(200, body)) as tape:
        adapter = make(ask.provider, tape.url)
        if ask.is_effect:
            await ask.run(adapter)
            return
        with pytest.raises(ProviderChanged):
            await ask.run(adapter)

    assert not gate.replies
    assert line_state(gate) is LineState.UNRESOLVED


@every_ask
@pytest.mark.parametrize("status", [400, 405, 418])
async def test_any_other_4xx_is_refused_for_good(
    make: Make, gate: DirectGate, ask: Ask, status: int
) -> None:
    async with playing(Answer(status, b"{}")) as tape:
        with pytest.raises(ProviderRefused) as caught:
            await ask.run(make(ask.provider, tape.url))

    assert not isinstance(caught.value, ProviderKeyRefused)
    assert line_state(gate) is LineState.RELEASED


@every_ask
@pytest.mark.parametrize("status", [302, 401, 402, 403, 422, 429, 451])
async def test_what_was_refused_costs_nothing(
    make: Make, gate: DirectGate, ask: Ask, status: int
) -> None:
    async with playing(Answer(status, b"{}")) as tape:
        with pytest.raises((Permanent, Throttled)):
            await ask.run(make(ask.provider, tape.url))

    assert line_state(gate) is LineState.RELEASED


@every_ask
@pytest.mark.parametrize("talk", [cut_after_request, cut_in_answer, never_answer])
async def test_a_cut_reaches_the_gate_as_a_cut_and_the_caller_as_down_or_unsure(
    make: Make, gate: DirectGate, ask: Ask, talk: Any
) -> None:
    async with raw_server(talk) as port:
        seconds = 0.2 if talk is never_answer else 5.0
        adapter = make(ask.provider, f"http://127.0.0.1:{port}", timeout_seconds=seconds)
        with pytest.raises(Unsure if ask.is_effect else ProviderDown):
            await ask.run(adapter)

    assert isinstance((gate.errors + gate.bulk_errors)[-1], Unsure if ask.is_effect else Cut)


@every_ask
async def test_a_refused_connection_certainly_did_nothing(
    make: Make, gate: DirectGate, ask: Ask
) -> None:
    async with raw_server(never_answer) as port:
        pass

    with pytest.raises(Unreached if ask.is_effect else ProviderDown):
        await ask.run(make(ask.provider, f"http://127.0.0.1:{port}"))

    assert isinstance((gate.errors + gate.bulk_errors)[-1], Unreached)


@every_enricher
async def test_a_miss_is_an_answer_and_free(make: Make, gate: DirectGate, ask: Ask) -> None:
    async with playing(_answer(ask.samples.miss)) as tape:
        answer = await ask.run(make(ask.provider, tape.url))

    assert (answer.found, answer.values, answer.cost_micros) == (False, (), 0)
    assert not gate.replies[-1].found
    assert gate.calls[-1].miss_seconds > 0


@every_ask
async def test_a_gateways_page_that_is_not_found_is_nothing_that_the_provider_said(
    make: Make, gate: DirectGate, ask: Ask
) -> None:
    async with playing(Answer(404, b"<html>not found", content_type="text/html")) as tape:
        with pytest.raises(Permanent):
            await ask.run(make(ask.provider, tape.url))

    assert not gate.replies
    assert line_state(gate) is LineState.RELEASED


@every_enricher
async def test_a_kept_answer_is_parsed_as_the_fresh_one(
    make: Make, gate: DirectGate, http: Http, clock: ManualClock, ask: Ask
) -> None:
    async with playing(_answer(ask.samples.hit)) as tape:
        fresh = await ask.run(make(ask.provider, tape.url))
    kept = msgspec.structs.replace(gate.replies[-1], cached=True, hints=())
    again = CATALOG[ask.provider].build(
        ProviderSettings(api_key="k"), CachedGate(kept), http, clock
    )

    answer = await ask.run(again)

    assert answer.cached
    assert answer.values == fresh.values
    assert {value.field for value in answer.values} <= again.gives
    assert all(value.source == ask.provider for value in answer.values)
    assert sum(value.cost_micros for value in fresh.values) == fresh.cost_micros


@every_enricher
@pytest.mark.pg
async def test_a_person_once_found_is_not_bought_again_when_more_is_known_of_them(
    database: Database, http: Http, ask: Ask
) -> None:
    """Not by another form of the name, and not by the id that the answer gave."""
    subject = msgspec.structs.replace(ask.samples.subject, provider_ids={})
    split = msgspec.structs.replace(
        subject, full_name="", first_name="Mira", last_name="Okafor", phone="+447700900001"
    )
    corrected = msgspec.structs.replace(split, last_name="Okoro", decided=("last_name=Okoro",))
    async with (
        playing(_answer(ask.samples.hit)) as tape,
        running_gateway(database) as gateway,
    ):
        adapter = CATALOG[ask.provider].build(
            ProviderSettings(base_url=tape.url, api_key="k"), gateway.gate, http, SystemClock()
        )
        first = await adapter.enrich(subject)
        answers = [await adapter.enrich(split)]
        if first.provider_id:  # the id is enough, also for a lead that is its twin
            ids = {ask.provider: first.provider_id}
            twin = msgspec.structs.replace(split, provider_ids=ids, subject_id="lead-2")
            answers.append(await adapter.enrich(twin))
        seen = len(tape.seen)
        await adapter.enrich(corrected)

    assert first.found
    assert all(answer.cached for answer in answers)
    assert (seen, len(tape.seen)) == (1, 2)


@every_enricher
async def test_many_are_answered_in_order_or_not_supported(make: Make, ask: Ask) -> None:
    two = [ask.samples.subject, ask.samples.subject]
    async with playing(ask.samples.misses or Answer()) as tape:
        adapter = make(ask.provider, tape.url)
        if ask.samples.misses is None:
            with pytest.raises(Unsupported):
                await adapter.enrich_many(two)
            return
        answers = await adapter.enrich_many(two)

    assert [answer.found for answer in answers] == [False, False]


def _answer(given: Answer | None) -> Answer:
    assert given is not None
    return given
