"""The frame of every adapter, tried on a provider that exists nowhere."""

from collections.abc import Sequence
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import msgspec
import pytest
from hypothesis import given, strategies as st
from leadflood.contracts.errors import (
    ProviderChanged,
    ProviderDown,
    ProviderKeyRefused,
    ProviderRefused,
    ProviderThrottled,
    ProviderUnfunded,
)
from leadflood.contracts.evidence import likely_email, miss
from leadflood.contracts.ports.people import PersonAnswer, PersonEnricher, PersonSubject
from leadflood.contracts.ports.sender import Sender
from leadflood.contracts.provider_client import (
    SUCCESSES,
    ProviderClient,
    ProviderEndpoint,
    Question,
    body_question,
    canonical,
    query_question,
    share_cost,
)
from leadflood.contracts.provider_spec import ProviderSettings, ProviderSpec
from leadflood.contracts.values import FieldName
from leadflood.contracts.vendor_http import Failure, Vendor
from leadflood.engine.clock import ManualClock
from leadflood.engine.errors import NotConfigured, Unsure
from leadflood.engine.net.calls import (
    BulkCallItem,
    BulkReply,
    Http,
    HttpReply,
    Reply,
    Unreached,
    Window,
)
from tests.support.gate import DirectGate
from tests.support.tapes import Answer, cut_after_request, never_answer, playing, raw_server

SPEC = ProviderSpec(
    name="acme",
    implements={PersonEnricher: "person.find", Sender: "message.send"},
    base_url="https://api.acme.example",
    docs_url="https://acme.example/docs",
    read_on="2026-11-01",
    plan="any",
    credits={"person.find": Decimal(1), "person.bulk": Decimal(1), "message.send": Decimal(2)},
    limits={"api": (Window(10, 60),)},
    terms="own use",
)
FIND = ProviderEndpoint("person.find", "api", "GET", "/people", frozenset({200, 404}), is_kept=True)
BULK = ProviderEndpoint("person.bulk", "api", "POST", "/people/bulk", is_kept=True)
SEND = ProviderEndpoint("message.send", "api", "POST", "/messages", SUCCESSES, is_effect=True)
ONLY_201 = msgspec.structs.replace(SEND, answers=frozenset({201}))
_AT = datetime(2026, 1, 5, 9, tzinfo=UTC)
MIRA = PersonSubject(subject_id="lead-1", linkedin_url="https://www.linkedin.com/in/mira")


class _Row(msgspec.Struct):
    id: str
    mail: str = ""
    job: str = ""


def _teapot(failure: Failure) -> ProviderRefused:
    return ProviderRefused(f"{failure.title} is a teapot: {failure.detail}", code="acme.teapot")


VENDOR = Vendor(spec=SPEC, key_header="authorization", key_prefix="Key ", errors={418: _teapot})


class Acme:
    """A whole provider of the enrichment kind."""

    name = SPEC.name
    gives = frozenset({FieldName.EMAIL, FieldName.TITLE})

    def __init__(
        self, settings: ProviderSettings, gate: DirectGate, http: Http, clock: ManualClock
    ) -> None:
        self.client = ProviderClient(VENDOR, settings, gate, http, clock)

    def may_ask(self, subject: PersonSubject) -> bool:
        return bool(subject.linkedin_url)

    def is_certain(self, subject: PersonSubject) -> bool:
        return bool(subject.linkedin_url)

    async def enrich(self, subject: PersonSubject) -> PersonAnswer:
        question = query_question({"profile": subject.linkedin_url}, subject.subject_id)
        reply = await self.client.ask(FIND, question, self._read)
        if not reply.found:
            return miss(reply)
        row = self.client.decode(reply.body, _Row)
        evidence = self.client.evidence(FIND, reply)
        evidence.add(FieldName.EMAIL, likely_email(row.mail), 0.9)
        evidence.add(FieldName.TITLE, row.job, 0.8)
        return evidence.person_answer(row.id)

    def _read(self, reply: HttpReply) -> Reply:
        if reply.status == 404:
            return Reply(body=reply.body, found=False)
        self.client.decode(reply.body, _Row)
        return Reply(body=reply.body, cost_micros=self.client.price("person.find"))


@pytest.fixture
def make(gate: DirectGate, http: Http) -> Any:
    def build(url: str = "", **over: Any) -> Acme:
        values: dict[str, Any] = {
            "api_key": "key-1",
            "credit_price_micros": 3,
            "timeout_seconds": 0.5,
        } | over
        return Acme(ProviderSettings(base_url=url, **values), gate, http, ManualClock())

    return build


async def test_an_answer_becomes_values_with_source_hash_and_cost(
    make: Any, gate: DirectGate
) -> None:
    body = b'{"id": "p1", "mail": "mira@example.com", "job": "COO"}'
    async with playing(Answer(200, body)) as tape:
        answer = await make(tape.url).enrich(MIRA)

    assert {value.field: value.value for value in answer.values} == {
        FieldName.EMAIL: "mira@example.com",
        FieldName.TITLE: "COO",
    }
    assert {(value.source, value.method) for value in answer.values} == {("acme", "person.find")}
    assert sum(value.cost_micros for value in answer.values) == answer.cost_micros == 3
    assert answer.provider_id == "p1"
    seen = tape.seen[0]
    assert seen.headers["authorization"] == "Key key-1"
    assert seen.headers["x-request-id"] == str(gate.references[0])
    call = gate.calls[0]
    assert (call.max_cost_micros, call.subjects, call.effect) == (3, ("lead-1",), False)
    assert call.answer_seconds > call.miss_seconds > 0


async def test_a_miss_is_free(make: Any) -> None:
    async with playing(Answer(404, b"{}")) as tape:
        answer = await make(tape.url).enrich(MIRA)

    assert (answer.found, answer.values, answer.cost_micros) == (False, (), 0)


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        (Answer(401, b"no"), ProviderKeyRefused),
        (Answer(402, b"no"), ProviderUnfunded),
        (Answer(403, b"no"), ProviderKeyRefused),
        (Answer(418, b"no"), ProviderRefused),
        (Answer(429, b"no", {"retry-after": "9"}), ProviderThrottled),
        (Answer(422, b"no"), ProviderRefused),
        (Answer(301, b"", {"location": "https://elsewhere.example"}), ProviderChanged),
        (Answer(204, b""), ProviderChanged),
        (Answer(500, b"no"), ProviderDown),
        (Answer(200, b"<html>"), ProviderChanged),
    ],
)
async def test_what_is_no_answer_is_an_error_by_the_table(
    make: Any, gate: DirectGate, answer: Answer, error: type[Exception]
) -> None:
    async with playing(answer) as tape:
        with pytest.raises(error) as caught:
            await make(tape.url).enrich(MIRA)

    assert type(caught.value) is error
    assert "acme" in str(caught.value)
    assert not gate.replies


@pytest.mark.parametrize(
    ("status", "is_doubtful"),
    [(204, True), (302, False), (404, False), (408, True), (418, False), (503, True)],
)
async def test_the_status_says_what_may_have_been_charged_whatever_its_vendor_calls_it(
    gate: DirectGate, http: Http, status: int, *, is_doubtful: bool
) -> None:
    """Also where the vendor has a name of its own for it, and where reading the answer fails."""
    vendor = msgspec.structs.replace(VENDOR, errors=dict.fromkeys(range(200, 600), _teapot))
    endpoint = msgspec.structs.replace(FIND, answers=frozenset({404}))

    def read(_reply: HttpReply) -> Reply:
        raise ProviderRefused("unreadable")

    async with playing(Answer(status, b"no")) as tape:
        settings = ProviderSettings(base_url=tape.url, api_key="k")
        client = ProviderClient(vendor, settings, gate, http, ManualClock())
        with pytest.raises(ProviderRefused) as caught:
            await client.ask(endpoint, Question(), read)

    assert caught.value.may_have_acted is is_doubtful


async def test_a_vendors_own_meaning_comes_before_the_table(make: Any) -> None:
    async with playing(Answer(418, b"short and stout")) as tape:
        with pytest.raises(ProviderRefused, match="short and stout") as caught:
            await make(tape.url).enrich(MIRA)

    assert caught.value.error_code == "acme.teapot"


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({"retry-after": "9"}, 9.0),
        ({"retry-after": "0"}, 0.5),
        ({"retry-after": "Mon, 05 Jan 2026 09:00:07 GMT"}, 7.0),
        ({"retry-after": "soon"}, 5.0),
        ({}, 5.0),
    ],
)
async def test_retry_after_is_honored_in_both_forms(
    gate: DirectGate, http: Http, headers: dict[str, str], seconds: float
) -> None:
    clock = ManualClock(_AT)
    async with playing(Answer(429, b"", headers)) as tape:
        acme = Acme(ProviderSettings(base_url=tape.url, api_key="k"), gate, http, clock)
        with pytest.raises(ProviderThrottled) as caught:
            await acme.enrich(MIRA)

    assert caught.value.retry_after_seconds == seconds


async def test_a_missing_key_is_named_before_any_call(make: Any, gate: DirectGate) -> None:
    with pytest.raises(NotConfigured, match=r"providers\.acme\.api_key"):
        await make(api_key="").enrich(MIRA)

    assert not gate.calls


async def test_a_cut_is_down_and_for_an_effect_unsure(make: Any) -> None:
    question = body_question({"to": "mira"})
    async with raw_server(cut_after_request) as port:
        acme = make(f"http://127.0.0.1:{port}")
        with pytest.raises(ProviderDown):
            await acme.enrich(MIRA)
        with pytest.raises(Unsure):
            await acme.client.ask(SEND, question, lambda reply: Reply(body=reply.body))


@pytest.mark.parametrize(
    ("status", "error"),
    [
        (204, Unsure),
        (302, ProviderRefused),
        (408, Unsure),
        (409, Unsure),
        (429, ProviderThrottled),
        (500, Unsure),
        (503, Unsure),
    ],
)
async def test_only_a_refusal_proves_that_an_effect_did_not_happen(
    make: Any, status: int, error: type[Exception]
) -> None:
    async with playing(Answer(status, b"")) as tape:
        with pytest.raises(error):
            await make(tape.url).client.ask(
                ONLY_201, Question(body=b"{}"), lambda reply: Reply(body=reply.body)
            )


async def test_an_effect_that_reached_nobody_stays_unreached(make: Any) -> None:
    async with raw_server(never_answer) as port:
        pass

    with pytest.raises(Unreached):
        await make(f"http://127.0.0.1:{port}").client.ask(
            SEND, Question(body=b"{}"), lambda reply: Reply(body=reply.body)
        )


async def test_a_bulk_call_asks_for_its_items_and_is_priced_by_their_count(
    make: Any, gate: DirectGate
) -> None:
    items = [BulkCallItem(canonical({"id": number}), f"lead-{number}") for number in range(3)]

    def write(items: Sequence[BulkCallItem]) -> bytes:
        return b"[" + b",".join(item.question for item in items) + b"]"

    def read(reply: HttpReply, items: Sequence[BulkCallItem]) -> BulkReply:
        assert len(items) == 3
        return share_cost([reply.body] * 3, [True, False, True], 4)

    async with playing(Answer(200, b"{}")) as tape:
        replies = await make(tape.url).client.ask_many(BULK, items, write, read)

    assert tape.seen[0].json() == [{"id": 0}, {"id": 1}, {"id": 2}]
    assert [(reply.found, reply.cost_micros) for reply in replies] == [
        (True, 2),
        (False, 0),
        (True, 2),
    ]
    assert gate.calls[0].max_cost_micros == 9
    assert gate.calls[0].subjects == ("lead-0", "lead-1", "lead-2")


@given(hits=st.lists(st.booleans(), min_size=1), cost=st.integers(0, 10**9))
def test_the_shares_of_a_bulk_call_sum_to_its_cost(hits: list[bool], cost: int) -> None:
    reply = share_cost([b"{}"] * len(hits), hits, cost)

    assert sum(item.cost_micros for item in reply.items) == cost
    if any(hits):
        assert all(item.found or item.cost_micros == 0 for item in reply.items)
